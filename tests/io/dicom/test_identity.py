"""Who was scanned, as the header says it; what cannot be is None."""

from __future__ import annotations

import warnings

import pydicom
import pytest

from shortaxis.errors import InputError
from shortaxis.io.dicom import Identity, read_dicom, read_identity
from shortaxis.phantom.dicom import write_dicom


@pytest.fixture(scope="module")
def source(tmp_path_factory, cine):
    folder = tmp_path_factory.mktemp("identity")
    write_dicom(folder, cine)
    return read_dicom(folder).source


@pytest.fixture
def identity_of(source):
    """Change the header of the study's first image, and read the patient."""
    path = source.instances[0][0].path
    before = path.read_bytes()

    def read(**changes) -> Identity:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            for keyword, value in changes.items():
                if value is None:
                    del dataset[keyword]
                else:
                    setattr(dataset, keyword, value)
            dataset.save_as(path)
        return read_identity(source)

    yield read
    path.write_bytes(before)


def test_the_patient_and_the_day_of_the_study_are_read(identity_of):
    assert identity_of() == Identity("CANARY-ID", "CANARY, NAME", "1901-12-31", "O", "2020-01-01")


def test_what_is_absent_is_none(identity_of):
    absent = dict.fromkeys(("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate"))
    assert identity_of(**absent) == Identity()
    assert identity_of() == Identity(), "the fixture keeps the change within a test"


@pytest.mark.parametrize("value", ["", "   "])
def test_what_is_empty_is_none(identity_of, value):
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate")
    assert identity_of(**dict.fromkeys(keywords, value)) == Identity()


@pytest.mark.parametrize("day", ["00000000", "20120000", "20230229", "1 May 1970", "197005", "2020010112"])
def test_a_day_that_is_none_is_none(identity_of, day):
    identity = identity_of(PatientBirthDate=day, StudyDate=day)
    assert (identity.birth_date, identity.study_date) == (None, None)


def test_a_day_in_the_form_of_before_1993_is_read(identity_of):
    assert identity_of(PatientBirthDate="1970.05.01").birth_date == "1970-05-01"


@pytest.mark.parametrize(("sex", "read"), [("M", "M"), ("f", "F"), ("O", "O"), ("U", None), ("male", None)])
def test_only_the_sexes_that_dicom_knows_are_read(identity_of, sex, read):
    assert identity_of(PatientSex=sex).sex == read


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Mary^Dr^MD", "Doe, Jane Mary Dr MD"),
        ("Doe", "Doe"),
        ("^Jane", "Jane"),
        ("Doe^^^^", "Doe"),
        ("^^", None),
        ("Müller^Jörg", "Müller, Jörg"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"),
        ("=山田^太郎", "山田, 太郎"),
    ],
)
def test_a_name_is_written_as_people_do(identity_of, name, read):
    assert identity_of(PatientName=name).name == read


def test_a_name_in_another_character_set_is_read(identity_of):
    assert identity_of(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg").name == "Müller, Jörg"


def test_a_value_that_cannot_be_decoded_is_none(identity_of, monkeypatch):
    get = pydicom.Dataset.get

    def damaged(self, key, default=None):
        if key == "PatientID":
            raise NotImplementedError
        return get(self, key, default)

    monkeypatch.setattr(pydicom.Dataset, "get", damaged)
    assert identity_of() == Identity(None, "CANARY, NAME", "1901-12-31", "O", "2020-01-01")


def test_a_file_that_went_away_is_named(tmp_path, cine):
    write_dicom(tmp_path, cine)
    source = read_dicom(tmp_path).source
    path = source.instances[0][0].path
    path.unlink()
    with pytest.raises(InputError, match=rf"{path.name}: is gone"):
        read_identity(source)
