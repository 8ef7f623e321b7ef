"""Find which predicted label file belongs to which annotated one.

Names pair: what remains of a file's name without `.nii`/`.nii.gz` and without one of the suffixes `_gt`, `_pred`, `_seg`. Folders help only
where a name occurs more than once. A file with a suffix beats one without in the same folder, since ACDC keeps the image
`patient001_frame01.nii.gz` beside its labels `patient001_frame01_gt.nii.gz`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shortaxis.datasets.acdc import INFO, read_patient
from shortaxis.errors import InputError
from shortaxis.io.walking import files_below

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIXES: Final = ("_gt", "_pred", "_seg")

_NIFTI: Final = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
_FRAME: Final = re.compile(r"^(?P<patient>.+)_frame(?P<frame>\d+)$")
_PHASE: Final = re.compile(r"^(?P<patient>.+)_(?P<phase>ED|ES)$")


@dataclass(frozen=True)
class LabelPair:
    """An annotated label file and the prediction for it.

    Attributes:
        name: The common name, such as `patient101_frame01`; with its folder where the name alone is not unique.
        patient: `patient101` of `patient101_frame01`, `X` of `X_ED`; otherwise the name itself.
        phase: `ED`, `ES`, or None where neither `Info.cfg` nor the name says.
        group: Diagnostic group from `Info.cfg`, or None.
        truth: The annotated labels.
        prediction: The predicted labels, or None when there are none.
    """

    name: str
    patient: str
    phase: str | None
    group: str | None
    truth: Path
    prediction: Path | None


def find_pairs(prediction: Path, truth: Path) -> tuple[list[LabelPair], list[Path]]:
    """Pair the label files of two folders, or two files.

    Args:
        prediction: A NIfTI file, or a folder searched with its subfolders.
        truth: A NIfTI file, an ACDC folder of patients with `Info.cfg`, or any folder of NIfTI label files.

    Returns:
        The pairs sorted by name, and the predicted files that belong to no annotated one.

    Raises:
        InputError: A path is missing, there is no annotated file, two files have the same claim to one name, or `Info.cfg` is wrong.
    """
    truths = _label_files(truth, truth=True)
    if prediction.is_file() and truth.is_file():
        return [_pair(name, path, prediction) for name, path in truths.items()], []
    predictions = _label_files(prediction, truth=False)
    matches = _match(truths, predictions)
    claims = Counter(path for path in matches.values() if path is not None)
    for path, count in claims.items():
        if count > 1:
            msg = f"{path}: is the only prediction for {count} files of {truth}; keep the predictions in the same subfolders as the truth"
            raise InputError(msg)
    unique = len({_stem(name) for name in truths}) == len(truths)
    pairs = [_pair(_stem(name) if unique else name, path, matches[name]) for name, path in truths.items()]
    return sorted(pairs, key=lambda pair: pair.name), [path for path in predictions.values() if path not in claims]


def label_name(path: Path) -> str:
    """The name by which label files pair: `patient001_frame01` of `patient001_frame01_gt.nii.gz`."""
    stem = _NIFTI.sub("", path.name)
    for suffix in SUFFIXES:
        if stem.endswith(suffix) and stem != suffix:
            return stem.removesuffix(suffix)
    return stem


def _label_files(root: Path, *, truth: bool) -> dict[str, Path]:
    """The label files below a path by name, with the folder relative to it."""
    if root.is_file():
        return {label_name(root): root}
    if not root.is_dir():
        msg = f"{root}: no such file or folder; give a NIfTI file or a folder of them"
        raise InputError(msg)
    paths = [path for path in files_below(root) if _NIFTI.search(path.name) and not path.name.startswith(".")]
    annotated = [path for path in paths if _NIFTI.sub("", path.name).endswith("_gt")]
    if truth and annotated:  # then whatever else lies there is images
        paths = annotated
    found: dict[str, Path] = {}
    for path in paths:
        name = (path.parent.relative_to(root) / label_name(path)).as_posix()
        rival = found.get(name)
        if rival is not None and _has_suffix(rival) == _has_suffix(path):
            msg = f"{rival} and {path.name} have the same claim to the name {label_name(path)}; keep one of them"
            raise InputError(msg)
        found[name] = path  # in sorted order the file with a suffix comes after the one without
    if not found:
        msg = f"{root}: holds no NIfTI file (.nii or .nii.gz); give the folder that the label files lie in"
        raise InputError(msg)
    return found


def _has_suffix(path: Path) -> bool:
    return label_name(path) != _NIFTI.sub("", path.name)


def _match(truths: Mapping[str, Path], predictions: Mapping[str, Path]) -> dict[str, Path | None]:
    """For each truth the prediction of the same folder and name, or else the only other one of its name in any folder."""
    others: dict[str, list[Path]] = {}
    for name, path in predictions.items():
        if name not in truths:
            others.setdefault(_stem(name), []).append(path)
    matches: dict[str, Path | None] = {}
    for name in truths:
        candidates = [predictions[name]] if name in predictions else others.get(_stem(name), [])
        if len(candidates) > 1:
            msg = f"{candidates[0]} and {candidates[1]} could both be the prediction for {name}; keep one of them"
            raise InputError(msg)
        matches[name] = candidates[0] if candidates else None
    return matches


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _pair(name: str, truth: Path, prediction: Path | None) -> LabelPair:
    stem = _stem(name)
    folder = name.removesuffix(stem)
    if match := _FRAME.match(stem):
        phase, group = _tags(truth.parent, int(match["frame"]))
        return LabelPair(name, folder + match["patient"], phase, group, truth, prediction)
    if match := _PHASE.match(stem):
        return LabelPair(name, folder + match["patient"], match["phase"], None, truth, prediction)
    return LabelPair(name, name, None, None, truth, prediction)


def _tags(folder: Path, frame: int) -> tuple[str | None, str | None]:
    """Phase of this frame and group of the patient by ACDC's `Info.cfg`, where there is one."""
    if not (folder / INFO).is_file():
        return None, None
    patient = read_patient(folder)
    return patient.phase_of(frame), patient.subject.group
