"""Find which predicted label file belongs to which annotated one.

Names pair: what remains of a file's name without `.nii`/`.nii.gz` and without one of the suffixes `_gt`, `_pred`, `_seg`. Folders help only
where a name occurs more than once. A file with a suffix beats one without in the same folder, since ACDC keeps the image
`patient001_frame01.nii.gz` beside its labels `patient001_frame01_gt.nii.gz`. Where no names pair, nnU-Net's channel (`NAME_0000`) and
`_mask` at their ends do not count.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.datasets import kind_of, open_dataset
from shortaxis.datasets.acdc import INFO, read_patient
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.walking import files_below

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shortaxis.labels import LabelScheme

SUFFIXES: Final = ("_gt", "_pred", "_seg")
LOOSE: Final = ("_0000", "_mask")
"""Ends of names that pair only where nothing else does: what bears them may be an image, or the mask of something else."""
LABELS: Final = "labelsTr"
"""The folder of an nnU-Net data set that holds the annotated labels; its images lie beside it."""

_NIFTI: Final = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
_FRAME: Final = re.compile(r"^(?P<patient>.+)_frame(?P<frame>\d+)$")
_PHASE: Final = re.compile(r"^(?P<patient>.+)_(?P<phase>ED|ES)$", re.IGNORECASE)


@dataclass(frozen=True)
class LabelPair:
    """An annotated label file and the prediction for it.

    Attributes:
        name: The common name, such as `patient101_frame01`; with its folder where the name alone is not unique.
        patient: `patient101` of `patient101_frame01`, `X` of `X_ED` or `X_ed`; otherwise the name itself. A data set says it by itself.
        phase: `ED`, `ES`, or None where neither data set nor `Info.cfg` nor the name says.
        group: Diagnostic group from the data set or `Info.cfg`, or None.
        truth: The annotated labels.
        prediction: The predicted labels, or None when there are none.
        scheme: What the integers of the annotated labels mean, where a data set says it.
        index: Which phase of both files is meant, counted from 0; None for all.
    """

    name: str
    patient: str
    phase: str | None
    group: str | None
    truth: Path
    prediction: Path | None
    scheme: LabelScheme | None = None
    index: int | None = None


def find_pairs(prediction: Path, truth: Path | str) -> tuple[list[LabelPair], list[Path]]:
    """Pair the label files of two folders, or two files.

    Args:
        prediction: A NIfTI file, or a folder searched with its subfolders.
        truth: A NIfTI file, an ACDC folder of patients with `Info.cfg`, any folder of NIfTI label files (of an nnU-Net data set only its
            `labelsTr` counts), or a data set `KIND:PATH` as for `shortaxis.datasets.open_dataset`.

    Returns:
        The pairs sorted by name, and the predicted files that belong to no annotated one.

    Raises:
        InputError: A path is missing, there is no annotated file, two files have the same claim to one name, `Info.cfg` is wrong, or the
            data set cannot be read or has no label files.
    """
    if kind_of(truth):
        return _pairs_of_dataset(prediction, str(truth))
    truth = Path(truth)
    truths = _label_files(truth, truth=True)
    if prediction.is_file() and truth.is_file():
        return [_pair(name, path, prediction) for name, path in truths.items()], []
    matches, unused = _assign(prediction, truths, truth)
    unique = len({_stem(name) for name in truths}) == len(truths)
    pairs = [_pair(_stem(name) if unique else name, path, matches[name]) for name, path in truths.items()]
    return sorted(pairs, key=lambda pair: pair.name), unused


def _pairs_of_dataset(prediction: Path, spec: str) -> tuple[list[LabelPair], list[Path]]:
    dataset = open_dataset(spec)
    whole = dataset.whole()
    if len(whole) < len(dataset):
        msg = f"{spec}: {len(dataset) - len(whole)} of {len(dataset)} frames are annotated in part and are not scored"
        warnings.warn(msg, DataWarning, stacklevel=3)
    refs = [(ref, ref.labels) for ref in whole.refs if ref.labels is not None]
    if not refs:
        msg = f"{spec}: its wholly annotated labels lie in no NIfTI files that predictions could pair with; write such labels into a folder"
        raise InputError(msg)
    names = {file.path: label_name(file.path) for _, file in refs}  # of M&Ms two frames share a file
    doubled = [name for name, count in Counter(names.values()).items() if count > 1]
    if doubled:
        msg = f"{spec}: has several label files that pair by the name {doubled[0]}; rename all but one"
        raise InputError(msg)
    matches, unused = _assign(prediction, {name: path for path, name in names.items()}, spec)
    pairs = []
    for ref, file in refs:
        pair = replace(_pair(ref.name, file.path, matches[names[file.path]]), group=ref.group, scheme=file.scheme, index=file.index)
        named = pair.phase is not None and ref.phase is None  # then the name knows more than the data set
        pairs.append(pair if named else replace(pair, patient=ref.patient, phase=ref.phase))
    return pairs, unused


def _assign(prediction: Path, truths: Mapping[str, Path], truth: Path | str) -> tuple[dict[str, Path | None], list[Path]]:
    """For each truth its prediction, which no other truth has too; and the predictions that remain."""
    predictions = _label_files(prediction, truth=False)
    matches = _match(truths, predictions)
    claims = Counter(path for path in matches.values() if path is not None)
    for path, count in claims.items():
        if count > 1:
            msg = f"{path}: is the only prediction for {count} files of {truth}; keep the predictions in the same subfolders as the truth"
            raise InputError(msg)
    return matches, [path for path in predictions.values() if path not in claims]


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
        or_data_set = ", or a data set as KIND:PATH, such as nnunet:DIR" if truth else ""
        msg = f"{root}: no such file or folder; give a NIfTI file or a folder of them{or_data_set}"
        raise InputError(msg)
    paths = [path for path in files_below(root) if _NIFTI.search(path.name) and not path.name.startswith(".")]
    if truth:  # where labels are marked as such, whatever else lies there is images
        annotated = [path for path in paths if _NIFTI.sub("", path.name).endswith("_gt")]
        paths = annotated or [path for path in paths if LABELS in path.relative_to(root).parts] or paths
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
    """For each truth the prediction of the same folder and name, or else the only other one of its name, if need be loosely."""
    others: dict[str, list[Path]] = {}
    loosely: dict[str, list[Path]] = {}
    for name, path in predictions.items():
        if name not in truths:
            others.setdefault(_stem(name), []).append(path)
            loosely.setdefault(_loose(_stem(name)), []).append(path)
    matches: dict[str, Path | None] = {}
    for name in truths:
        stem = _stem(name)
        candidates = [predictions[name]] if name in predictions else others.get(stem) or loosely.get(_loose(stem), [])
        if len(candidates) > 1:
            msg = f"{candidates[0]} and {candidates[1]} could both be the prediction for {name}; keep one of them"
            raise InputError(msg)
        matches[name] = candidates[0] if candidates else None
    return matches


def _loose(stem: str) -> str:
    return next((stem.removesuffix(end) for end in LOOSE if stem.endswith(end)), stem)


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _pair(name: str, truth: Path, prediction: Path | None) -> LabelPair:
    folder, stem = name.removesuffix(_stem(name)), _loose(_stem(name))
    if match := _FRAME.match(stem):
        phase, group = _tags(truth.parent, int(match["frame"]))
        return LabelPair(name, folder + match["patient"], phase, group, truth, prediction)
    if match := _PHASE.match(stem):
        return LabelPair(name, folder + match["patient"], match["phase"].upper(), None, truth, prediction)
    return LabelPair(name, name, None, None, truth, prediction)


def _tags(folder: Path, frame: int) -> tuple[str | None, str | None]:
    """Phase of this frame and group of the patient by ACDC's `Info.cfg`, where there is one."""
    if not (folder / INFO).is_file():
        return None, None
    patient = read_patient(folder)
    return patient.phase_of(frame), patient.subject.group
