"""From a folder of DICOM files to a `Study`."""

from __future__ import annotations

import math
import statistics
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shortaxis.errors import DataWarning, InputError
from shortaxis.io.archives import archive_kind
from shortaxis.io.body import read_body_size
from shortaxis.io.dicom.alignment import describe
from shortaxis.io.dicom.geometry import slice_extents, stack_affine, to_ras
from shortaxis.io.dicom.limits import MOST_VOXELS
from shortaxis.io.dicom.phases import order_phases
from shortaxis.io.dicom.pixels import load_pixels
from shortaxis.io.dicom.scanning import REMEDIES, scan_headers
from shortaxis.io.dicom.scattered import gathered
from shortaxis.io.dicom.series import choose, named, stacks_of
from shortaxis.io.walking import files_below
from shortaxis.study import Study, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from shortaxis.io.dicom.headers import Plane
    from shortaxis.io.dicom.phases import Phases
    from shortaxis.io.dicom.scanning import Scan
    from shortaxis.io.dicom.stack import Stack
    from shortaxis.study import Spacing


@dataclass(frozen=True)
class Instance:
    """Where one voxel plane came from.

    Attributes:
        path: The file.
        frame: Number of the frame in the file, counted from 0.
        sop_instance_uid: SOP instance of the file.
        resampled: Whether the image lies on another grid than the study, so that its pixels were resampled.
    """

    path: Path
    frame: int
    sop_instance_uid: str
    resampled: bool = False


@dataclass(frozen=True, eq=False)
class DicomSource:
    """Where a study stood in its files. It names no person.

    Attributes:
        path: The folder or file that was read.
        instances: T tuples of D, the instance of each voxel plane; a phase that stands in for a missing one occurs twice.
        positions: float64 (D, 3), centre of the first voxel of each slice in RAS+ mm, exact where slices are unevenly spaced.
        series: Numbers of the series that were taken.
        clock: The DICOM attribute that ordered the phases.
        rr_interval: RR interval in ms, median over the images, or None.
        notes: What was said aloud.
    """

    path: Path
    instances: tuple[tuple[Instance, ...], ...]
    positions: NDArray[np.float64]
    series: tuple[int | None, ...]
    clock: str
    rr_interval: float | None
    notes: tuple[str, ...]

    @property
    def lost(self) -> tuple[str, ...]:
        """Those notes that name images of the chosen series which the study lacks."""
        return tuple(note for note in self.notes if "cannot be used" in note or "left out, with" in note)


@dataclass(frozen=True)
class Finding:
    """One stack of images in a folder.

    Attributes:
        series: Numbers of its series.
        n_images: Number of images.
        n_slices: Number of places.
        n_phases: Number of phases at most places.
        reason: Why it is no short-axis cine; None for one that is.
    """

    series: tuple[int | None, ...]
    n_images: int
    n_slices: int
    n_phases: int
    reason: str | None


