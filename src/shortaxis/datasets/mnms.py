"""M&Ms: Multi-Centre, Multi-Vendor & Multi-Disease challenge (Campello et al., IEEE TMI 40(12):3543-3554, 2021).

Layout: `Training/Labeled`, `Training/Unlabeled`, `Validation` and `Testing`, each with a folder a subject, named by its code, that holds
the cine `CODE_sa.nii.gz` and its labels `CODE_sa_gt.nii.gz`: 4D as the cine, but drawn in the ED and ES frames only. An information table
(CSV) gives ED and ES, counted from 0, vendor, centre and pathology of each code. Labels: 1 LV, 2 MYO, 3 RV.
"""

from __future__ import annotations

import csv as tables
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.datasets.dataset import Dataset, FrameRef, LabelFile
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.body import read_body_size
from shortaxis.io.nifti import read_labels, read_nifti, write_like
from shortaxis.labels import MNMS
from shortaxis.study import Frame, Study, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

SPLITS: Final = {"train": "Training/Labeled", "unlabelled": "Training/Unlabeled", "val": "Validation", "test": "Testing"}
"""The official split: the folder of each part. `unlabelled` has images only."""

LABELLED: Final = ("train", "val", "test")
_COLUMNS: Final = ("External code", "VendorName", "Vendor", "Centre", "ED", "ES", "Age", "Pathology", "Sex", "Height", "Weight")
_VENDORS: Final = {"A": "Siemens", "B": "Philips", "C": "GE", "D": "Canon"}


@dataclass(frozen=True)
class MnmsSubject:
    """One line of the information table.

    Attributes:
        subject: Code, pathology (as the group), height, weight, centre and vendor.
        end_diastole: ED frame, counted from 0.
        end_systole: ES frame, counted from 0.
    """

    subject: Subject
    end_diastole: int
    end_systole: int


def read_mnms(root: Path | str, csv: Path | str | None = None, split: str | None = None) -> Dataset:
    """Open the labelled ED and ES frames of M&Ms; images are read when they are asked for.

    Args:
        root: The folder that holds `Training`, `Validation` and `Testing`, or some of them.
        csv: The information table; None takes the one CSV file in `root`.
        split: `train`, `val` or `test` of the official split; None takes all three.

    Raises:
        InputError: A folder, file, table column or table line is missing or wrong. Loading a frame raises it when the frame has no labels.
    """
    root = Path(root)
    if split is not None and split not in LABELLED:
        msg = f"'{split}' is no labelled part of M&Ms; choose {', '.join(LABELLED)}"
        raise InputError(msg)
    table = read_table(csv if csv is not None else _find_table(root))
    refs = []
    for part in LABELLED if split is None else (split,):
        for code, folder in sorted(_folders(root, part).items()):
            if code not in table:
                msg = f"{folder}: the information table has no line for {code}; give the table of this data set"
                raise InputError(msg)
            image, labels = (_existing(folder / f"{code}_sa{ending}.nii.gz") for ending in ("", "_gt"))
            known = table[code]
            for phase, index in (("ED", known.end_diastole), ("ES", known.end_systole)):
                name = f"{code}_{phase}"
                load = partial(_load, name, phase, index, known, image, labels)
                subject, file = known.subject, LabelFile(labels, MNMS, index)
                refs.append(FrameRef(name, code, phase, subject.group, load, file, vendor=subject.vendor, centre=subject.centre))
    if not refs:
        msg = f"{root}: holds no labelled M&Ms subjects; give the folder that holds {', '.join(SPLITS[part] for part in LABELLED)}"
        raise InputError(msg)
    return Dataset("mnms", tuple(sorted(refs, key=lambda ref: ref.name)))


def official_split(root: Path | str) -> dict[str, tuple[str, ...]]:
    """Give the codes of each part of the official split, as the folders say, sorted; an absent folder gives none."""
    return {part: tuple(sorted(_folders(Path(root), part))) for part in SPLITS}


