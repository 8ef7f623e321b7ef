"""What a protocol is given, one annotated frame and its prediction, and what it keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shortaxis.errors import InputError
from shortaxis.labels import N_CLASSES
from shortaxis.metrics.bootstrap import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.study import Frame, Spacing


@dataclass(frozen=True, eq=False)
class Case:
    """One frame to score, on its native grid.

    Attributes:
        name: Names the frame in results and errors, such as `patient101_frame01`.
        patient: The patient's identifier; frames of one patient are resampled together, and its ED and ES give one set of indices.
        truth: uint8 (D, H, W), values of `shortaxis.labels.Structure`.
        prediction: uint8 (D, H, W), values of `Structure`.
        spacing: (z, y, x) in mm.
        phase: `ED`, `ES`, or None where unknown; the indices need it.
        group: Diagnostic group, or None.
        trusted: bool (D,), the slices that the quality control trusts, or None when it did not look.
    """

    name: str
    patient: str
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    spacing: Spacing
    phase: str | None = None
    group: str | None = None
    trusted: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.truth.ndim != 3 or self.truth.shape != self.prediction.shape or not self.truth.size:
            msg = (
                f"{self.name}: the truth has shape {self.truth.shape} and the prediction {self.prediction.shape}; "
                "both must be one (D, H, W), so segment the same image that was annotated"
            )
            raise InputError(msg)
        for side, labels in (("truth", self.truth), ("prediction", self.prediction)):
            if labels.dtype != np.uint8 or labels.max() >= N_CLASSES:
                msg = f"{self.name}: the {side} must be uint8 labels 0 to {N_CLASSES - 1}; translate them with the right label scheme first"
                raise InputError(msg)
        if not all(np.isfinite(mm) and mm > 0 for mm in self.spacing):
            msg = f"{self.name}: spacing must be three positive lengths in mm (z, y, x), not {self.spacing}"
            raise InputError(msg)
        if self.trusted is not None and self.trusted.shape != (len(self.truth),):
            msg = f"{self.name}: `trusted` has shape {self.trusted.shape}; it must be one entry for each of the {len(self.truth)} slices"
            raise InputError(msg)

    @classmethod
    def of_frame(cls, frame: Frame, prediction: NDArray[np.uint8]) -> Case:
        """The case of an annotated frame and its predicted labels, uint8 (D, H, W)."""
        return cls(frame.name, frame.patient, frame.labels, prediction, frame.spacing, frame.phase, frame.group)


@dataclass(frozen=True, eq=False)
class CaseScore:
    """What a protocol keeps of one case; small, so that the images can go.

    Attributes:
        name: As in `Case`.
        patient: As in `Case`.
        phase: As in `Case`.
        group: As in `Case`.
        confusion: int64 (C, C) voxel counts on the protocol's grid, [true class, predicted class].
        values: The figures of this case by name; NaN where undefined.
    """

    name: str
    patient: str
    phase: str | None
    group: str | None
    confusion: NDArray[np.int64]
    values: dict[str, float]

    @classmethod
    def of(cls, case: Case, confusion: NDArray[np.int64], values: dict[str, float]) -> CaseScore:
        """The score of this case."""
        return cls(case.name, case.patient, case.phase, case.group, confusion, values)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able row; NaN becomes None."""
        head = {"name": self.name, "patient": self.patient, "phase": self.phase, "group": self.group}
        return head | {name: number(value) for name, value in self.values.items()}
