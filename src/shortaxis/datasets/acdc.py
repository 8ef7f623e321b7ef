"""ACDC: Automated Cardiac Diagnosis Challenge (Bernard et al., IEEE TMI 37(11):2514-2525, 2018, doi 10.1109/TMI.2018.2837502).

Layout: one folder a patient, such as `patient001`, with `Info.cfg` (ED, ES, Group, Height, Weight, NbFrame; frames counted from 1), the
cine `patient001_4d.nii.gz`, the frames `patient001_frame01.nii.gz` and their labels `patient001_frame01_gt.nii.gz`.
Labels: 1 RV, 2 MYO, 3 LV.

The challenge does not say which patient was scanned where. For data of your own in this layout, `Info.cfg` may also have Vendor, Centre and
FieldStrength (in tesla); what holds for all patients may stand once in `scanner.cfg` beside their folders.
"""

from __future__ import annotations

import codecs
import math
import re
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.datasets.dataset import Dataset, FrameRef, LabelFile
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.body import read_body_size
from shortaxis.io.limits import read_bytes
from shortaxis.io.nifti import read_labels, read_nifti, write_like
from shortaxis.labels import ACDC
from shortaxis.study import Frame, Subject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Study

INFO: Final = "Info.cfg"
_DECIMAL_COMMA: Final = re.compile(r"\d+,\d+")
SCANNER: Final = "scanner.cfg"
_IMAGE: Final = re.compile(r"(?P<patient>.+?)_(?:frame(?P<frame>\d+)|4d)\.nii(\.gz)?")


@dataclass(frozen=True)
class AcdcPatient:
    """What a patient folder's `Info.cfg` says, and the `scanner.cfg` beside the folder of what it leaves open.

    Attributes:
        folder: The patient's folder; its name is the patient's.
        subject: Identifier, group, height, weight, and the scanner's vendor, centre and field strength.
        end_diastole: Number of the ED frame, counted from 1 as in the file names.
        end_systole: Number of the ES frame, counted from 1.
        n_frames: Frames of the whole cine, or None where the file does not say.
    """

    folder: Path
    subject: Subject
    end_diastole: int
    end_systole: int
    n_frames: int | None

    @property
    def name(self) -> str:
        """The patient's name, such as `patient001`."""
        return self.folder.name

    def phase_of(self, frame: int) -> str | None:
        """Tell whether a frame, counted from 1, is `ED` or `ES`; None for any other."""
        return {self.end_systole: "ES", self.end_diastole: "ED"}.get(frame)


@dataclass(frozen=True)
class AcdcImage:
    """One image file of an ACDC folder.

    Attributes:
        path: The image.
        patient: Whose it is.
        frame: Its number, counted from 1; None for the whole cine.
        labels: Its label file, or None where there is none.
    """

    path: Path
    patient: AcdcPatient
    frame: int | None
    labels: Path | None

    @property
    def phase(self) -> str | None:
        """`ED`, `ES`, or None for another frame and for the cine."""
        return None if self.frame is None else self.patient.phase_of(self.frame)


def read_patient(folder: Path | str) -> AcdcPatient:
    """Read `Info.cfg` of one patient, and `scanner.cfg` beside the patient's folder, if any.

    A byte order mark, any ends of lines and a decimal comma are taken as they come.

    Raises:
        InputError: `Info.cfg` is absent, a file cannot be read, or no ED or no ES frame is named.

    Warns:
        DataWarning: Height or weight is in an unusual unit, or is not plausible and therefore not used.
    """
    folder = Path(folder)
    path = folder / INFO
    beside = folder.absolute().parent / SCANNER
    facts = (_facts(beside) if beside.is_file() else {}) | _facts(path)
    height, weight, remarks = read_body_size(*(_number(facts, key, path, may_be_zero=True) for key in ("Height", "Weight")))
    for remark in remarks:
        warnings.warn(f"{path}: {remark}", DataWarning, stacklevel=1)  # from one place, so that it is shown once
    subject = Subject(
        identifier=folder.absolute().name,
        group=facts.get("Group") or None,
        height_cm=height,
        weight_kg=weight,
        centre=facts.get("Centre") or None,
        vendor=facts.get("Vendor") or None,
        field_strength_t=_number(facts, "FieldStrength", path),
    )
    frames = _number(facts, "NbFrame", path)
    return AcdcPatient(folder.absolute(), subject, _frame(facts, "ED", path), _frame(facts, "ES", path), int(frames) if frames else None)


