"""Which NIfTI images belong to one study, and what the study is called.

* `X_ED` and `X_ES` (in capitals or not) of one folder are the ED and ES frames of study X; `X`, `X_4d` or `X_cine` beside them is its cine.
* An image in a folder of its own, as `1000001/sa.nii.gz` in large cohorts, is named after the folder; several images of a folder are
  named `FOLDER_IMAGE`.
* `Info.cfg` beside an image says of it what it says in an ACDC folder.
* Labels are left out: `X_gt`, and `X_seg`, `X_label`, `X_mask`, `X_pred`, `label_X`, `seg_X` or `mask_X` beside `X`. Of a folder with
  `sa…` the long-axis images `la_…` are left out too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.datasets.acdc import INFO, AcdcImage, list_images, read_patient
from shortaxis.errors import InputError
from shortaxis.segmenting.planned import WRITTEN_ENDINGS, PlannedImage, PlannedStudy, labels_ending, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shortaxis.datasets.acdc import AcdcPatient

PHASES: Final = ("ED", "ES")
_PHASE: Final = re.compile(r"(?:(?P<stem>.+)[_\-. ])?(?P<phase>ED|ES)", re.IGNORECASE)
_FRAME: Final = re.compile(r".+_frame(?P<frame>\d+)")
_CINE_ENDINGS: Final = ("", "_4d", "_cine")
_LABEL: Final = re.compile(r"(?P<before>labels?_|seg_|mask_)?(?P<stem>.+?)(?P<after>_gt|_seg|_labels?|_mask|_pred)?")
_SHORT_AXIS: Final = re.compile(r"sax?($|[_\-. ])", re.IGNORECASE)
_LONG_AXIS: Final = re.compile(r"lax?($|[_\-. ])", re.IGNORECASE)


@dataclass(frozen=True)
class ImageGroup:
    """Images that are one study.

    Attributes:
        stem: What their names share; empty for `ED` and `ES`.
        frames: The images with `ED` or `ES`, where their names say it and both are there or there is but one image.
        cine: The cine beside a pair of frames, or None.
    """

    stem: str
    frames: tuple[tuple[Path, str | None], ...]
    cine: Path | None = None

    @property
    def is_pair(self) -> bool:
        """Whether it is a pair of ED and ES."""
        return len(self.frames) > 1


def group_images(paths: Sequence[Path]) -> list[ImageGroup]:
    """Sort images of one folder into studies, in the order of their first image."""
    named: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        if match := _PHASE.fullmatch(stem_of(path)):
            named[match["stem"] or ""][match["phase"].upper()].append(path)
    pairs = {stem: phases for stem, phases in named.items() if all(len(phases[phase]) == 1 for phase in PHASES)}
    cines = {stem: _cine_of(stem, paths) for stem in pairs}
    taken = {path: stem for stem, phases in pairs.items() for phase in PHASES for path in phases[phase]}
    taken |= {path: stem for stem, path in cines.items() if path is not None}
    groups: dict[str, ImageGroup] = {}
    for number, path in enumerate(paths):
        stem = taken.get(path)
        if stem is None:
            match = _PHASE.fullmatch(stem_of(path))
            groups[f"\0{number}"] = ImageGroup(stem_of(path), ((path, match["phase"].upper() if match else None),))
        elif stem not in groups:
            groups[stem] = ImageGroup(stem, tuple((pairs[stem][phase][0], phase) for phase in PHASES), cines[stem])
    return list(groups.values())


def _cine_of(stem: str, paths: Iterable[Path]) -> Path | None:
    names = {f"{stem}{ending}".lower() for ending in _CINE_ENDINGS} if stem else set()
    found = [path for path in paths if stem_of(path).lower() in names]
    return found[0] if len(found) == 1 else None


def without_labels(paths: Sequence[Path]) -> list[Path]:
    """Leave out the labels among the NIfTI files of a folder."""
    stems = {stem_of(path).lower() for path in paths}
    return [path for path in paths if not _is_label(stem_of(path).lower(), stems)]


def _is_label(stem: str, stems: set[str]) -> bool:
    if stem.endswith("_gt"):
        return True
    match = _LABEL.fullmatch(stem)
    return match is not None and match["stem"] != stem and match["stem"] in stems


def without_long_axis(paths: Sequence[Path]) -> list[Path]:
    """Leave out the long-axis images (`la_…`) of a patient's folder that has short-axis ones (`sa…`)."""
    if not any(_SHORT_AXIS.match(stem_of(path)) for path in paths):
        return list(paths)
    return [path for path in paths if not _LONG_AXIS.match(stem_of(path))]