@dataclass(frozen=True)
class Outline:
    """What a study would be, without its pixels.

    Attributes:
        shape: (T, D, H, W).
        spacing: (z, y, x) in mm.
        phase_times: Of each phase in ms, or None.
        rr_interval: RR interval in ms, or None.
        subject: What is known of the patient.
        notes: What `read_dicom` would say aloud.
        slice_extents: Length along the normal that each slice stands for in mm, or None where that is the slice distance.
        gaps: Index of each slice after which one is missing.
    """

    shape: tuple[int, int, int, int]
    spacing: Spacing
    phase_times: tuple[float, ...] | None
    rr_interval: float | None
    subject: Subject
    notes: tuple[str, ...]
    slice_extents: tuple[float, ...] | None = None
    gaps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What a folder holds, without looking at a pixel.

    Attributes:
        findings: All stacks of MR images.
        chosen: Which of them `read_dicom` takes, or None.
        outline: What it would make of it; None where it takes none.
        problem: Why it takes none, or None.
        damaged: Files that cannot be used, with the reason.
        others: DICOM files that are no MR images, with the reason.
        n_strange: Number of files that are not DICOM.
    """

    findings: tuple[Finding, ...]
    chosen: int | None
    outline: Outline | None
    problem: InputError | None
    damaged: dict[Path, str]
    others: dict[Path, str]
    n_strange: int


def read_dicom(path: Path | str, *, series: int | str | None = None) -> Study:
    """Read the short-axis cine of a study.

    The rules of choosing, stacking and ordering stand in `shortaxis.io.dicom.series`, `geometry` and `phases`. Rows and columns stay as
    they are stored; slices run from base to apex. The subject's identifier is the name of the folder or file: no name and no number of
    the patient is read.

    Args:
        path: A folder with any nesting, or one multi-frame file.
        series: Number or UID of the series to take; None finds it.

    Returns:
        The study, pixels float32 (T, D, H, W), `phase_times` in ms where a clock tells them, `source` a `DicomSource`.

    Raises:
        InputError: pydicom is not installed; the path is absent, or holds no DICOM image, no MR image or no short-axis cine, or those of
            several studies; a file is damaged.

    Warns:
        DataWarning: A file was left out, a slice repeated or left out, a phase missing, the spacing uneven, or the choice of the series
            was not clear.
    """
    path = Path(path)
    found = _look(path, series)
    plan = _plan(path, found)
    for note in plan.outline.notes:
        warnings.warn(f"{path}: {note}", DataWarning, stacklevel=2)
    ordered = plan.phases.planes
    return Study(
        pixels=load_pixels(ordered),
        spacing=plan.outline.spacing,
        affine=plan.affine,
        phase_times=plan.outline.phase_times,
        subject=plan.outline.subject,
        source=DicomSource(
            path=path,
            instances=tuple(
                tuple(Instance(plane.path, plane.frame, plane.sop_instance_uid, plane.stored is not None) for plane in phase)
                for phase in zip(*ordered, strict=True)
            ),
            positions=to_ras(np.array([slice_[0].position for slice_ in ordered])),
            series=plan.stack.series,
            clock=plan.phases.clock,
            rr_interval=plan.outline.rr_interval,
            notes=plan.outline.notes,
        ),
        slice_extents=plan.outline.slice_extents,
        gaps=plan.outline.gaps,
    )


def survey_dicom(path: Path | str, *, series: int | str | None = None) -> Survey:
    """Look at the headers of a folder: what is there, what would be taken, and why the rest would not.

    Args:
        path: A folder with any nesting, or one multi-frame file.
        series: Number or UID of the series to take; None finds it.

    Returns:
        The survey.

    Raises:
        InputError: pydicom is not installed, the path is absent, or holds no MR image.
    """
    found = _look(Path(path), series)
    chosen, outline, problem = None, None, None
    try:
        plan = _plan(found.path, found)
        chosen, outline = found.stacks.index(plan.stack), plan.outline
    except InputError as error:
        problem = error
    scan = found.scan
    return Survey(tuple(map(_finding, found.stacks)), chosen, outline, problem, scan.damaged, scan.others, scan.n_strange)


@dataclass(frozen=True, eq=False)
class _Found:
    """What lies in a folder, sorted."""

    path: Path
    scan: Scan
    stacks: list[Stack]
    notes: list[str]


def _look(path: Path, series: int | str | None) -> _Found:
    scan = _scan(path)
    notes = [f"{file.name} {reason}; it is left out" for file, reason in list(scan.damaged.items())[:5]]
    more = len(scan.damaged) - 5
    notes += [f"and {more} more {'files are' if more > 1 else 'file is'} damaged"] * (more > 0)
    planes, copies = _once(scan.planes)
    notes += [f"{copies} {'images are' if copies > 1 else 'image is'} there twice and counted once"] * (copies > 0)
    planes, said = gathered(planes if series is None else named(planes, series))
    return _Found(path, scan, stacks_of(planes, by_count=series is not None), [*notes, *said])


@dataclass(frozen=True, eq=False)
class _Plan:
    """The stack that is taken, in order, and what a study of it would be."""

    stack: Stack
    phases: Phases
    affine: NDArray[np.float64]
    outline: Outline


def _plan(path: Path, found: _Found) -> _Plan:
    stack, choice = choose(path, found.stacks)
    phases = order_phases(stack.slices)
    slices = [slice_[0] for slice_ in phases.planes]
    _check_size(path, len(slices) * len(phases.planes[0]) * math.prod(slices[0].shape))
    affine, distance, uneven = stack_affine(slices)
    extents, gaps = slice_extents(slices)
    subject, body = _subject(path, stack.planes)
    lost = _say_lost(found.scan, stack)
    (row, column), shape = stack.planes[0].spacing, stack.planes[0].shape
    outline = Outline(
        shape=(len(phases.planes[0]), len(phases.planes), *shape),
        spacing=(distance, row, column),
        phase_times=phases.times,
        rr_interval=_median(plane.rr_interval for plane in stack.planes),
        subject=subject,
        notes=(*found.notes, *choice, *lost, *phases.notes, *_say_resampled(slices), *uneven, *body),
        slice_extents=extents,
        gaps=gaps,
    )
    return _Plan(stack, phases, affine, outline)


def _check_size(path: Path, voxels: int) -> None:
    if voxels > MOST_VOXELS:
        msg = f"{path}: the study would have {voxels / 1e6:.0f} million voxels, and {MOST_VOXELS / 1e6:.0f} are the most; give a part of it"
        raise InputError(msg)


def _say_resampled(slices: Sequence[Plane]) -> list[str]:
    """Say which slices lie on another grid than the stack, and that they were brought onto it."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, plane in enumerate(slices, start=1):
        if plane.stored is not None:
            by_kind[describe(plane)].append(number)
    total = f"({len(slices)} slices, counted from the base)"
    return [
        f"slice{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))} ({kind}) {'were' if len(numbers) > 1 else 'was'} resampled onto "
        f"the grid of the others {total}"
        for kind, numbers in by_kind.items()
    ]