def list_patients(root: Path | str) -> list[AcdcPatient]:
    """Read the patients of a folder of patient folders, or of one patient's folder, sorted by name.

    Raises:
        InputError: The folder is absent or holds no patients, or a folder with images lacks a valid `Info.cfg`.
    """
    root = Path(root)
    if not root.is_dir():
        msg = f"{root}: no such folder; give the folder that holds patient001, patient002, …"
        raise InputError(msg)
    if (root / INFO).is_file():
        return [read_patient(root)]
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and _holds_patient(folder))
    if not folders:
        msg = f"{root}: holds no ACDC patient folders; give the folder that holds patient001, patient002, …"
        raise InputError(msg)
    return [read_patient(folder) for folder in folders]


def list_images(root: Path | str) -> list[AcdcImage]:
    """List the images of an ACDC folder, labelled or not: frames and cines, without the label files, sorted by name.

    Args:
        root: A folder of patient folders, or one patient's folder.

    Raises:
        InputError: As `list_patients`.
    """
    images = []
    for patient in list_patients(root):
        for path in sorted(patient.folder.iterdir()):
            if match := _IMAGE.fullmatch(path.name):
                frame = int(match["frame"]) if match["frame"] else None
                labels = path.with_name(path.name.replace(".nii", "_gt.nii"))
                images.append(AcdcImage(path, patient, frame, labels if labels.is_file() else None))
    return images


def read_image(image: AcdcImage) -> Study:
    """Read an image of `list_images` with its patient and, as far as it holds them, its ED and ES phases.

    Raises:
        InputError: The file is not fit for use, or `Info.cfg` names a frame that the cine does not have.
    """
    study, patient = read_nifti(image.path), image.patient
    frames = range(1, study.n_phases + 1) if image.frame is None else [image.frame]
    index = {frame: at for at, frame in enumerate(frames)}
    end_diastole, end_systole = index.get(patient.end_diastole), index.get(patient.end_systole)
    if image.frame is None and None in (end_diastole, end_systole):
        last = max(patient.end_diastole, patient.end_systole)
        msg = f"{patient.folder / INFO}: names frame {last}, but {image.path} has {study.n_phases}; correct one of them"
        raise InputError(msg)
    return replace(study, subject=patient.subject, end_diastole=end_diastole, end_systole=end_systole)


def read_acdc(root: Path | str) -> Dataset:
    """Open ACDC's labelled ED and ES frames; images are read when they are asked for.

    Args:
        root: The folder that holds `patient001`, `patient002`, …, or one patient's folder.

    Raises:
        InputError: As `list_patients`, or an ED or ES frame lacks its image or its labels.
    """
    refs = []
    for patient in list_patients(root):
        for phase, number in (("ED", patient.end_diastole), ("ES", patient.end_systole)):
            name = f"{patient.name}_frame{number:02d}"
            image, labels = (_existing(patient.folder / f"{name}{ending}") for ending in ("", "_gt"))
            load = partial(_load, name, phase, patient.subject, image, labels)
            refs.append(
                FrameRef(
                    name,
                    patient.name,
                    phase,
                    patient.subject.group,
                    load,
                    LabelFile(labels, ACDC),
                    vendor=patient.subject.vendor,
                    centre=patient.subject.centre,
                    field_strength_t=patient.subject.field_strength_t,
                )
            )
    return Dataset("acdc", tuple(sorted(refs, key=lambda ref: ref.name)))


