"""ACDC folders, in and out."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from shortaxis.datasets.acdc import list_images, list_patients, read_acdc, read_image, read_patient, write_acdc_patient
from shortaxis.errors import DataWarning, InputError
from shortaxis.study import Study, Subject


def cine(name="patient003", *, whole=True, end_diastole=1, end_systole=3, group="DCM"):
    """A cine of four phases in which the value of each voxel tells its phase, and labels of all four classes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 90, (4, 3, 6, 5)) + 100.0 * np.arange(4)[:, None, None, None]
    if not whole:
        pixels += 0.25
    subject = Subject(name, group, 180.0, 75.5)
    study = Study(pixels.astype(np.float32), (8.0, 1.25, 1.5), end_diastole=end_diastole, end_systole=end_systole, subject=subject)
    return study, rng.integers(0, 4, pixels.shape, np.uint8)


@pytest.fixture
def root(tmp_path):
    for name in ("patient003", "patient001"):
        write_acdc_patient(tmp_path, *cine(name))
    return tmp_path


def test_a_patient_folder_has_acdcs_layout(root):
    folder = root / "patient003"
    assert sorted(path.name for path in folder.iterdir()) == [
        "Info.cfg",
        "patient003_4d.nii.gz",
        "patient003_frame02.nii.gz",
        "patient003_frame02_gt.nii.gz",
        "patient003_frame04.nii.gz",
        "patient003_frame04_gt.nii.gz",
    ]
    assert (folder / "Info.cfg").read_text() == "ED: 2\nES: 4\nGroup: DCM\nHeight: 180.0\nNbFrame: 4\nWeight: 75.5\n"


def test_what_is_written_is_read_back(root):
    data = read_acdc(root)
    study, labels = cine()
    assert data.name == "acdc"
    assert [ref.name for ref in data.refs] == [f"patient{p}_frame{f}" for p in ("001", "003") for f in ("02", "04")]
    for frame, phase, index in zip(data.select(["patient003"]), ("ED", "ES"), (1, 3), strict=True):
        assert (frame.patient, frame.phase, frame.group, frame.spacing) == ("patient003", phase, "DCM", (8.0, 1.25, 1.5))
        np.testing.assert_array_equal(frame.image, study.pixels[index])
        np.testing.assert_array_equal(frame.labels, labels[index])


def test_whole_intensities_are_stored_as_integers_and_others_as_floats(root, tmp_path):
    assert nib.load(root / "patient003" / "patient003_4d.nii.gz").get_data_dtype() == np.int16
    study, labels = cine("patient009", whole=False)
    folder = write_acdc_patient(tmp_path, study, labels)
    image = nib.load(folder / "patient009_4d.nii.gz")
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, study.pixels)


def test_list_images_tells_phase_and_labels_and_leaves_label_files_out(root):
    (root / "patient003" / "patient003_frame01.nii.gz").write_bytes(b"")
    (root / "patient003" / "notes.txt").write_text("text")
    images = list_images(root / "patient003")
    assert [(image.path.name, image.frame, image.phase, image.labels and image.labels.name) for image in images] == [
        ("patient003_4d.nii.gz", None, None, None),
        ("patient003_frame01.nii.gz", 1, None, None),
        ("patient003_frame02.nii.gz", 2, "ED", "patient003_frame02_gt.nii.gz"),
        ("patient003_frame04.nii.gz", 4, "ES", "patient003_frame04_gt.nii.gz"),
    ]
    assert images[0].patient.subject == Subject("patient003", "DCM", 180.0, 75.5)
    assert [image.patient.name for image in list_images(root)] == ["patient001"] * 3 + ["patient003"] * 4


def test_an_image_is_read_with_its_patient_and_phases(root):
    (root / "patient003" / "patient003_frame02.nii.gz").rename(root / "patient003" / "patient003_frame01.nii.gz")
    cine_study, other, systole = (read_image(image) for image in list_images(root / "patient003"))
    assert (cine_study.n_phases, cine_study.end_diastole, cine_study.end_systole) == (4, 1, 3)
    assert (other.n_phases, other.end_diastole, other.end_systole) == (1, None, None)
    assert (systole.n_phases, systole.end_diastole, systole.end_systole) == (1, None, 0)
    assert systole.subject == Subject("patient003", "DCM", 180.0, 75.5)


