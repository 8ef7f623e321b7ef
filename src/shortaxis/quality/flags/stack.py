"""Flags on the stack of slices: whether it covers the ventricles, evenly and without a shift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.indices.ring import is_closed
from shortaxis.labels import FOREGROUND, Structure
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shortaxis.quality.flags.flag import Examined

FEWEST_LV_SLICES: Final = 5
"""Slices with LV cavity at ED: with fewer each holds a fifth of the ventricle and more. All 100 ACDC training patients have six or more."""
WIDEST_MM: Final = 12.0
"""mm from slice to slice. SCMR asks for 10 mm including the gap (Kramer et al., JCMR 22:17, 2020); a fifth more is let pass."""
MISSING_SLICE: Final = 1.5
"""A distance this many times the usual one leaves room for a slice that is not there."""
FULL_LV: Final = 70.0
FULL_RV: Final = 50.0
"""% of a cavity's largest section from which on it counts as whole.

The valve plane descends in systole by 10 mm and more in a healthy heart, so at ES the most basal slice of a stack that covers the base lies
in or above it. A slice there that shows both ventricles whole lies below it, and so does it at ED. No LV or RV outflow looks so."""
APEX_SECTION: Final = 35.0
"""% of the largest LV section that the most apical slice may show at ED: beyond such a section lie 5 % of half an ellipsoid."""
SHIFT_MM: Final = 7.0
"""mm that the LV of a slice may lie off the centreline of the others: more than a wall of normal thickness is not the shape of a heart.

