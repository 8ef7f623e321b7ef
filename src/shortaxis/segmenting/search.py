"""Which studies a path stands for: a file, a folder of files, of patients, of DICOM studies, or a data set."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.datasets import kind_of, recognise
from shortaxis.datasets.acdc import INFO
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.archives import archive_kind, what_to_do
from shortaxis.io.dicom import find_studies, is_dicom
from shortaxis.segmenting.layouts import group_images, images_in, plan_group, plan_patient, without_long_axis
from shortaxis.segmenting.planned import (
    JOURNAL,
    MANIFEST,
    WRITTEN_ENDINGS,
    PlannedImage,
    PlannedStudy,
    is_nifti_name,
    labels_ending,
    unfit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.datasets.images import ImageRef

MOST_LEVELS: Final = 5
"""How deep below a folder NIfTI images are looked for."""

_DICOM_ENDING: Final = re.compile(r"\.(dcm|dicom|ima)$", re.IGNORECASE)
_ACDC: Final = re.compile(r"(?P<patient>.+?)_(frame\d+|4d)(_gt)?\.nii(\.gz)?")
_AS_DATASETS: Final = ("mnms", "nnunet", "packed")
"""Data sets that a bare path is taken for; the folders of ACDC are looked at one by one."""
_KINDS: Final = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}


def why_no_file(path: Path) -> str | None:
    """Why there is neither a file nor a folder at a path, in words that follow its name; None where there is one."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        if path.is_symlink():
            return f"is a link to {path.readlink()}, which is not there; restore that file, or remove the link"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return "no such file or folder; check the path"
        return f"cannot be read ({error.strerror}); check its name and its permissions"
    special = next((words for is_kind, words in _KINDS.items() if is_kind(mode)), None)
    return None if special is None else f"is {special} and no file; give the file itself"


def studies_at(source: Path, *, cine: bool) -> list[PlannedStudy]:
    """Plan the studies that one input stands for, unless it is a NIfTI file.

    Args:
        source: A folder, a DICOM file, a packed data set, or a data set `KIND:PATH`.
        cine: Take the cines of patients besides their frames.

    Raises:
        OSError: The folder cannot be read.
    """
    kind = kind_of(source)
    if kind and not os.path.lexists(source):
        path = Path(str(source).removeprefix(f"{kind}:"))
        return studies_at(path.expanduser(), cine=cine) if kind == "acdc" else _of_dataset(kind, path)
    if reason := why_no_file(source):
        return [unfit(source, f"{source}: {reason}")]
    if source.is_file():
        return _at_file(source)
    if _is_patient(source):
        return [plan_patient(source, cine=cine)]
    recognised = recognise(source)
    if recognised in _AS_DATASETS and (recognised != "mnms" or any(source.glob("*.csv"))):
        return _of_dataset(recognised, source)
    return _in_folder(source, cine=cine)


def _at_file(source: Path) -> list[PlannedStudy]:
    if is_dicom(source):
        return [_dicom(source, _DICOM_ENDING.sub("", source.name))]
    archive = archive_kind(source)
    if archive == "zip":
        from shortaxis.datasets.packed import is_packed  # noqa: PLC0415 (brings Pillow)

        if is_packed(source):
            return _of_dataset("packed", source)
    if archive is not None:
        return [unfit(source, f"{source}: {what_to_do(archive)}")]
    return [unfit(source, f"{source}: is neither a NIfTI file (.nii or .nii.gz) nor a DICOM file; convert it, or give a folder")]


def _of_dataset(kind: str, path: Path) -> list[PlannedStudy]:
    """Plan one study a patient of a data set."""
    from shortaxis.datasets.images import dataset_images  # noqa: PLC0415 (needed by few)

    try:
        refs = dataset_images(kind, path)
    except InputError as error:
        return [PlannedStudy(path.name, path, problem=error)]
    patients: dict[str, list[ImageRef]] = defaultdict(list)
    for ref in refs:
        patients[ref.subject.identifier or ref.name].append(ref)
    return [_of_refs(patient, path, images) for patient, images in patients.items()]


def _of_refs(patient: str, source: Path, refs: list[ImageRef]) -> PlannedStudy:
    indices = Path(patient) / "indices.json"
    for ref in refs:
        if ref.load is None and (reason := why_no_file(ref.path)):
            return PlannedStudy(patient, source, indices=indices, problem=InputError(f"{ref.path}: {reason}"))
    images = (PlannedImage(ref.path, Path(patient) / (ref.name + labels_ending(ref.path)), ref=ref) for ref in refs)
    return PlannedStudy(patient, source, tuple(images), indices)


