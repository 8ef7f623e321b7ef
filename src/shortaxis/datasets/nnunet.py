"""nnU-Net's raw folder: `imagesTr/NAME_0000.nii.gz`, `labelsTr/NAME.nii.gz` and `dataset.json` that says what the labels mean.

Both forms of `labels` are read: {"background": 0, "RV": 1, …} (version 2) and {"0": "background", "1": "RV", …} (version 1).
What nnU-Net has no place for (patient, phase, group) is kept in `dataset.json` under `shortaxis`; nnU-Net ignores it.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from shortaxis.datasets.dataset import Dataset, FrameRef, LabelFile
from shortaxis.errors import InputError
from shortaxis.io.atomic import write_json
from shortaxis.io.nifti import read_labels, read_nifti, write_like
from shortaxis.labels import ACDC, LabelScheme, Structure
from shortaxis.study import Frame, Study

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DESCRIPTION: Final = "dataset.json"
_ENDINGS: Final = (".nii.gz", ".nii")
_FRAME_NUMBER: Final = re.compile(r"_(frame)?\d+$")
_PHASE: Final = re.compile(r"(?P<patient>.+)_(?P<phase>ED|ES)", re.IGNORECASE)
_NAMES: Final = {
    Structure.BACKGROUND: ("background", "bg"),
    Structure.RV: ("rv", "rvc", "rightventricle", "rvcavity", "rvbloodpool"),
    Structure.MYO: ("myo", "mlv", "lvm", "lvmyo", "lvmyocardium", "myocardium"),
    Structure.LV: ("lv", "lvc", "leftventricle", "lvcavity", "lvbloodpool"),
}
"""What data sets call the structures, in small letters without blanks and marks."""


def read_nnunet(root: Path | str) -> Dataset:
    """Open the labelled training cases of an nnU-Net raw folder; images are read when they are asked for.

    Args:
        root: The folder, such as `nnUNet_raw/Dataset027_ACDC`. Its first channel (`_0000`) is taken.

    Raises:
        InputError: A folder or file is missing, `dataset.json` names the structures in no known words, or its files are no NIfTI files.
    """
    root = Path(root)
    description = _description(root / DESCRIPTION)
    scheme = _scheme(description.get("labels"), root / DESCRIPTION)
    ending, facts = _ending(description, root), description.get("shortaxis", {})
    refs = []
    for labels in sorted((root / "labelsTr").glob(f"*{ending}")):
        name = labels.name.removesuffix(ending)
        image = root / "imagesTr" / f"{name}_0000{ending}"
        if not image.is_file():
            msg = f"{image}: no such file, although {labels} labels it; copy the data set again"
            raise InputError(msg)
        known = facts.get(name, {})
        patient = known.get("patient") or _FRAME_NUMBER.sub("", name)
        phase, group = known.get("phase"), known.get("group")
        load = partial(_load, name, patient, phase, group, image, labels, scheme)
        refs.append(FrameRef(name, patient, phase, group, load, LabelFile(labels, scheme)))
    if not refs:
        msg = f"{root / 'labelsTr'}: holds no label files NAME{ending}; give an nnU-Net raw folder with labelled training cases"
        raise InputError(msg)
    return Dataset(root.absolute().name, tuple(sorted(refs, key=lambda ref: ref.name)))


class NnunetImage(NamedTuple):
    """An image of an nnU-Net raw folder, labelled or not.

    Attributes:
        name: Of the case.
        image: Its first channel.
        patient: Of `dataset.json`, or what the name says.
        phase: `ED`, `ES` or None, from the same.
        group: Diagnostic group, or None.
    """

    name: str
    image: Path
    patient: str
    phase: str | None
    group: str | None


def list_images(root: Path | str) -> list[NnunetImage]:
    """List the images of `imagesTr` and `imagesTs`, in the order of their names.

    Args:
        root: The folder, such as `nnUNet_raw/Dataset027_ACDC`. The first channel (`_0000`) is taken.

    Raises:
        InputError: `dataset.json` is missing or no JSON object, its images are no NIfTI files, or there are none.
    """
    root = Path(root)
    description = _description(root / DESCRIPTION)
    ending, facts = _ending(description, root), description.get("shortaxis", {})
    found = []
    for path in (path for folder in ("imagesTr", "imagesTs") for path in sorted((root / folder).glob(f"*_0000{ending}"))):
        name = path.name.removesuffix(f"_0000{ending}")
        known = facts.get(name, {})
        patient, phase = (named["patient"], named["phase"].upper()) if (named := _PHASE.fullmatch(name)) else (None, None)
        patient = known.get("patient") or patient or _FRAME_NUMBER.sub("", name)
        found.append(NnunetImage(name, path, patient, known.get("phase") or phase, known.get("group")))
    if not found:
        msg = f"{root}: holds no images imagesTr/NAME_0000{ending}; give an nnU-Net raw folder"
        raise InputError(msg)
    return found


def write_nnunet(root: Path | str, frames: Dataset | Iterable[Frame]) -> None:
    """Write frames as an nnU-Net raw folder (version 2).

    The files carry the spacing; a frame knows no orientation, so none is written.

    Args:
        root: The folder to fill.
        frames: Annotated frames; read one at a time.

    Raises:
        InputError: A file cannot be written.
    """
    root = Path(root)
    facts: dict[str, dict[str, str | None]] = {}
    for frame in frames:
        study = Study(frame.image[np.newaxis].astype(np.float32), frame.spacing)
        dtype = np.uint8 if frame.image.dtype == np.uint8 else np.float32
        write_like(frame.image, study, root / "imagesTr" / f"{frame.name}_0000.nii.gz", dtype=dtype)
        write_like(ACDC.from_canonical(frame.labels), study, root / "labelsTr" / f"{frame.name}.nii.gz")
        facts[frame.name] = {"patient": frame.patient, "phase": frame.phase, "group": frame.group}
    description = {
        "channel_names": {"0": "cineMRI"},
        "labels": {structure.name.replace("BACKGROUND", "background"): value for structure, value in ACDC.values.items()},
        "numTraining": len(facts),
        "file_ending": ".nii.gz",
        "shortaxis": facts,
    }
    write_json(root / DESCRIPTION, description)


def _load(name: str, patient: str, phase: str | None, group: str | None, image: Path, labels: Path, scheme: LabelScheme) -> Frame:
    study = read_nifti(image)
    if study.n_phases != 1:
        msg = f"{image}: holds {study.n_phases} phases where one frame is due; write each annotated frame as a case"
        raise InputError(msg)
    truth = read_labels(labels, scheme, like=study)
    return Frame(name, patient, phase, group, study.pixels[0], truth[0], study.spacing)


def _description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); give an nnU-Net raw folder"
        raise InputError(msg) from error
    except ValueError as error:
        msg = f"{path}: is not valid JSON ({error}); correct it"
        raise InputError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: must hold one JSON object; correct it"
        raise InputError(msg)
    return content


def _ending(description: Mapping[str, Any], root: Path) -> str:
    ending = description.get("file_ending", ".nii.gz")
    if ending not in _ENDINGS:
        msg = f"{root / DESCRIPTION}: file_ending is '{ending}'; convert the images to .nii.gz"
        raise InputError(msg)
    return str(ending)


def _scheme(labels: Any, path: Path) -> LabelScheme:
    if not isinstance(labels, dict):
        msg = f"{path}: has no 'labels'; it must say what the label values mean"
        raise InputError(msg)
    values: dict[Structure, int] = {}
    for structure, words in _NAMES.items():
        value = next((value for name, value in _pairs(labels) if re.sub(r"[^a-z]", "", name.lower()) in words), None)
        if value is None:
            msg = f"{path}: 'labels' {labels} has no {structure.name}; name it one of {', '.join(words)}"
            raise InputError(msg)
        values[structure] = value
    return LabelScheme(path.parent.name, values)


def _pairs(labels: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Give (name, value) of either form of `labels`; entries of several values (regions) are no structure."""
    pairs = ((str(value), key) if str(key).isdecimal() else (str(key), value) for key, value in labels.items())
    return [(name, int(value)) for name, value in pairs if isinstance(value, int) or str(value).isdecimal()]
