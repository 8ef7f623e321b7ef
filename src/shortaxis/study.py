"""The two things that travel through the package: a `Study` goes in, a `Segmentation` comes out.

Array order is always (T, D, H, W): phase, slice, row, column. Spacing is (z, y, x) in mm to match D, H, W.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.labels import Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.endocardium import Endocardium
    from shortaxis.preprocessing import HeartPose

Spacing = tuple[float, float, float]

NAMED_PHASES: Final = ("end_diastole", "end_systole", "rv_end_diastole", "rv_end_systole")
"""Attributes of a `Study` that name a phase."""


@dataclass(frozen=True)
class Subject:
    """What is known of the patient; every field may be unknown.

    Attributes:
        identifier: The name that the data set gives the patient, such as `patient001`.
        group: Diagnostic group, such as ACDC's NOR, DCM, HCM, MINF, RV.
        height_cm: Body height in cm.
        weight_kg: Body weight in kg.
        centre: Recruiting centre, as the data set writes it.
        vendor: Scanner vendor, as the data set writes it.
        field_strength_t: Strength of the scanner's field in tesla.
    """

    identifier: str | None = None
    group: str | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    centre: str | None = None
    vendor: str | None = None
    field_strength_t: float | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """A short-axis cine study, or one frame of it (T = 1).

    Attributes:
        pixels: float32 (T, D, H, W), finite.
        spacing: Distance between voxel centres in mm, (z, y, x).
        affine: float64 (4, 4); maps the index (d, h, w, 1) to world coordinates in mm (RAS+, as NIfTI).
        phase_times: Trigger time of each phase in ms, or None.
        end_diastole: Index of the ED phase on the T axis, or None.
        end_systole: Index of the ES phase on the T axis, or None.
        rv_end_diastole: Index of the RV's own ED phase where somebody names it, or None. `end_diastole` is that of the LV.
        rv_end_systole: Index of the RV's own ES phase, likewise.
        subject: What is known of the patient.
        source: The format's own record of where the array came from; the format's writer uses it to write labels on the same grid.
        slice_extents: Length along the normal that each slice stands for in mm, (D,), or None where each stands for the slice distance.
        gaps: Index of each slice after which one or more are missing; what lies there is in no volume.
    """

    pixels: NDArray[np.float32]
    spacing: Spacing
    affine: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    phase_times: tuple[float, ...] | None = None
    end_diastole: int | None = None
    end_systole: int | None = None
    subject: Subject = field(default_factory=Subject)
    source: Any = None
    slice_extents: tuple[float, ...] | None = None
    gaps: tuple[int, ...] = ()
    rv_end_diastole: int | None = None
    rv_end_systole: int | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4:
            msg = f"a study has four axes (T, D, H, W), not {self.pixels.ndim}"
            raise InputError(msg)
        if 0 in self.pixels.shape:
            msg = f"a study needs at least one phase, slice, row and column, not {self.pixels.shape}"
            raise InputError(msg)
        if len(self.spacing) != 3 or not all(np.isfinite(mm) and mm > 0 for mm in self.spacing):
            msg = f"spacing must be three positive lengths in mm (z, y, x), not {self.spacing}"
            raise InputError(msg)
        for name in NAMED_PHASES:
            index = getattr(self, name)
            if index is not None and not 0 <= index < len(self.pixels):
                msg = f"{name} is phase {index}, but the study has {len(self.pixels)} phases (counted from 0)"
                raise InputError(msg)
        extents = self.slice_extents
        if extents is not None and (len(extents) != self.n_slices or not all(np.isfinite(mm) and mm > 0 for mm in extents)):
            msg = f"slice_extents must be {self.n_slices} positive lengths in mm, one for each slice, not {extents}"
            raise InputError(msg)
        if not all(0 <= index < self.n_slices - 1 for index in self.gaps):
            msg = f"gaps must be indices of slices that another follows, below {self.n_slices - 1}, not {self.gaps}"
            raise InputError(msg)

    @property
    def n_phases(self) -> int:
        """Number of phases T."""
        return len(self.pixels)

    @property
    def n_slices(self) -> int:
        """Number of slices D."""
        return int(self.pixels.shape[1])

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml at the usual slice distance; `slice_extents` say more where slices are unevenly spaced."""
        z, y, x = self.spacing
        return z * y * x / 1000.0


@dataclass(frozen=True)
class Repair:
    """A place that contradicted its neighbours in time and was decided anew; see `shortaxis.inference.temporal`.

    Attributes:
        phase: Index on the T axis.
        slice: Index on the D axis.
        structure: What was amiss there.
        before_mm2: Its area in mm² as it was, with the endocardium as the networks draw it.
        after_mm2: Its area as it is now, with the same endocardium.
    """

    phase: int
    slice: int
    structure: Structure
    before_mm2: float
    after_mm2: float


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the study's own grid, and what the ensemble thought on the way.

    Attributes:
        study: The study that was segmented.
        labels: uint8 (T, D, H, W), values of `shortaxis.labels.Structure`.
        probabilities: float32 (T, C, D, H, W) pooled probabilities, or None when they were not kept.
        sigma: float32 (T, N, H, W), σ_i of Eq. 3 for each member, or None. A pooling rule that weighs every slice on its own has one
            map a slice: (T, N, D, H, W).
        omega: float32, the weights ω̄_i of Eq. 3 for each member, of the shape of sigma, or None.
        repairs: What was corrected because it contradicted its neighbours in time.
        pose: How the heart lies in the slices, where the networks worked on an aligned grid.
        endocardium: Where the border between the LV cavity and the myocardium is drawn, or None where it is not known.
    """

    study: Study
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None = None
    sigma: NDArray[np.float32] | None = None
    omega: NDArray[np.float32] | None = None
    repairs: tuple[Repair, ...] = ()
    pose: HeartPose | None = None
    endocardium: Endocardium | None = None

    def __post_init__(self) -> None:
        if self.labels.shape != self.study.pixels.shape:
            msg = f"labels have shape {self.labels.shape}, the study {self.study.pixels.shape}; they must be equal"
            raise InputError(msg)


@dataclass(frozen=True, eq=False)
class Frame:
    """One annotated 3D frame: the unit of training and of evaluation.

    Attributes:
        name: Unique within its data set, such as `patient001_frame01`.
        patient: The patient's identifier; frames of one patient never part in a split.
        phase: `ED`, `ES`, or None where the data set does not say.
        group: Diagnostic group, or None.
        image: float32 or uint8 (D, H, W).
        labels: uint8 (D, H, W), values of `shortaxis.labels.Structure`; 255 where nothing is known.
        spacing: (z, y, x) in mm.
        annotated: The structures that were annotated; of any other, background says nothing.
    """

    name: str
    patient: str
    phase: str | None
    group: str | None
    image: NDArray[Any]
    labels: NDArray[np.uint8]
    spacing: Spacing
    annotated: frozenset[Structure] = frozenset(Structure)

    @property
    def is_whole(self) -> bool:
        """Whether every structure was annotated."""
        return self.annotated >= frozenset(Structure)

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape != self.labels.shape:
            msg = f"{self.name}: image {self.image.shape} and labels {self.labels.shape} must be one (D, H, W) shape"
            raise InputError(msg)