def _say_lost(scan: Scan, stack: Stack) -> list[str]:
    """Name the images of the chosen series that cannot be used for what their headers lack, or since their files are cut short."""
    series = {plane.series_uid for plane in stack.planes}
    reasons = Counter((scan.others | scan.damaged)[file] for file, uid in scan.series_of.items() if uid in series)
    return [
        f"{count} images of its series cannot be used: each {reason}" if count > 1 else f"1 image of its series cannot be used: it {reason}"
        for reason, count in reasons.items()
    ]


def _finding(stack: Stack) -> Finding:
    return Finding(stack.series, len(stack.planes), len(stack.slices), stack.n_phases, stack.reason)


def _scan(path: Path) -> Scan:
    if not path.exists():
        msg = f"{path}: no such folder; check the path"
        raise InputError(msg)
    scan = scan_headers(path)
    if scan.planes:
        return scan
    if scan.damaged:
        file, reason = next(iter(scan.damaged.items()))
        msg = f"{file}: {reason}; get the file anew"
    elif scan.others:
        file, reason = next((item for item in scan.others.items() if item[1] in REMEDIES), next(iter(scan.others.items())))
        remedy = REMEDIES.get(reason, "give a folder with cardiac MR images")
        msg = f"{file}: {reason}, and there is no MR image beside it that can be used; {remedy}"
    elif packed := next((file for file in files_below(path) if archive_kind(file)), None):
        msg = f"{path}: holds no DICOM image, but {packed.name} is an archive; unpack it"
    else:
        msg = f"{path}: holds no DICOM image; give a folder with the DICOM files of a study"
    raise InputError(msg)


def _once(planes: Sequence[Plane]) -> tuple[list[Plane], int]:
    """Drop copies. Bad anonymisers give all files one UID, so position and clocks must agree too."""
    known = {(plane.sop_instance_uid, plane.frame, plane.position, tuple(plane.clocks.items())): plane for plane in reversed(planes)}
    return list(reversed(known.values())), len(planes) - len(known)


def _subject(path: Path, planes: Sequence[Plane]) -> tuple[Subject, list[str]]:
    """What is known of the patient, and what has to be said of the body size."""
    height, weight, remarks = read_body_size(_median(plane.height_m for plane in planes), _median(plane.weight_kg for plane in planes))
    folder = path.resolve()
    subject = Subject(
        identifier=folder.name if path.is_dir() else folder.stem,
        height_cm=height,
        weight_kg=weight,
        vendor=planes[0].manufacturer,
        field_strength_t=planes[0].field_strength_t,
    )
    return subject, remarks


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