def _in_folder(source: Path, *, cine: bool) -> list[PlannedStudy]:
    children = sorted(source.iterdir())
    broken = list(_broken(children))
    images = images_in(children)
    if images:
        kept = without_long_axis(images)
        _say_long_axis(source, len(images) - len(kept))
        return [*(plan_group(group, group.stem or source.absolute().name, cine=cine) for group in group_images(kept)), *broken]
    folders = [path for path in children if path.is_dir()]
    patients = [path for path in folders if _holds_patient(path)]
    if patients:
        return [*(plan_patient(path, cine=cine) for path in patients), *broken]
    labels_only = any(path.name.lower().endswith(WRITTEN_ENDINGS) and path.is_file() for path in children)
    dicom = [] if labels_only else _dicom_folders(source)
    if [study.source for study in dicom] == [source]:
        return dicom
    depth = len(source.parts)
    taken = {study.source.parts[depth] for study in dicom if len(study.source.parts) > depth}
    others = [folder for folder in folders if folder.name not in taken]
    found = [*_below(source, others, cine=cine), *dicom, *broken]
    if found:
        return found
    what = "only labels (_gt)" if labels_only else "no NIfTI files, no DICOM files and no ACDC patient folders"
    zipped = any(path.suffix.lower() == ".zip" for path in children)
    remedy = "unpack the zip files in it" if zipped else "give a NIfTI file, a folder of them, a DICOM study, or a folder of ACDC patients"
    return [unfit(source, f"{source}: holds {what}; {remedy}")]


def _broken(children: list[Path]) -> Iterator[PlannedStudy]:
    """The entries of a folder that are named as images and are no files."""
    for path in children:
        if is_nifti_name(path) and not path.name.startswith(".") and (reason := why_no_file(path)):
            yield unfit(path, f"{path}: {reason}")


def _below(top: Path, folders: list[Path], *, cine: bool) -> list[PlannedStudy]:
    """Plan the images of the folders below a folder, each study named after its folder; outputs of earlier runs are passed over."""
    places: list[tuple[Path, list[Path]]] = []
    problems: list[PlannedStudy] = []
    seen = {os.path.realpath(top)}
    left_out = 0
    waiting = deque((folder, 1) for folder in folders)
    while waiting:
        folder, level = waiting.popleft()
        if folder.name.startswith(".") or os.path.realpath(folder) in seen or level > MOST_LEVELS:
            continue
        seen.add(os.path.realpath(folder))
        try:
            children = sorted(folder.iterdir())
        except OSError as error:
            problems.append(unfit(folder, f"{folder}: cannot be read ({error.strerror}); check its permissions"))
            continue
        if any(path.name in {MANIFEST, JOURNAL} for path in children):
            continue
        problems += _broken(children)
        images = images_in(children)
        kept = without_long_axis(images)
        left_out += len(images) - len(kept)
        if kept:
            places.append((folder, kept))
        else:
            waiting.extendleft((path, level + 1) for path in reversed(children) if path.is_dir())
    _say_long_axis(top, left_out)
    count = Counter(folder.name for folder, _ in places)
    studies = [
        study
        for folder, images in places
        for study in _named_after(folder.name if count[folder.name] == 1 else "_".join(folder.relative_to(top).parts), images, cine=cine)
    ]
    return [*studies, *problems]


def _say_long_axis(folder: Path, number: int) -> None:
    if number:
        msg = f"{folder}: {number} long-axis images (la_…) beside short-axis ones are left out; give them as files to have them segmented"
        warnings.warn(msg, DataWarning, stacklevel=2)


def _named_after(folder: str, images: list[Path], *, cine: bool) -> list[PlannedStudy]:
    groups = group_images(images)
    if len(groups) == 1:
        return [plan_group(groups[0], folder, cine=cine)]
    return [plan_group(group, longer_name(folder, group.stem), cine=cine) for group in groups]


def longer_name(folder: str, stem: str) -> str:
    """The name of one of several studies of a folder: its own where that holds the folder's, else with the folder's in front."""
    return stem if stem.startswith(folder) else f"{folder}_{stem}" if stem else folder


def _is_patient(folder: Path) -> bool:
    """Whether a folder is an ACDC patient's: by `Info.cfg`, or by images that bear the folder's name (then `Info.cfg` is missed)."""
    if (folder / INFO).is_file():
        return True
    names = (_ACDC.fullmatch(path.name) for path in folder.iterdir())
    return any(match is not None and match["patient"] == folder.absolute().name for match in names)


def _holds_patient(folder: Path) -> bool:
    try:
        return _is_patient(folder)
    except OSError:  # it is named where its images are looked for
        return False


def _dicom_folders(source: Path) -> list[PlannedStudy]:
    """Plan the DICOM studies under a folder; a name that two of them share grows by the folders above."""
    try:
        folders = find_studies(source)
    except InputError as error:
        return [PlannedStudy(source.name, source, problem=error)]
    names = [folder.resolve().name for folder in folders]
    count = Counter(names)
    full = ["_".join(folder.relative_to(source).parts) for folder in folders]
    return [_dicom(folder, name if count[name] == 1 else longer) for folder, name, longer in zip(folders, names, full, strict=True)]


def _dicom(path: Path, name: str) -> PlannedStudy:
    return PlannedStudy(name, path, (PlannedImage(path, Path(f"{name}.nii.gz"), dicom=True),), Path(f"{name}.indices.json"))
