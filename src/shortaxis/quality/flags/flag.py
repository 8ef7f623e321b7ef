"""What a flag is, and what the checks look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from shortaxis.indices.aha import apex_is_last
from shortaxis.indices.volumes import ventricular_indices
from shortaxis.io.dicom import DicomSource
from shortaxis.labels import N_CLASSES, Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.indices.curves import VolumeCurves
    from shortaxis.preprocessing import HeartPose
    from shortaxis.study import Spacing, Study


@dataclass(frozen=True)
class QualityFlag:
    """Something about a whole study that a reader of its indices should know.

    Attributes:
        name: Short name, such as `base_not_covered`.
        severity: A `warning` may spoil an index; a `note` only says how things are.
        message: What it is, in one sentence with its figures; slices and frames are counted from 1.
        remedy: What to do about it, in one sentence.
        value: The figure behind it, a float whatever number was given, or None.
        limit: What the figure was held against, likewise.
        unit: Unit of both, or empty.
    """

    name: str
    severity: Literal["warning", "note"]
    message: str
    remedy: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        # A report is JSON, and its encoder refuses the numbers of NumPy.
        for name in ("value", "limit"):
            figure = getattr(self, name)
            object.__setattr__(self, name, None if figure is None else float(figure))


@dataclass(frozen=True, eq=False)
class ExaminedFrame:
    """One frame of the study.

    Attributes:
        name: Such as `end-diastole`, as it is said in a message.
        labels: uint8 (D, H, W).
        spacing: (z, y, x) in mm.
    """

    name: str
    labels: NDArray[np.uint8]
    spacing: Spacing

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """Area of each structure in each slice in mm², float64 (C, D)."""
        counts = [np.bincount(mask.ravel(), minlength=N_CLASSES)[:N_CLASSES] for mask in self.labels]
        return np.asarray(np.stack(counts, axis=1) * self.spacing[1] * self.spacing[2], np.float64)

    def share_of_largest(self, structure: Structure, index: int) -> float:
        """Area of a structure in a slice as a share of its largest area in any; 0 where the frame does not show it."""
        areas = self.areas[structure]
        return float(areas[index] / areas.max()) if areas.max() > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Examined:
    """A segmented study as the checks see it.

    Attributes:
        study: The study.
        curves: Its volumes over the phases.
        diastole: The ED frame, or None where it is not known.
        systole: The ES frame, or None.
        frames: Those of the two that are known; where none is, the frame with the largest LV cavity.
        repaired: Number of places (a structure in a slice at a phase) that were decided anew for the sake of temporal consistency.
        end_slices: How many end slices of ED and ES are to be checked, and how many were judged; None without verdicts.
        pose: How the heart lies in the slices, of a model that looks for it.
    """

    study: Study
    curves: VolumeCurves
    diastole: ExaminedFrame | None
    systole: ExaminedFrame | None
    frames: tuple[ExaminedFrame, ...]
    repaired: int
    end_slices: tuple[int, int] | None
    pose: HeartPose | None = None

    @cached_property
    def indices(self) -> dict[str, float]:
        """The ventricular indices that have a value."""
        diastole, systole = (None if frame is None else frame.labels for frame in (self.diastole, self.systole))
        found = ventricular_indices(
            diastole,
            systole,
            self.study.spacing,
            extents_ed=self.study.slice_extents,
            extents_es=self.study.slice_extents,
            rv_edv_own=self.curves.rv_edv_own,
            rv_esv_own=self.curves.rv_esv_own,
        )
        return {name: index.value for name, index in found.items() if index.value is not None}

    @cached_property
    def base(self) -> int:
        """Index of the most basal slice."""
        return 0 if apex_is_last(self.frames[0].labels, self.study.affine) else self.study.n_slices - 1

    @property
    def apex(self) -> int:
        """Index of the most apical slice."""
        return self.study.n_slices - 1 - self.base

    @cached_property
    def origins(self) -> NDArray[np.float64]:
        """Where the first voxel of each slice lies in mm along the axes of the stack, (z, y, x), from that of slice 0 on: (D, 3)."""
        depth, source = self.study.n_slices, self.study.source
        if isinstance(source, DicomSource) and len(source.positions) == depth:
            across, down = (self.study.affine[:3, axis] / np.linalg.norm(self.study.affine[:3, axis]) for axis in (2, 1))
            axes = np.stack([np.cross(down, across), down, across])
            return np.asarray((source.positions - source.positions[0]) @ axes.T, np.float64)
        return np.outer(np.arange(depth), (self.study.spacing[0], 0.0, 0.0))