def test_a_linked_patient_folder_keeps_the_name_of_the_link(root):
    (root / "patient005").symlink_to(root / "patient003")
    assert read_patient(root / "patient005").name == "patient005"


def test_one_patients_folder_is_a_data_set_of_its_own(root):
    assert read_acdc(root / "patient001").patients == ("patient001",)


def test_files_without_gz_are_read(root):
    for path in (root / "patient001").glob("*.nii.gz"):
        nib.save(nib.load(path), path.with_suffix(""))
        path.unlink()
    np.testing.assert_array_equal(read_acdc(root / "patient001").refs[0].load().image, cine()[0].pixels[1])


@pytest.mark.parametrize(
    ("content", "height", "weight"),
    [
        ("\ufeffED: 1\nES: 12\nHeight: 170.5\nWeight: 70\n".encode(), 170.5, 70.0),
        ("ED: 1\nES: 12\nHeight: 170.5\nWeight: 70\n".encode("utf-16"), 170.5, 70.0),
        (b"ED: 1\r\nES: 12\r\nHeight: 170,5\r\nWeight: 70,0\r\n", 170.5, 70.0),
        (b"ED: 1\rES: 12\rHeight: 1.705\rWeight: 70\r", 170.5, 70.0),
        (b"ED: 1\nES: 12\nHeight: 0\nWeight: 0\n", None, None),
    ],
)
def test_info_cfg_is_read_however_an_editor_stored_it(tmp_path, content, height, weight):
    (tmp_path / "Info.cfg").write_bytes(content)
    patient = read_patient(tmp_path)
    assert (patient.end_diastole, patient.end_systole) == (1, 12)
    assert (patient.subject.height_cm, patient.subject.weight_kg) == (height, weight)


def test_a_body_size_that_no_patient_has_is_warned_about_with_the_file(tmp_path):
    (tmp_path / "Info.cfg").write_text("ED: 1\nES: 12\nHeight: 70\nWeight: 170\n")
    with pytest.warns(DataWarning, match=r"Info\.cfg.*170 kg"):
        read_patient(tmp_path)


def test_a_patient_of_whom_little_is_known(tmp_path):
    folder = tmp_path / "patient150"
    folder.mkdir()
    (folder / "Info.cfg").write_text("ED: 1\nES: 12\n")
    patient = read_patient(folder)
    assert (patient.end_diastole, patient.end_systole, patient.n_frames) == (1, 12, None)
    assert patient.subject == Subject("patient150")


def test_ed_and_es_in_one_frame_are_written_once(tmp_path):
    study, labels = cine(end_systole=1)
    folder = write_acdc_patient(tmp_path, study, labels)
    assert len(list(folder.glob("*_gt.nii.gz"))) == 1