Of annotated slices shifted by 10 mm on purpose, 9 in 10 are found."""
LEAST_SECTION_MM2: Final = 100.0
"""mm² below which the centroid of a section says little."""
LEAST_FOR_CENTRELINE: Final = 5
"""Slices below which a curved centreline goes through anything."""


def too_few_slices(seen: Examined) -> QualityFlag | None:
    """Fewer than `FEWEST_LV_SLICES` slices show the LV cavity."""
    frame = seen.frames[0]
    shown = int((frame.areas[Structure.LV] > 0).sum())
    if not 0 < shown < FEWEST_LV_SLICES:
        return None
    return QualityFlag(
        "too_few_slices",
        "warning",
        f"{shown} {'slices' if shown > 1 else 'slice'} of {seen.study.n_slices} {'show' if shown > 1 else 'shows'} the LV cavity at "
        f"{frame.name}, so volumes are coarse or partial",
        "give the whole stack from base to apex, and acquire it with slices of 10 mm or less",
        shown,
        FEWEST_LV_SLICES,
        "slices",
    )


def slices_far_apart(seen: Examined) -> QualityFlag | None:
    """The slice distance is more than `WIDEST_MM`."""
    distance = seen.study.spacing[0]
    if seen.study.n_slices < 2 or distance <= WIDEST_MM:
        return None
    return QualityFlag(
        "slices_far_apart",
        "warning",
        f"slices are {distance:.1f} mm apart, and what lies between them is guessed",
        "check that no slices were left out and that the distance in the header is right",
        distance,
        WIDEST_MM,
        "mm",
    )


def gap_in_stack(seen: Examined) -> QualityFlag | None:
    """Between two neighbours lies room for a slice; slices that were planned unevenly count for what they stand for, and are no gap."""
    if seen.study.n_slices < 3 or (seen.study.slice_extents is not None and not seen.study.gaps):
        return None
    distances = np.abs(np.diff(seen.origins[:, 0]))
    # The median of two is their mean, which no gap is 1.5 times of unless it is three times the other.
    usual = float(distances.min() if len(distances) == 2 else np.median(distances))
    limit = MISSING_SLICE * usual
    widest = int(distances.argmax())
    if distances[widest] <= limit:
        return None
    return QualityFlag(
        "gap_in_stack",
        "warning",
        f"slices {widest + 1} and {widest + 2} are {distances[widest]:.1f} mm apart where {usual:.1f} mm is usual, "
        "so a slice is missing there and volumes come out low",
        "give all slices of the stack; if one was never acquired, do not compare volumes with other studies",
        float(distances[widest]),
        limit,
        "mm",
    )


def base_not_covered(seen: Examined) -> QualityFlag | None:
    """At ES the most basal slice still shows both ventricles whole, so the valve plane lies outside the stack."""
    if seen.systole is None or seen.study.n_slices < 2:
        return None
    section, right = (100 * seen.systole.share_of_largest(structure, seen.base) for structure in (Structure.LV, Structure.RV))
    if section <= FULL_LV or right <= FULL_RV or not is_closed(seen.systole.labels[seen.base]):
        return None
    return QualityFlag(
        "base_not_covered",
        "warning",
        f"slice {seen.base + 1}, the most basal one, still shows both ventricles whole at end-systole (LV at {section:.0f} % of its "
        "largest section), so the base lies outside the stack and volumes come out low",
        "acquire slices up to the atria, or give those that were left out",
        section,
        FULL_LV,
        "%",
    )


def apex_not_covered(seen: Examined) -> QualityFlag | None:
    """At ED the most apical slice still shows a sizeable LV cavity."""
    frame = seen.frames[0]
    section = 100 * frame.share_of_largest(Structure.LV, seen.apex)
    if seen.study.n_slices < 2 or section <= APEX_SECTION:
        return None
    return QualityFlag(
        "apex_not_covered",
        "warning",
        f"slice {seen.apex + 1}, the most apical one, shows {section:.0f} % of the largest LV section at {frame.name}, so the apex lies "
        "outside the stack and volumes come out low",
        "acquire slices until the cavity is gone, or give those that were left out",
        section,
        APEX_SECTION,
        "%",
    )


def motion_between_slices(seen: Examined) -> QualityFlag | None:
    """The LV of a slice lies off the centreline of the others, at ED and ES alike."""
    sections = np.stack([frame.areas[[Structure.MYO, Structure.LV]].sum(axis=0) for frame in seen.frames])
    sizeable = np.flatnonzero((sections > LEAST_SECTION_MM2).all(axis=0))
    # The valve plane cuts a slice at a slant, and what remains has its centre elsewhere.
    slices = np.array([index for index in sizeable if all(is_closed(frame.labels[index]) for frame in seen.frames)], int)
    if len(slices) < LEAST_FOR_CENTRELINE:
        return None
    centres = np.mean([_centres(frame.labels[slices], frame.spacing[1:]) for frame in seen.frames], axis=0)
    places = seen.origins[slices]
    shifts = np.linalg.norm(_off_centreline(places[:, 0], centres + places[:, 1:]), axis=1)
    worst = int(shifts.argmax())
    if shifts[worst] <= SHIFT_MM:
        return None
    return QualityFlag(
        "motion_between_slices",
        "warning",
        f"the LV of slice {slices[worst] + 1} lies {shifts[worst]:.1f} mm off the line through the others, as after a different "
        "breath-hold; the slice may have missed its place along the axis too",
        "look at the stack from the side; repeat the slice where that is possible, and do not use the shape in 3D",
        float(shifts[worst]),
        SHIFT_MM,
        "mm",
    )


def missing_structure(seen: Examined) -> Iterator[QualityFlag]:
    """A structure is not there at all."""
    for structure in FOREGROUND:
        without = [frame.name for frame in seen.frames if not frame.areas[structure].any()]
        if without:
            yield QualityFlag(
                f"no_{structure.name.lower()}",
                "warning",
                f"no {structure.name} was found at {' and '.join(without)}",
                "check that this is a short-axis cine of the heart, and look at the labels before using any index",
            )


def empty_slice_within(seen: Examined) -> QualityFlag | None:
    """A structure is missing in a slice between two that show it."""
    holes = []
    for frame in seen.frames:
        for structure in FOREGROUND:
            shown = np.flatnonzero(frame.areas[structure])
            if len(shown):
                within = np.setdiff1d(np.arange(shown[0], shown[-1]), shown)
                holes += [f"{structure.name} in slice {index + 1} at {frame.name}" for index in within]
    if not holes:
        return None
    more = f" and {len(holes) - 3} more" if len(holes) > 3 else ""
    return QualityFlag(
        "empty_slice_within",
        "warning",
        f"missing between slices that show it: {', '.join(holes[:3])}{more}",
        "correct the labels there, or leave the volumes of the structure out",
        len(holes),
        0,
        "places",
    )


def cut_by_border(seen: Examined) -> QualityFlag | None:
    """A structure touches the border of the image."""
    cut = np.zeros(seen.study.n_slices, bool)
    for frame in seen.frames:
        shown = frame.labels != Structure.BACKGROUND
        cut |= shown[:, [0, -1]].any(axis=(1, 2)) | shown[:, :, [0, -1]].any(axis=(1, 2))
    if not cut.any():
        return None
    return QualityFlag(
        "cut_by_border",
        "warning",
        f"the heart touches the border of the image in {cut.sum()} of {len(cut)} slices, so a part of it is not seen",
        "give the images with their whole field of view",
        int(cut.sum()),
        0,
        "slices",
    )


def _centres(masks: NDArray[np.uint8], spacing: tuple[float, float]) -> NDArray[np.float64]:
    """Centroid (y, x) in mm of LV cavity and wall together in each mask, float64 (D, 2): (D, H, W), none of them empty."""
    ventricle = (masks == Structure.MYO) | (masks == Structure.LV)
    count = ventricle.sum(axis=(1, 2))
    down, across = (ventricle.sum(axis=axis) @ np.arange(masks.shape[3 - axis]) for axis in (2, 1))
    return np.asarray(np.stack([down, across], axis=1) / count[:, None] * spacing, np.float64)


def _off_centreline(along: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance vectors (D, 2) of points from the parabola through them; the fit yields to outliers (least absolute distances)."""
    place = (along - along.mean()) / along.std()
    terms = np.stack([np.ones_like(place), place, place**2], axis=1)
    weights = np.ones(len(place))
    rest = centres
    for _ in range(50):
        root = np.sqrt(weights)[:, None]
        rest = centres - terms @ np.linalg.lstsq(terms * root, centres * root)[0]
        # Near 1 mm and below it is least squares: exact least absolute distances would pass through three slices and blame the others.
        weights = 1 / np.sqrt(1 + (rest**2).sum(axis=1))
    return rest
