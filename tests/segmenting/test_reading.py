"""Where ED and ES of an image are known from: data set, `Info.cfg`, file name, command line."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.datasets import Dataset, FrameRef
from shortaxis.datasets.acdc import INFO
from shortaxis.datasets.mnms import write_mnms
from shortaxis.datasets.nnunet import write_nnunet
from shortaxis.datasets.packed import write_packed
from shortaxis.errors import DataWarning, InputError
from shortaxis.io import write_like
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import Wishes, plan_studies
from shortaxis.segmenting.inputs import content_sha256, state_of
from shortaxis.segmenting.reading import read_planned
from shortaxis.study import Frame


def read_all(*inputs, **wishes):
    """The studies of the images of each planned study."""
    studies = plan_studies(inputs)
    assert [study.problem for study in studies] == [None] * len(studies)
    return {
        study.name: [read_planned(image, Wishes(**wishes), paired=len(study.images) > 1) for image in study.images] for study in studies
    }


def phases(study):
    return study.end_diastole, study.end_systole


@pytest.fixture
def write(heart, tmp_path):
    """Write one phase of the heart, or all."""

    def write(name, *indices):
        path = tmp_path / "in" / name
        write_like(heart.study.pixels[indices[0]] if indices else heart.study.pixels, heart.study, path, dtype=np.float32)
        return path

    return write


def test_names_of_a_pair_say_which_is_ed_and_es(write):
    folder = write("X_ed.nii", 0).parent
    write("X_es.nii", 2)
    assert [phases(study) for study in read_all(folder)["X"]] == [(0, None), (None, 0)]


def test_a_lone_frame_is_what_its_name_says_but_a_cine_is_not(write):
    (frame,) = read_all(write("X_ES.nii", 2))["X_ES"]
    (cine,) = read_all(write("Y_ED.nii"))["Y_ED"]
    assert (phases(frame), phases(cine)) == ((None, 0), (None, None))


def test_a_cine_in_a_pair_is_refused(write):
    folder = write("X_ED.nii").parent
    write("X_ES.nii", 2)
    with pytest.raises(InputError, match=r"X_ED\.nii.* 6 phases"):
        read_all(folder)


class TestInfo:
    @pytest.fixture
    def cine(self, write):
        path = write("cine.nii")
        (path.parent / INFO).write_text("ED: 2\nES: 4\nHeight: 170.0\nWeight: 70.0\nNbFrame: 6\n")
        return path

    def test_it_names_ed_es_and_the_body_of_a_cine_beside_it(self, cine):
        for given in (cine, cine.parent):
            ((study,),) = read_all(given).values()
            assert phases(study) == (1, 3)
            assert (study.subject.height_cm, study.subject.weight_kg) == (170, 70)

    def test_of_a_frame_of_any_name_it_names_the_body_only(self, cine, write):
        (study,) = read_all(write("frame.nii", 1))["frame"]
        assert (phases(study), study.subject.weight_kg) == ((None, None), 70)

    def test_the_command_line_goes_before_it_and_that_is_said(self, cine):
        with pytest.warns(DataWarning, match="--ed 1"):
            (study,) = read_all(cine, end_diastole=1, end_systole=4)["cine"]
        assert phases(study) == (0, 3)

    def test_frames_beyond_the_cine_are_refused_and_another_number_of_frames_is_said(self, cine):
        info = cine.parent / INFO
        info.write_text(info.read_text().replace("NbFrame: 6", "NbFrame: 30"))
        with pytest.warns(DataWarning, match="30"):
            read_all(cine)
        info.write_text("ED: 1\nES: 7\n")
        with pytest.raises(InputError, match="frame 7"):
            read_all(cine)


@pytest.fixture(scope="module")
def hearts():
    """Two virtual patients, small."""
    return [make_phantom(seed, n_phases=5, n_slices=3, spacing=(12.0, 4.0, 4.0), identifier=f"P{seed}") for seed in (1, 2)]


@pytest.fixture(scope="module")
def frames(hearts):
    """Their ED and ES frames."""
    return [
        Frame(
            f"{study.subject.identifier}_{phase}", study.subject.identifier, phase, None, study.pixels[at], heart.labels[at], study.spacing
        )
        for heart in hearts
        for study in [heart.study]
        for phase, at in (("ED", study.end_diastole), ("ES", study.end_systole))
    ]


class TestDataset:
    @staticmethod
    def check(found, hearts):
        """ED and ES of each patient are named, and show what they should."""
        assert set(found) == {heart.study.subject.identifier for heart in hearts}
        for heart in hearts:
            named = {}
            for study in found[heart.study.subject.identifier]:
                named |= {name: study.pixels[at] for name, at in zip(("ED", "ES"), phases(study), strict=True) if at is not None}
            for phase, at in (("ED", heart.study.end_diastole), ("ES", heart.study.end_systole)):
                assert np.corrcoef(np.sort(named[phase].ravel()), np.sort(heart.study.pixels[at].ravel()))[0, 1] > 0.99
                assert named[phase].shape == heart.study.pixels[at].shape

    def test_of_mnms_the_cines_are_taken_labelled_or_not(self, hearts, tmp_path):
        write_mnms(tmp_path, [(heart.study, heart.labels, part) for heart, part in zip(hearts, ("train", "unlabelled"), strict=True)])
        for given in (f"mnms:{tmp_path}", tmp_path):
            found = read_all(given)
            self.check(found, hearts)
            assert [len(images) for images in found.values()] == [1, 1]
            assert phases(found["P1"][0]) == (hearts[0].study.end_diastole, hearts[0].study.end_systole)

    def test_so_are_the_cases_of_nnunet(self, hearts, frames, tmp_path):
        write_nnunet(tmp_path, frames)
        (tmp_path / "imagesTs").mkdir()
        (tmp_path / "imagesTr" / "P2_ED_0000.nii.gz").rename(tmp_path / "imagesTs" / "P2_ED_0000.nii.gz")
        for given in (f"nnunet:{tmp_path}", tmp_path):
            self.check(read_all(given), hearts)
        (study, _) = plan_studies([tmp_path])
        assert [image.labels.as_posix() for image in study.images] == ["P1/P1_ED.nii.gz", "P1/P1_ES.nii.gz"]

    def test_frames_of_a_packed_one_are_told_apart(self, hearts, frames, tmp_path):
        refs = tuple(FrameRef(frame.name, frame.patient, frame.phase, None, lambda frame=frame: frame) for frame in frames)
        write_packed(Dataset("x", refs), tmp_path / "x.zip")
        for given in (f"packed:{tmp_path / 'x.zip'}", tmp_path / "x.zip"):
            self.check(read_all(given), hearts)
        study, _ = plan_studies([tmp_path / "x.zip"])
        assert [image.shown.name for image in study.images] == ["P1_ED", "P1_ES"]
        assert len({content_sha256(image, image.ref.read()) for image in study.images}) == 2
        before = state_of(study)
        (tmp_path / "x.zip").touch()
        assert state_of(study) != before

    def test_virtual_patients_need_no_file(self):
        studies = plan_studies(["phantom:2"])
        assert [[image.labels.as_posix() for image in study.images] for study in studies] == [
            [f"phantom00{n}/phantom00{n}_{phase}.nii.gz" for phase in ("ED", "ES")] for n in (1, 2)
        ]
        assert state_of(studies[0]) != state_of(studies[1])
        assert phases(studies[1].images[1].ref.read()) == (None, 0)

    def test_a_missing_image_is_a_problem_of_its_patient(self, hearts, tmp_path):
        write_mnms(tmp_path, [(heart.study, heart.labels, "train") for heart in hearts])
        next(tmp_path.rglob("P2_sa.nii.gz")).unlink()
        one, two = plan_studies([tmp_path])
        assert one.problem is None
        assert "P2_sa.nii.gz" in str(two.problem)

    def test_phases_beyond_the_cine_are_refused_by_the_table(self, hearts, tmp_path):
        write_mnms(tmp_path, [(hearts[0].study, hearts[0].labels, "train")])
        table = tmp_path / "mnms_information.csv"
        head, line = (row.split(",") for row in table.read_text().splitlines())
        line[head.index("ES")] = "5"
        table.write_text(f"{','.join(head)}\n{','.join(line)}\n")
        with pytest.raises(InputError, match=r"mnms_information\.csv.*5"):
            read_all(tmp_path)

    def test_one_that_cannot_be_read_says_why(self, tmp_path):
        (study,) = plan_studies([f"nnunet:{tmp_path}"])
        assert "dataset.json" in str(study.problem)

    def test_frames_cannot_be_named_where_the_data_set_names_them(self):
        with pytest.raises(InputError, match="--ed"):
            Wishes(end_diastole=1).refuse_misuse(plan_studies(["phantom:1"]))


def test_a_dangling_link_in_a_dicom_study_is_no_reason_to_leave_it_out(heart, tmp_path):
    write_dicom(tmp_path / "one", heart.study)
    (tmp_path / "one" / "gone.dcm").symlink_to("nowhere.dcm")
    (study,) = plan_studies([tmp_path / "one"])
    before = state_of(study)
    assert state_of(study) == before
    assert state_of(study, "5") != before, "another series is another result"


def test_frames_of_the_rv_are_named_beside_those_of_the_lv(write):
    path = write("Y.nii")
    ((study,),) = read_all(path, end_diastole=1, rv_end_diastole=2, rv_end_systole=6).values()
    assert phases(study) == (0, None)
    assert (study.rv_end_diastole, study.rv_end_systole) == (1, 5)
    with pytest.raises(InputError, match=r"--rv-es 7.* 6 frames"):
        read_all(path, rv_end_systole=7)