def images_in(children: Iterable[Path]) -> list[Path]:
    """The images among the entries of a folder: NIfTI files that are neither hidden nor labels."""
    return without_labels([path for path in children if _has_image_name(path) and path.is_file()])


def _has_image_name(path: Path) -> bool:
    return path.name.lower().endswith(WRITTEN_ENDINGS) and not path.name.startswith(".")


def plan_group(group: ImageGroup, name: str, *, cine: bool) -> PlannedStudy:
    """Plan a study of images that are files of their own.

    Args:
        group: From `group_images`.
        name: What its outputs are called; those of a pair keep what their names have beyond what they share.
        cine: Take the cine beside a pair too.
    """
    first = group.frames[0][0]
    try:
        patient = read_patient(first.parent) if (first.parent / INFO).is_file() else None
    except InputError as error:
        return PlannedStudy(name, first, indices=Path(f"{name}.indices.json"), problem=error)
    paths = [*group.frames, *([(group.cine, None)] if cine and group.cine is not None else [])]
    images = tuple(
        PlannedImage(path, _labels(path, group, name), None if patient is None else _beside(path, patient), phase=phase)
        for path, phase in paths
    )
    return PlannedStudy(name, first, images, Path(f"{name}.indices.json"))


def _labels(path: Path, group: ImageGroup, name: str) -> Path:
    if not group.is_pair:
        return Path(name + labels_ending(path))
    rest = stem_of(path)[len(group.stem) :] if group.stem else f"_{stem_of(path)}"
    return Path(name + rest + labels_ending(path))


def _beside(path: Path, patient: AcdcPatient) -> AcdcImage:
    """What `Info.cfg` says of an image beside it, whatever the image is called."""
    match = _FRAME.fullmatch(stem_of(path))
    return AcdcImage(path, patient, int(match["frame"]) if match else None, None)


def plan_patient(folder: Path, *, cine: bool) -> PlannedStudy:
    """Plan an ACDC patient's folder."""
    name = folder.absolute().name
    indices = Path(name) / "indices.json"
    try:
        patient = read_patient(folder)
        images = list_images(folder)
        if not images:
            return _plan_other_images(folder, patient, cine=cine)
        chosen = _chosen(folder, images, cine=cine)
    except InputError as error:
        return PlannedStudy(name, folder, indices=indices, problem=error)
    planned = tuple(PlannedImage(image.path, Path(name) / image.path.name, image) for image in chosen)
    return PlannedStudy(name, folder, planned, indices)


def _plan_other_images(folder: Path, patient: AcdcPatient, *, cine: bool) -> PlannedStudy:
    """Plan a folder with `Info.cfg` whose images are not named as ACDC names them."""
    name = folder.absolute().name
    groups = group_images(without_long_axis(images_in(sorted(folder.iterdir()))))
    if len(groups) != 1:
        what = "several images, of which none is named" if groups else "no images; an ACDC patient folder needs"
        msg = f"{folder}: holds {what} {name}_4d.nii.gz or {name}_frame01.nii.gz; rename the image that {INFO} is about"
        raise InputError(msg)
    planned = plan_group(groups[0], name, cine=cine)
    images = tuple(
        PlannedImage(image.path, Path(name) / image.path.name, _beside(image.path, patient), phase=image.phase) for image in planned.images
    )
    return PlannedStudy(name, folder, images, Path(name) / "indices.json")


def _chosen(folder: Path, images: list[AcdcImage], *, cine: bool) -> list[AcdcImage]:
    frames = [image for image in images if image.frame is not None]
    cines = [image for image in images if image.frame is None]
    patient = images[0].patient
    numbers = {image.frame for image in frames}
    absent = [(phase, n) for phase, n in (("ED", patient.end_diastole), ("ES", patient.end_systole)) if n not in numbers]
    if absent and not cines:
        phase, number = absent[0]
        msg = f"{folder}: {INFO} names frame {number} as {phase}, but there is no {folder.absolute().name}_frame{number:02d}.nii.gz; add it"
        raise InputError(msg)
    return [*frames, *(cines if cine or absent else [])]
