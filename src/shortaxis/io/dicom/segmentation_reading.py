"""DICOM Segmentation objects in: labels that were written here, or corrected in another program, on the grid of the study."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import is_dicom, lenient_pydicom
from shortaxis.io.dicom.segmentation import SEGMENTS
from shortaxis.io.dicom.sources import dicom_source
from shortaxis.io.dicom.values import many
from shortaxis.io.walking import files_below
from shortaxis.labels import Structure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    from shortaxis.io.dicom.reader import DicomSource
    from shortaxis.study import Study

_Image = tuple[str, int | None]
_Places = dict[_Image, list[tuple[int, int]]]
_STORAGES: Final = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
"""SOP classes: Segmentation and Label Map Segmentation."""
_ASIDE: Final = 0.5
"""Distance in mm up to which a mask still lies on its image."""
_TURNED: Final = 1e-3
"""Largest difference of a direction cosine of a mask and of the study."""


@dataclass(frozen=True, eq=False)
class DicomLabels:
    """Labels of some phases of a study.

    Attributes:
        labels: uint8 (P, D, H, W), values of `shortaxis.labels.Structure`.
        phases: The phases that they are of, counted from 0, in order.
    """

    labels: NDArray[np.uint8]
    phases: tuple[int, ...]


def read_dicom_seg(path: Path | str, study: Study) -> DicomLabels:
    """Read masks of a study from DICOM Segmentation objects.

    Masks are put on the images that they refer to; an image is named by its SOP instance and, in a multi-frame file, its frame; masks that
    name none are left out. Where one image stands for several phases, the temporal position of the mask says which, else the other masks of
    the file; without either the mask counts for all of them. Segments are known by their SNOMED CT codes; others are left out. Fractions
    count from one half on.

    Args:
        path: A file, or a folder of files, whatever lies beside them.
        study: The study that was segmented, read by `shortaxis.io.dicom.read_dicom`.

    Returns:
        Labels of the phases that masks refer to; a slice of such a phase without mask is background.

    Raises:
        InputError: The study was not read from DICOM; the path is absent or holds no segmentation of its images; a file is damaged; two
            masks contradict each other; a mask has another grid than its image.
    """
    path, source = Path(path), dicom_source(study, "DICOM-SEG")
    if not path.exists():
        msg = f"{path}: no such file or folder; check the path"
        raise InputError(msg)
    places = _places(source)
    labels: dict[int, NDArray[np.uint8]] = {}
    with lenient_pydicom(path):
        for file in files_below(path) if path.is_dir() else [path]:
            if is_dicom(file):
                _add(file, study, places, labels)
    if not labels:
        msg = f"{path}: holds no segmentation of the images in {source.path}; give the DICOM-SEG files of this study"
        raise InputError(msg)
    phases = tuple(sorted(labels))
    return DicomLabels(np.stack([labels[phase] for phase in phases]), phases)


def _places(source: DicomSource) -> _Places:
    """The phases and slices that each image stands for; one that is alone in its file needs no frame number."""
    places: _Places = defaultdict(list)
    frames: dict[str, set[int]] = defaultdict(set)
    for t, phase in enumerate(source.instances):
        for d, instance in enumerate(phase):
            places[instance.sop_instance_uid, instance.frame].append((t, d))
            frames[instance.sop_instance_uid].add(instance.frame)
    return places | {(uid, None): places[uid, min(numbers)] for uid, numbers in frames.items() if len(numbers) == 1}


def _add(file: Path, study: Study, places: _Places, labels: dict[int, NDArray[np.uint8]]) -> None:
    """Put the masks of one file into the labels."""
    from pydicom import dcmread  # noqa: PLC0415 (an optional package)

    dataset = dcmread(file, force=True)
    if dataset.get("SOPClassUID") not in _STORAGES:
        return
    try:
        masks = list(_masks(dataset))
    except Exception as error:
        msg = f"{file}: its masks cannot be read ({type(error).__name__}); write it again"
        raise InputError(msg) from error
    fresh: dict[int, NDArray[np.uint8]] = {}
    found = [[place for image in mask.images for place in places.get(image, ())] for mask in masks]
    sure = {one[0][0] for one in found if len(one) == 1}
    for mask, anywhere in zip(masks, found, strict=True):
        said = [place for place in anywhere if place[0] == mask.phase]
        for t, d in said or [place for place in anywhere if place[0] in sure] or anywhere:
            _check_grid(file, mask, study, d)
            if t in labels:
                msg = f"{file}: holds phase {t + 1}, which another file beside it holds too; leave one of them"
                raise InputError(msg)
            target = fresh.setdefault(t, np.zeros(study.pixels.shape[1:], np.uint8))[d]
            if (target[mask.pixels] != Structure.BACKGROUND).any():
                msg = f"{file}: its structures overlap in phase {t + 1}, slice {d + 1}; let each pixel belong to one"
                raise InputError(msg)
            target[mask.pixels] = mask.structure
    labels.update(fresh)


@dataclass(frozen=True, eq=False)
class _Mask:
    """One structure on one image: `pixels` is bool (H, W), position and orientation are LPS in mm."""

    structure: Structure
    pixels: NDArray[np.bool_]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    images: Sequence[_Image]
    phase: int | None


def _masks(dataset: Dataset) -> Iterator[_Mask]:
    by_number = _structures(dataset)
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    half = (dataset.get("MaximumFractionalValue") or 1) / 2
    for pixels, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        position = _group(group, shared, "PlanePositionSequence").ImagePositionPatient
        orientation = _group(group, shared, "PlaneOrientationSequence").ImageOrientationPatient
        content = _group(group, shared, "FrameContentSequence").get("TemporalPositionIndex")
        where = (np.array(position, float), np.array(orientation, float), _images(group), None if content is None else int(content) - 1)
        if dataset.get("SegmentationType") == "LABELMAP":
            for number, structure in by_number.items():
                yield _Mask(structure, pixels == number, *where)
            continue
        number = int(_group(group, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        if number in by_number:
            yield _Mask(by_number[number], pixels >= half, *where)


def _structures(dataset: Dataset) -> dict[int, Structure]:
    """The structure of each segment that has one."""
    known = {segment.code: structure for structure, segment in SEGMENTS.items()}
    codes = {int(item.SegmentNumber): item.SegmentedPropertyTypeCodeSequence[0].get("CodeValue") for item in dataset.SegmentSequence}
    return {number: known[code] for number, code in codes.items() if code in known}


def _group(group: Dataset, shared: Dataset, keyword: str) -> Any:
    return (group.get(keyword) or shared[keyword].value)[0]


def _images(group: Dataset) -> list[_Image]:
    """The images that a frame was derived from, as (SOP instance, frame counted from 0, or None for a whole file)."""
    found: list[_Image] = []
    for derivation in group.get("DerivationImageSequence") or ():
        for item in derivation.get("SourceImageSequence") or ():
            numbers = many(item.get("ReferencedFrameNumber"))
            found += [(str(item.ReferencedSOPInstanceUID), int(number) - 1) for number in numbers]
            found += [(str(item.ReferencedSOPInstanceUID), None)] * (not numbers)
    return found


def _check_grid(file: Path, mask: _Mask, study: Study, d: int) -> None:
    height, width = study.pixels.shape[2:]
    if mask.pixels.shape != (height, width):
        msg = f"{file}: its masks have {mask.pixels.shape} pixels, the images {(height, width)}; write them on the grid of the images"
        raise InputError(msg)
    column, row = (study.affine[:3, axis] / np.linalg.norm(study.affine[:3, axis]) for axis in (1, 2))
    turned = np.abs(mask.orientation * np.array([-1, -1, 1] * 2) - np.concatenate([row, column])).max()
    aside = float(np.linalg.norm(mask.position * np.array([-1, -1, 1]) - study.source.positions[d]))
    if turned > _TURNED or aside > _ASIDE:
        msg = f"{file}: a mask lies {aside:.1f} mm off the image that it refers to, or is turned; write the masks on the grid of the images"
        raise InputError(msg)