def read_table(path: Path | str) -> dict[str, MnmsSubject]:
    """Read the information table.

    Returns:
        One entry a code.

    Raises:
        InputError: The table is absent, lacks a column, or a line gives no valid ED or ES.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(tables.DictReader(file))
    except (OSError, UnicodeDecodeError, tables.Error) as error:
        msg = f"{path}: the M&Ms information table cannot be read ({error}); give its CSV file"
        raise InputError(msg) from error
    missing = [column for column in ("External code", "ED", "ES") if not rows or column not in rows[0]]
    if missing:
        msg = f"{path}: has no column '{missing[0]}'; give the M&Ms information table"
        raise InputError(msg)
    return {row["External code"]: _line(row, path) for row in rows}


def read_study(root: Path | str, code: str, csv: Path | str | None = None) -> Study:
    """Read the whole cine of one subject, labelled or not, with its ED and ES phases and what is known of the patient.

    Raises:
        InputError: As `read_mnms`, or no part of the split holds this code.
    """
    root = Path(root)
    known = read_table(csv if csv is not None else _find_table(root)).get(code)
    folder = next((folders[code] for folders in (_folders(root, part) for part in SPLITS) if code in folders), None)
    if known is None or folder is None:
        msg = f"{root}: has no subject {code}, or its table has none; check the code"
        raise InputError(msg)
    study = read_nifti(_existing(folder / f"{code}_sa.nii.gz"))
    return replace(study, end_diastole=known.end_diastole, end_systole=known.end_systole, subject=known.subject)


def list_images(root: Path | str) -> list[tuple[Path, MnmsSubject, Path]]:
    """List the cines of all parts, labelled or not, in the order of their codes.

    Args:
        root: The folder that holds `Training`, `Validation` and `Testing`, or some of them.

    Returns:
        Of each subject the cine, which may be absent, its line of the information table, and that table.

    Raises:
        InputError: The table is missing or wrong, or has no line for a subject; or there is no subject.
    """
    root = Path(root)
    path = _find_table(root)
    table = read_table(path)
    folders = {code: folder for part in SPLITS for code, folder in _folders(root, part).items()}
    unknown = sorted(set(folders) - set(table))
    if unknown or not folders:
        msg = (
            f"{folders[unknown[0]]}: the information table {path.name} has no line for {unknown[0]}; give the table of this data set"
            if unknown
            else f"{root}: holds no M&Ms subjects; give the folder that holds {', '.join(SPLITS.values())}"
        )
        raise InputError(msg)
    return [(folder / f"{code}_sa.nii.gz", table[code], path) for code, folder in sorted(folders.items())]


def write_mnms(root: Path | str, items: Iterable[tuple[Study, NDArray[np.uint8], str]]) -> None:
    """Write studies in the layout of M&Ms, with their information table.

    Args:
        root: The folder to fill.
        items: Of each subject the cine (with identifier, ED and ES), its labels uint8 (T, D, H, W) with values of
            `shortaxis.labels.Structure`, and the part of the split: `train`, `unlabelled`, `val` or `test`.

    Raises:
        InputError: A study lacks identifier, ED or ES, a part is unknown, or a file cannot be written.
    """
    root = Path(root)
    rows: list[dict[str, object]] = []
    for study, labels, part in items:
        code = study.subject.identifier
        if not code or study.end_diastole is None or study.end_systole is None or part not in SPLITS:
            msg = (
                f"{code or 'an unnamed study'} cannot be written as M&Ms: it needs an identifier, ED, ES and a part of {', '.join(SPLITS)}"
            )
            raise InputError(msg)
        folder = root / SPLITS[part] / code
        write_like(study.pixels, study, folder / f"{code}_sa.nii.gz", dtype=np.float32)
        if part != "unlabelled":
            drawn = np.zeros_like(labels)
            annotated = [study.end_diastole, study.end_systole]
            drawn[annotated] = labels[annotated]
            write_like(MNMS.from_canonical(drawn), study, folder / f"{code}_sa_gt.nii.gz")
        rows.append(_row(study))
    with atomic_path(root / "mnms_information.csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = tables.DictWriter(file, ("", *_COLUMNS))
        writer.writeheader()
        writer.writerows({"": number, **row} for number, row in enumerate(rows))


def _load(name: str, phase: str, index: int, known: MnmsSubject, image: Path, labels: Path) -> Frame:
    study = read_nifti(image)
    truth = read_labels(labels, MNMS, like=study)
    drawn = np.flatnonzero(truth.reshape(len(truth), -1).any(axis=1)).tolist()
    if index not in drawn:
        msg = f"{labels}: frame {index} ({phase}, counted from 0) has no labels, only {drawn} have; correct the information table"
        raise InputError(msg)
    subject = known.subject
    return Frame(name, str(subject.identifier), phase, subject.group, study.pixels[index], truth[index], study.spacing)


def _folders(root: Path, part: str) -> dict[str, Path]:
    folder = root / SPLITS[part]
    return {entry.name: entry for entry in folder.iterdir() if entry.is_dir()} if folder.is_dir() else {}


def _find_table(root: Path) -> Path:
    found = sorted(root.glob("*.csv"))
    if len(found) != 1:
        msg = f"{root}: holds {len(found)} CSV files where the one M&Ms information table is due; put it there, or name it"
        raise InputError(msg)
    return found[0]


def _existing(path: Path) -> Path:
    if not path.is_file():
        msg = f"{path}: no such file; every labelled M&Ms subject needs CODE_sa.nii.gz and CODE_sa_gt.nii.gz"
        raise InputError(msg)
    return path


def _line(row: Mapping[str, str], path: Path) -> MnmsSubject:
    code = row["External code"]
    try:
        end_diastole, end_systole = int(row["ED"]), int(row["ES"])
        given = (float(row[key].replace(",", ".")) if row.get(key) else None for key in ("Height", "Weight"))
        height, weight, remarks = read_body_size(*given)
    except (ValueError, TypeError) as error:
        msg = f"{path}: the line of {code} needs whole numbers for ED and ES, and numbers for Height and Weight, if any"
        raise InputError(msg) from error
    for remark in remarks:
        warnings.warn(f"{path}: of {code}, {remark}", DataWarning, stacklevel=2)
    subject = Subject(code, row.get("Pathology") or None, height, weight, row.get("Centre") or None, row.get("Vendor") or None)
    return MnmsSubject(subject, end_diastole, end_systole)


def _row(study: Study) -> dict[str, object]:
    subject = study.subject
    return {
        "External code": subject.identifier,
        "VendorName": _VENDORS.get(subject.vendor or "", ""),
        "Vendor": subject.vendor,
        "Centre": subject.centre,
        "ED": study.end_diastole,
        "ES": study.end_systole,
        "Pathology": subject.group,
        "Height": subject.height_cm,
        "Weight": subject.weight_kg,
    }
