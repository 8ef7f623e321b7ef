"""Where ED and ES of an image are known from: data set, `Info.cfg`, file name, command line."""

from __future__ import annotations

import numpy as np
import pytest

from shortaxis.datasets import open_dataset
from shortaxis.datasets.acdc import INFO
from shortaxis.datasets.packed import write_packed
from shortaxis.datasets.phantom import write_phantoms
from shortaxis.errors import DataWarning, InputError
from shortaxis.io import write_like
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting import Wishes, plan_studies
from shortaxis.segmenting.inputs import content_sha256, state_of
from shortaxis.segmenting.reading import read_planned


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
    """Write some phases of the heart, or all."""

    def write(name, *indices):
        path = tmp_path / "in" / name
        write_like(heart.study.pixels[list(indices)] if indices else heart.study.pixels, heart.study, path, dtype=np.float32)
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


class TestDataset:
    @pytest.fixture(scope="class")
    def cines(self):
        """ED and ES of two virtual patients, as a data set says them."""
        return {ref.name: ref for ref in open_dataset("phantom:2").refs}

    @staticmethod
    def check(found, cines):
        for patient, images in found.items():
            named = {}
            for study in images:
                named |= {name: study.pixels[phase] for name, phase in zip(("ED", "ES"), phases(study), strict=True) if phase is not None}
            assert set(named) == {"ED", "ES"}
            for phase, pixels in named.items():
                frame = cines[f"{patient}_{phase}"].load()
                assert pixels.shape[0] == frame.image.shape[0]
                assert pixels.mean() == pytest.approx(frame.image.mean(), rel=0.01)

    @pytest.mark.parametrize("layout", ["mnms", "nnunet"])
    def test_a_folder_gives_its_patients_with_ed_and_es_by_kind_or_bare(self, cines, tmp_path, layout):
        write_phantoms(tmp_path / "data", 2, layout=layout)
        for spec in (f"{layout}:{tmp_path / 'data'}", tmp_path / "data"):
            found = read_all(spec)
            assert set(found) == {"phantom001", "phantom002"}
            self.check(found, cines)

    def test_so_does_a_virtual_one(self, cines):
        found = read_all("phantom:2")
        assert set(found) == {"phantom001", "phantom002"}
        self.check(found, cines)

    def test_frames_of_a_packed_one_are_told_apart(self, cines, tmp_path):
        write_packed(open_dataset("phantom:1"), tmp_path / "x.zip")
        for spec in (f"packed:{tmp_path / 'x.zip'}", tmp_path / "x.zip"):
            (study,) = plan_studies([spec])
            images = [read_planned(image, Wishes(), paired=True) for image in study.images]
            assert [phases(image) for image in images] == [(0, None), (None, 0)]
            assert [image.shown.name for image in study.images] == ["phantom001_ED", "phantom001_ES"]
            assert len({content_sha256(image, read) for image, read in zip(study.images, images, strict=True)}) == 2
        before = state_of(study)
        (tmp_path / "x.zip").touch()
        assert state_of(study) != before

    def test_a_missing_image_is_a_problem_of_its_patient(self, tmp_path):
        write_phantoms(tmp_path, 2, layout="mnms", n_phases=2)
        next(tmp_path.rglob("phantom002_sa.nii.gz")).unlink()
        one, two = plan_studies([tmp_path])
        assert one.problem is None
        assert "phantom002_sa.nii.gz" in str(two.problem)

    def test_phases_beyond_the_cine_are_refused_by_the_table(self, tmp_path):
        write_phantoms(tmp_path, 1, layout="mnms", n_phases=3)
        table = tmp_path / "mnms_information.csv"
        lines = table.read_text().splitlines()
        cells = lines[1].split(",")
        cells[lines[0].split(",").index("ES")] = "3"
        table.write_text("\n".join([lines[0], ",".join(cells)]))
        with pytest.raises(InputError, match=r"mnms_information\.csv.*3"):
            read_all(tmp_path)

    def test_unlabelled_images_are_taken_too(self, tmp_path):
        write_phantoms(tmp_path, 1, layout="nnunet")
        (tmp_path / "imagesTr").rename(tmp_path / "imagesTs")
        for labels in (tmp_path / "labelsTr").iterdir():
            labels.unlink()
        (study,) = plan_studies([f"nnunet:{tmp_path}"])
        assert [image.labels.as_posix() for image in study.images] == [f"phantom001/phantom001_{phase}.nii.gz" for phase in ("ED", "ES")]

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