class TestRefused:
    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"none: no such folder.*patient001"):
            list_patients(tmp_path / "none")

    def test_a_folder_without_patients(self, tmp_path):
        (tmp_path / "training").mkdir()
        with pytest.raises(InputError, match="holds no ACDC patient folders"):
            read_acdc(tmp_path)

    def test_a_missing_info_file(self, root):
        (root / "patient001" / "Info.cfg").unlink()
        with pytest.raises(InputError, match=r"patient001/Info\.cfg: no such file"):
            read_acdc(root)

    @pytest.mark.parametrize("key", ["ED", "ES"])
    @pytest.mark.parametrize(
        ("line", "said"), [("", "missing"), ("{key}: ", "missing"), ("{key}: x", "x"), ("{key}: 0", "0"), ("{key}: -1", "-1")]
    )
    def test_an_info_file_without_ed_or_es(self, root, key, line, said):
        path = root / "patient001" / "Info.cfg"
        other = "ES" if key == "ED" else "ED"
        path.write_text(f"{other}: 2\n{line.format(key=key)}\n")
        with pytest.raises(InputError, match=rf"Info\.cfg: {key} is {said}; it must name the {key} frame"):
            read_acdc(root)

    def test_a_height_that_is_no_number(self, root):
        (root / "patient001" / "Info.cfg").write_text("ED: 2\nES: 4\nHeight: tall\n")
        with pytest.raises(InputError, match=r"Info\.cfg: .*'tall'.*number"):
            read_acdc(root)

    def test_an_info_file_that_is_no_text(self, root):
        (root / "patient001" / "Info.cfg").write_bytes(b"\xff\xfe\xff")
        with pytest.raises(InputError, match=r"Info\.cfg: cannot be read"):
            read_acdc(root)

    @pytest.mark.parametrize("ending", ["", "_gt"])
    def test_a_frame_without_image_or_labels(self, root, ending):
        (root / "patient001" / f"patient001_frame04{ending}.nii.gz").unlink()
        with pytest.raises(InputError, match=rf"frame04{ending}\.nii\.gz: no such file"):
            read_acdc(root)

    def test_a_cine_shorter_than_its_info_file_says(self, root):
        (root / "patient001" / "Info.cfg").write_text("ED: 2\nES: 5\n")
        with pytest.raises(InputError, match=r"Info\.cfg: .*frame 5.*_4d\.nii\.gz has 4"):
            read_image(list_images(root / "patient001")[0])

    def test_a_frame_that_is_a_cine(self, root):
        folder = root / "patient001"
        (folder / "patient001_4d.nii.gz").rename(folder / "patient001_frame02.nii.gz")
        with pytest.raises(InputError, match=r"patient001_frame02\.nii\.gz: .*4 phases"):
            read_acdc(root).refs[0].load()

    @pytest.mark.parametrize("change", [{"end_diastole": None}, {"end_systole": None}, {"subject": Subject()}])
    def test_writing_a_study_of_which_too_little_is_known(self, tmp_path, change):
        study, labels = cine()
        with pytest.raises(InputError, match=r"cannot be written as ACDC: .*ED and ES"):
            write_acdc_patient(tmp_path, replace(study, **change), labels)


@pytest.mark.data
@pytest.mark.slow
def test_the_real_training_set_has_the_known_size(acdc_root):
    """100 patients in five groups of 20, 200 frames, 1902 slices, of which 61 show no foreground; 6 to 18 slices of 5 to 10 mm."""
    data = read_acdc(acdc_root)
    assert len(data) == 200
    assert len(data.patients) == 100
    groups = list(data.groups.values())
    assert {group: groups.count(group) for group in set(groups)} == dict.fromkeys(("NOR", "DCM", "HCM", "MINF", "RV"), 20)
    n_slices, n_empty, depths, distances, pixels = 0, 0, set(), set(), set()
    for frame in data:
        n_slices += len(frame.labels)
        n_empty += int((~frame.labels.any(axis=(1, 2))).sum())
        depths.add(len(frame.labels))
        distances.add(frame.spacing[0])
        pixels |= set(frame.spacing[1:])
    assert (n_slices, n_empty) == (1902, 61)
    assert (min(depths), max(depths)) == (6, 18)
    assert (min(distances), max(distances)) == (5.0, 10.0)
    assert 0.69 < min(pixels) < 0.71
    assert 1.9 < max(pixels) < 1.96


class TestScanner:
    """What may be said of the scanner, in `Info.cfg` or once for all patients."""

    def test_frames_say_what_stands_beside_their_folders_unless_their_own_file_says_otherwise(self, root):
        (root / "scanner.cfg").write_text("Vendor: GE\nCentre: Toronto\nFieldStrength: 1.5\n")
        own = root / "patient003" / "Info.cfg"
        own.write_text(own.read_text() + "Vendor: Siemens\nFieldStrength: 3\n")
        told = {ref.patient: (ref.vendor, ref.centre, ref.field_strength_t) for ref in read_acdc(root).refs}
        assert told == {"patient001": ("GE", "Toronto", 1.5), "patient003": ("Siemens", "Toronto", 3.0)}
        assert read_patient(root / "patient003").subject.vendor == "Siemens"

    def test_nothing_is_known_of_the_challenge_s_own_folders(self, root):
        assert {(ref.vendor, ref.centre, ref.field_strength_t) for ref in read_acdc(root).refs} == {(None, None, None)}

    def test_a_field_that_is_no_number_is_refused(self, root):
        (root / "scanner.cfg").write_text("FieldStrength: strong\n")
        with pytest.raises(InputError, match="strong"):
            read_acdc(root)
