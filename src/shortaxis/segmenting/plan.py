"""What a request to segment comes to: which images are read, which belong to one study, and where each output goes.

An input is one of these:

* a file: a 3D frame or a 4D cine; labels go to `NAME.nii.gz`, indices to `NAME.indices.json`, the report to `NAME.report.json` and
  `NAME.report.html`. `X_ED` and `X_ES` are one study; see `shortaxis.segmenting.layouts`;
* a folder of NIfTI files: every one that lies in the folder itself, except labels; or a folder of such folders, each of which names its
  study;
* a folder with the DICOM files of a study, in any nesting, or a folder of such folders; or one multi-frame DICOM file: labels go to
  `NAME.nii.gz`, where NAME is the folder's or the file's, and the rest beside it as above; a DICOM-SEG, where asked for, to the folder
  `NAME.seg`;
* an ACDC patient folder, or a folder of them: labels go to `PATIENT/PATIENT_frame01.nii.gz`, indices and report to `PATIENT/indices.json`,
  `PATIENT/report.json` and `PATIENT/report.html`. The cine is taken when it is asked for, or when the ED and ES frames are not both there
  as files of their own;
* a data set `KIND:PATH` of `shortaxis.datasets.READERS`, with outputs as of ACDC patients.

Nothing takes longer than in proportion to the number of studies: a cohort may have 100,000.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.errors import DataWarning, InputError
from shortaxis.segmenting.encoding import as_utf8
from shortaxis.segmenting.layouts import group_images, plan_group, without_labels
from shortaxis.segmenting.pieces import join_pieces
from shortaxis.segmenting.planned import (
    JOURNAL,
    MANIFEST,
    MAPS,
    SUMMARY,
    PlannedImage,
    PlannedStudy,
    files_there,
    is_nifti_name,
    outputs_by_input,
    planned_files,
    stem_of,
    unfit,
)
from shortaxis.segmenting.search import longer_name, studies_at

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "JOURNAL",
    "MANIFEST",
    "MAPS",
    "SUMMARY",
    "PlannedImage",
    "PlannedStudy",
    "files_there",
    "is_nifti_name",
    "plan_studies",
    "planned_files",
    "refuse_collisions",
    "stem_of",
]

LONGEST_NAME: Final = 255
"""Bytes of a file name on the file systems in common use."""
_IN_WORK: Final = len(".partial-12345678")
"""Bytes that stand in front of an ending while a file is written; see `shortaxis.io.atomic`."""


def plan_studies(inputs: Sequence[Path | str], *, cine: bool = False) -> list[PlannedStudy]:
    """Find the studies that the inputs stand for; nothing is read but the names of files, `Info.cfg` and the study UID in DICOM files.

    Args:
        inputs: Files, folders and data sets, as the module says.
        cine: Take the cines of ACDC patients besides the frames.

    Returns:
        The studies in the order of the inputs; one that is known to be unfit carries its `problem`.
    """
    sources = [Path(source) for source in inputs]
    files = [source for source in sources if is_nifti_name(source) and _is_file(source)]
    alone = _studies_of_files(files)
    studies: list[tuple[Path, PlannedStudy]] = []
    for source in sources:
        if is_nifti_name(source) and _is_file(source):
            studies += [(source, study) for study in alone.pop(source, [])]
            continue
        try:
            studies += [(source, study) for study in studies_at(source, cine=cine)]
        except OSError as error:
            studies.append((source, unfit(source, f"{source}: cannot be read ({error.strerror}); check its name and its permissions")))
    return [_refuse_long_name(_tellable(study)) for study in join_pieces(_with_own_names(studies))]


def _is_file(source: Path) -> bool:
    try:
        return source.is_file()
    except OSError:
        return False


def _studies_of_files(files: Sequence[Path]) -> dict[Path, list[PlannedStudy]]:
    """Plan NIfTI files that were given as such, by the first file of each study; labels beside their image are left out."""
    folders: dict[Path, list[Path]] = {}
    for file in files:
        folders.setdefault(file.parent, []).append(file)
    studies: dict[Path, list[PlannedStudy]] = {}
    for paths in folders.values():
        stems = {stem_of(path) for path in paths}
        labels = [path for path in set(paths) - set(without_labels(paths)) if stem_of(path).removesuffix("_gt") in stems]
        if labels:
            msg = f"{labels[0].parent}: {len(labels)} label files beside their images are left out, such as {min(labels).name}"
            warnings.warn(msg, DataWarning, stacklevel=2)
        for group in group_images([path for path in paths if path not in labels]):
            members = [path for path, _ in group.frames] + ([group.cine] if group.cine else [])
            first = min(members, key=paths.index)
            name = group.stem or first.absolute().parent.name
            studies.setdefault(first, []).append(plan_group(group, name, cine=True))
    return studies


def _with_own_names(studies: Sequence[tuple[Path, PlannedStudy]]) -> list[PlannedStudy]:
    """Name studies of one name after the folders that they lie in, as `1000001/sa.nii.gz` and `1000002/sa.nii.gz`.

    That is done for inputs that are one study each, in folders none of which lies in another. Where the folders have one name too, the
    studies are left to `refuse_collisions`.
    """
    count = Counter(study.name.casefold() for _, study in studies if study.images)
    of_input = Counter(source for source, _ in studies)
    renamed = [
        number
        for number, (source, study) in enumerate(studies)
        if count[study.name.casefold()] > 1 and of_input[source] == 1 and study.indices.parent == Path()
    ]
    parents = {studies[number][1].source.absolute().parent for number in renamed}
    nested = {folder for folder in parents if any(above in parents for above in folder.parents)}
    if nested:
        return [study for _, study in studies]
    folders = Counter(studies[number][1].source.absolute().parent.name.casefold() for number in renamed)
    named = [study for _, study in studies]
    for number in renamed:
        study = named[number]
        folder = study.source.absolute().parent.name
        if folder:
            named[number] = _renamed(study, folder if folders[folder.casefold()] == 1 else longer_name(folder, study.name))
    return named


def _renamed(study: PlannedStudy, name: str) -> PlannedStudy:
    images = tuple(
        replace(image, labels=Path(name + image.labels.name.removeprefix(study.name) if image.labels.name.startswith(study.name) else name))
        for image in study.images
    )
    return replace(study, name=name, images=images, indices=Path(f"{name}.indices.json"))


def refuse_collisions(studies: Sequence[PlannedStudy], out: Path) -> None:
    """Refuse a plan in which one file would be written twice, an input would be overwritten, or outputs would lie in a DICOM study.

    Every file below its folder belongs to a DICOM study, so that outputs there would change the study from run to run.

    Raises:
        InputError: Names the two inputs, or the input.
    """
    owners: dict[str, Path] = {name: Path(name) for name in (MANIFEST, JOURNAL, SUMMARY)}
    inputs = {identity: image.path for study in studies for image in study.images if (identity := _identity(image.path))}
    there = _Listing(out)
    full = out.resolve()
    for folder in (full, *full.parents):
        if (identity := _identity(folder)) in inputs:
            msg = f"{out}: lies in the DICOM study {inputs[identity]}, all files of which are its own; choose an --out folder beside it"
            raise InputError(msg)
    for study in studies:
        for source, output in outputs_by_input(study):
            if output in owners:
                msg = f"{owners[output]} and {source} would both be written to {out / output}; segment them into two --out folders"
                raise InputError(msg)
            owners[output] = source
            if there.may_hold(output) and (identity := _identity(out / output)) in inputs:
                msg = f"{inputs[identity]}: would be overwritten by the output {out / output}; choose another --out folder"
                raise InputError(msg)


class _Listing:
    """What lies in the folders of the outputs, each looked at once: asking for every file by itself takes long in a large cohort."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folders: dict[str, set[str]] = {}

    def may_hold(self, output: str) -> bool:
        """Whether a file stands where an output goes, also on a disk that takes `A` and `a` for one name."""
        folder, _, name = output.rpartition("/")
        if folder not in self._folders:
            try:
                self._folders[folder] = {other.casefold() for other in os.listdir(self._out / folder)}  # noqa: PTH208 (names are enough)
            except OSError:
                self._folders[folder] = set()
        return name.casefold() in self._folders[folder]


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell two names of one file from two files: links and spellings do not deceive it."""
    try:
        status = os.stat(path)  # noqa: PTH116 (Path.stat says the same, but this reads as what it is)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _refuse_long_name(study: PlannedStudy) -> PlannedStudy:
    """A study as it is, or, where the name of an output would be too long for the disk, as one that cannot be segmented."""
    longest = max((_length(output) for _, output in outputs_by_input(study)), default=0)
    if longest <= LONGEST_NAME or study.problem is not None:
        return study
    most = max(1, len(os.fsencode(study.name)) - (longest - LONGEST_NAME))
    msg = f"{study.source}: its name is too long for the names of its outputs; rename it to at most {most} bytes without the ending"
    return PlannedStudy(study.name, study.source, problem=InputError(msg))


def _length(output: str) -> int:
    """Bytes of the longest part of an output's path, also while it is written."""
    path = Path(output)
    in_work = _IN_WORK + len(os.fsencode("".join(path.suffixes[-2:])))
    return max(in_work, *(len(os.fsencode(part)) for part in path.parts))


def _tellable(study: PlannedStudy) -> PlannedStudy:
    """A study as it is, or, where its name is not UTF-8, as one that cannot be told of in any output, with `?` for what cannot be read."""
    name, source = as_utf8(study.name), as_utf8(str(study.source))
    if name == study.name and as_utf8(study.source.name) == study.source.name:
        return study
    msg = f"{source}: its name is not UTF-8, which outputs could not tell; rename the file or folder"
    return PlannedStudy(name, Path(source), problem=InputError(msg))
