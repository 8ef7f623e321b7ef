"""Where the 16 segments of the left ventricular wall lie (Cerqueira et al., Circulation 105:539, 2002).

The rules, from labels alone or with the orientation of the image:

* **Slices.** Measured are slices whose myocardium closes around the cavity: the valve plane does not cut them, and there is a cavity. At
  the base this leaves out slices with the outflow tract or a part of the atrium, at the apex the cap without a cavity (segment 17).
* **Base to apex.** By the affine where it has orientation: the apex lies to the left, front and feet. Otherwise, and where they clearly
  contradict the affine, by the masks: the half of the stack with the larger ventricle is the base. The frame at
  ED decides for that at ES too.
* **Levels.** The measured slices in thirds from base to apex; of 10 slices 4 are basal, 3 mid and 3 apical. Each phase has its own
  thirds, so that they follow the muscle as the base comes down.
* **Septum.** The RV lies on it: the angles, seen from the centroid of the LV cavity, of the RV's pixels within 3 mm of the myocardium. The
  widest gap between them is the free wall; the two ends of what remains are the RV insertion points. A contact of less than 60° says
  nothing about them.
* **Anterior insertion.** The one that lies further to the front and head, by the affine where it has orientation. Otherwise the one
  further up in the image, as short-axis images are displayed. A diagonal affine has no orientation: short-axis planes are oblique.
* **Segments.** Basal and mid: six of 60°, from the anterior insertion through the septum: anteroseptal, inferoseptal, inferior,
  inferolateral, anterolateral, anterior. Apical: four of 90°, the septal one with its middle where the two basal septal ones meet.
  Basal and mid take the mean insertion of their slices, and that of the next level where there is none. The apical level takes that of
  mid: the RV tapers towards the apex, and its edge there is no insertion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.indices.ring import Ring, is_closed, trace_ring
from shortaxis.labels import Structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shortaxis.study import Spacing

SEGMENTS: Final = (
    *("basal anterior", "basal anteroseptal", "basal inferoseptal", "basal inferior", "basal inferolateral", "basal anterolateral"),
    *("mid anterior", "mid anteroseptal", "mid inferoseptal", "mid inferior", "mid inferolateral", "mid anterolateral"),
    *("apical anterior", "apical septal", "apical inferior", "apical lateral"),
)
"""Names of the segments 1 to 16."""
LEVELS: Final = ("basal", "mid", "apical")
CONTACT_MM: Final = 3.0
"""RV pixels within this distance of the myocardium lie on the septum."""
LEAST_CONTACT: Final = np.deg2rad(60.0)
"""A smaller arc of contact does not show where the RV inserts."""

_CLEARLY_LARGER: Final = 1.25
"""How many times larger the LV is in the basal half: in all but 3 of the 200 ACDC training frames, and never in the apical half."""
_FEWEST_IN_HALF: Final = 2

_AROUND: Final = np.array([2, 3, 4, 5, 6, 1], np.uint8)
_AROUND_APEX: Final = np.array([14, 15, 16, 13], np.uint8)
_APEXWARD: Final = np.array([-0.65, 0.60, -0.45])
"""Usual direction of the LV axis from base to apex in RAS+: to the left, front and feet."""
_ANTERIOR: Final = np.array([0.0, 1.0, 1.0]) / np.sqrt(2.0)
"""In RAS+: to the front and head in equal parts, which coincide in a short-axis plane."""


@dataclass(frozen=True, eq=False)
class AhaModel:
    """The segments of one frame.

    Attributes:
        rings: The traced ring of each measured slice, by slice index.
        levels: The place in `LEVELS` of each measured slice, by slice index.
        insertions: Angle of the anterior RV insertion at each of `LEVELS`, in radians from +W towards +H around the centre of the ring.
        turn: +1 where the septum follows the anterior insertion at growing angles, else -1.
        orientation: `affine` or `image`: what told anterior from inferior.
    """

    rings: Mapping[int, Ring]
    levels: Mapping[int, int]
    insertions: tuple[float, float, float]
    turn: int
    orientation: str

    def segment_at(self, level: int, angles: NDArray[Any]) -> NDArray[np.uint8]:
        """Give the segment, 1 to 16, at angles (radians, any shape) around the centre of a slice of this level; uint8."""
        from_insertion = np.rad2deg(self.turn * (angles - self.insertions[level]))
        if level < 2:
            segments = _AROUND[(from_insertion % 360 // 60).astype(int) % 6] + np.uint8(6 * level)
        else:
            segments = _AROUND_APEX[((from_insertion - 15) % 360 // 90).astype(int) % 4]
        return np.asarray(segments, np.uint8)


def aha_model(
    labels: NDArray[np.uint8], spacing: Spacing, affine: NDArray[np.float64] | None = None, *, basal_first: bool | None = None
) -> AhaModel | str:
    """Find the segments of a frame by the rules of this module.

    Args:
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (z, y, x) in mm.
        affine: (4, 4), index (d, h, w, 1) to RAS+ mm; None when unknown.
        basal_first: Whether the slices run from base to apex; None lets `apex_is_last` tell.

    Returns:
        The model, or in words why there is none: fewer than three measured slices, or no RV to tell the septum by.
    """
    closed = [index for index, mask in enumerate(labels) if is_closed(mask)]
    if len(closed) < len(LEVELS):
        return f"{len(closed)} slices have a closed ring of myocardium; base, mid and apex need three"
    if not (apex_is_last(labels, affine) if basal_first is None else basal_first):
        closed.reverse()
    levels = {slice_index: len(LEVELS) * place // len(closed) for place, slice_index in enumerate(closed)}
    rings = {slice_index: trace_ring(labels[slice_index], spacing[1:]) for slice_index in closed}
    contacts = {index: contact for index in closed if (contact := rv_contact(labels[index], spacing[1:], rings[index])) is not None}
    if not contacts:
        return "the RV touches the myocardium along less than 60° in every slice, so the septum cannot be told"

    ends = np.array(list(contacts.values()))
    up, orientation = _image_direction_of_anterior(affine)
    heights = np.sin(ends) * up[0] + np.cos(ends) * up[1]
    turn = 1 if (heights[:, 0] - heights[:, 1]).sum() > 0 else -1
    at_level: dict[int, list[float]] = {}
    for slice_index, (first, last) in contacts.items():
        at_level.setdefault(levels[slice_index], []).append(first if turn == 1 else last)
    means = {level: float(np.angle(np.exp(1j * np.array(angles)).mean())) for level, angles in at_level.items()}
    basal = means[min(means)]
    mid = means.get(1, basal)
    return AhaModel(rings, levels, (basal, mid, mid), turn, orientation)


def segment_masks(labels: NDArray[np.uint8], spacing: Spacing, affine: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
    """Number the myocardium by segment.

    Args:
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (z, y, x) in mm.
        affine: (4, 4), index (d, h, w, 1) to RAS+ mm; None when unknown.

    Returns:
        uint8 (D, H, W): 1 to 16 on the myocardium of the measured slices, 0 elsewhere, and everywhere where `aha_model` finds no model.
    """
    numbered = np.zeros_like(labels)
    model = aha_model(labels, spacing, affine)
    if isinstance(model, AhaModel):
        for slice_index, level in model.levels.items():
            wall = labels[slice_index] == Structure.MYO
            y, x = (np.argwhere(wall) * spacing[1:] - model.rings[slice_index].centre).T
            numbered[slice_index][wall] = model.segment_at(level, np.arctan2(y, x))
    return numbered


def rv_contact(mask: NDArray[np.uint8], spacing: tuple[float, float], ring: Ring) -> tuple[float, float] | None:
    """Find the two RV insertion points of a slice.

    Args:
        mask: uint8 (H, W), values of `shortaxis.labels.Structure`.
        spacing: (y, x) in mm.
        ring: Its traced ring.

    Returns:
        Angles in radians from +W towards +H around the ring's centre, such that the septum lies at growing angles from the first to the
        second; None where the RV touches the myocardium along less than 60°.
    """
    pieces, count = scipy.ndimage.label(mask == Structure.RV, np.ones((3, 3)))
    if count == 0:
        return None
    largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    near = largest & (scipy.ndimage.distance_transform_edt(mask != Structure.MYO, sampling=spacing) <= CONTACT_MM)
    if not near.any():
        return None
    y, x = (np.argwhere(near) * spacing - ring.centre).T
    angles = np.sort(np.arctan2(y, x))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    widest = int(gaps.argmax())
    if 2 * np.pi - gaps[widest] < LEAST_CONTACT:
        return None
    # A pixel reaches half its width beyond its centre.
    beyond = float(np.mean(spacing) / 2 / np.hypot(y, x).mean())
    return float(angles[(widest + 1) % len(angles)]) - beyond, float(angles[widest]) + beyond


def apex_is_last(labels: NDArray[np.uint8], affine: NDArray[np.float64] | None) -> bool:
    """Tell whether the slices of a frame (D, H, W) run from base to apex, by the rule of this module; they do where nothing tells."""
    if affine is not None and has_orientation(affine):
        by_masks = stack_by_masks(labels)
        return float(affine[:3, 0] @ _APEXWARD) > 0 if by_masks is None else by_masks
    areas = ((labels == Structure.LV) | (labels == Structure.MYO)).sum(axis=(1, 2))
    shown = areas[areas > 0]
    half = len(shown) // 2
    return bool(shown[:half].sum() >= shown[-half:].sum())


def stack_by_masks(labels: NDArray[np.uint8]) -> bool | None:
    """Tell whether the slices of a frame run from base to apex where the masks leave no doubt of it.

    Args:
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`.

    Returns:
        Whether they do; None where one half of the slices that show the LV has not clearly more of the LV than the other, and more of the
        RV too.
    """
    left = (labels >= Structure.MYO).sum(axis=(1, 2))
    right = (labels == Structure.RV).sum(axis=(1, 2))[left > 0]
    left = left[left > 0]
    half = len(left) // 2
    if half < _FEWEST_IN_HALF:
        return None
    (first, last), (first_right, last_right) = ((areas[:half].sum(), areas[-half:].sum()) for areas in (left, right))
    for basal_first, large, small, more, less in (
        (True, first, last, first_right, last_right),
        (False, last, first, last_right, first_right),
    ):
        if large >= _CLEARLY_LARGER * small and more > less:
            return basal_first
    return None


def has_orientation(affine: NDArray[np.float64]) -> bool:
    """Tell whether an affine (4, 4) has orientation: a diagonal one, in any order of its axes, was written without any."""
    columns = np.abs(affine[:3, :3])
    largest = columns.max(axis=0)
    return bool((np.sort(columns, axis=0)[1] > 1e-3 * largest).any())


def _image_direction_of_anterior(affine: NDArray[np.float64] | None) -> tuple[NDArray[np.float64], str]:
    """Direction (y, x) of anterior in the image, and what told it."""
    if affine is None or not has_orientation(affine):
        return np.array([-1.0, 0.0]), "image"
    axes = affine[:3, 1:3] / np.linalg.norm(affine[:3, 1:3], axis=0)
    return _ANTERIOR @ axes, "affine"