def write_acdc_patient(root: Path | str, study: Study, labels: NDArray[np.uint8]) -> Path:
    """Write one patient folder in ACDC's layout: `Info.cfg`, the cine, and the ED and ES frames with labels.

    Args:
        root: Where to make the patient's folder; it is named after `study.subject.identifier`.
        study: A cine whose ED and ES phases are known.
        labels: uint8 (T, D, H, W), values of `shortaxis.labels.Structure`; those of ED and ES are written.

    Returns:
        The patient's folder.

    Raises:
        InputError: The study names no patient, no ED or no ES phase, or a file cannot be written.
    """
    subject = study.subject
    if not subject.identifier or study.end_diastole is None or study.end_systole is None:
        msg = f"the study of {subject.identifier or 'an unnamed patient'} cannot be written as ACDC: it needs an identifier, ED and ES"
        raise InputError(msg)
    folder = Path(root) / subject.identifier
    facts: dict[str, Any] = {
        "ED": study.end_diastole + 1,
        "ES": study.end_systole + 1,
        "Group": subject.group,
        "Height": subject.height_cm,
        "NbFrame": study.n_phases,
        "Weight": subject.weight_kg,
    }
    dtype = np.int16 if _fits_int16(study.pixels) else np.float32
    write_like(study.pixels, study, folder / f"{folder.name}_4d.nii.gz", dtype=dtype)
    for phase in sorted({study.end_diastole, study.end_systole}):
        name = f"{folder.name}_frame{phase + 1:02d}"
        write_like(study.pixels[phase], study, folder / f"{name}.nii.gz", dtype=dtype)
        write_like(ACDC.from_canonical(labels[phase]), study, folder / f"{name}_gt.nii.gz")
    with atomic_path(folder / INFO) as temporary:
        temporary.write_text("".join(f"{key}: {value}\n" for key, value in facts.items() if value is not None), encoding="utf-8")
    return folder


def _load(name: str, phase: str, subject: Subject, image: Path, labels: Path) -> Frame:
    study = read_nifti(image)
    if study.n_phases != 1:
        msg = f"{image}: holds {study.n_phases} phases where one frame is due; give the 3D frame"
        raise InputError(msg)
    truth = read_labels(labels, ACDC, like=study)
    return Frame(name, str(subject.identifier), phase, subject.group, study.pixels[0], truth[0], study.spacing)


def _holds_patient(folder: Path) -> bool:
    return (folder / INFO).is_file() or any(_IMAGE.fullmatch(path.name) for path in folder.iterdir())


def _existing(stem: Path) -> Path:
    """Find `stem` with `.nii.gz` or `.nii`."""
    for ending in (".nii.gz", ".nii"):
        path = stem.with_name(stem.name + ending)
        if path.is_file():
            return path
    msg = f"{stem}.nii.gz: no such file, although {INFO} names this frame; ED and ES need an image and its labels (_gt)"
    raise InputError(msg)


def _decoded(content: bytes) -> str:
    """The text of a file that an editor may have stored as UTF-16 or with a byte order mark."""
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig")


def _facts(path: Path) -> dict[str, str]:
    """The lines `KEY: VALUE` of a file."""
    try:
        lines = _decoded(read_bytes(path)).splitlines()
    except InputError:
        raise
    except FileNotFoundError as error:
        msg = f"{path}: no such file; an ACDC patient folder needs it to name the ED and ES frames"
        raise InputError(msg) from error
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error}); copy it again"
        raise InputError(msg) from error
    return {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}


def _number(facts: dict[str, str], key: str, path: Path, *, may_be_zero: bool = False) -> float | None:
    value = facts.get(key)
    if not value:
        return None
    try:
        number = float(value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value) else value)
    except ValueError as error:
        msg = f"{path}: {key} is '{value}', which is no number; correct it"
        raise InputError(msg) from error
    if not math.isfinite(number) or number < 0 or (number == 0 and not may_be_zero):
        msg = f"{path}: {key} is {value}; it must be above zero, or left out where it is not known"
        raise InputError(msg)
    return number


def _frame(facts: dict[str, str], key: str, path: Path) -> int:
    value = facts.get(key, "")
    if not value.isdecimal() or int(value) < 1:
        msg = f"{path}: {key} is {value or 'missing'}; it must name the {key} frame, counted from 1, as in '{key}: 1'"
        raise InputError(msg)
    return int(value)


def _fits_int16(pixels: NDArray[Any]) -> bool:
    return bool(np.abs(pixels).max() <= np.iinfo(np.int16).max and (pixels == np.rint(pixels)).all())
