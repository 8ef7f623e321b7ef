"""The trust in a slice: a calibrated probability that its segmentation is poor, a verdict, and the reasons in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.errors import InputError
from shortaxis.labels import Structure
from shortaxis.metrics.end_coefficient import end_slices
from shortaxis.quality.features import FEATURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

POOR_DSC: Final = 0.8
"""A slice is poor when the mean DSC of its structures is below this, the threshold of Eq. 6."""

MOST_REASONS: Final = 3

REASONS: Final = {
    "member_disagreement": "the members of the ensemble disagree",
    "softness": "the probabilities do not settle on one outline",
    "edge_entropy": "the outline is blurred",
    "faint_structure": "a structure is faintly seen but left out",
    "missing_structure": "a structure of the neighbouring slice is missing",
    "area_change": "an area changes sharply against the neighbouring slice",
    "centroid_jump": "the heart's centre jumps against the neighbouring slice",
    "smallness": "the section is small, near the apex or beyond it",
    "endness": "the slice is at the end of the stack",
}


@dataclass(frozen=True)
class TrustModel:
    """A logistic model of `poor` on the standardised signs of a slice, with the limits above which a sign is named as a reason.

    Attributes:
        features: Names of the signs, keys of `FEATURES`.
        mean: Of each sign over the calibration slices.
        scale: Standard deviation of each sign.
        coefficients: One a sign.
        intercept: Of the logistic model.
        threshold: Probability from which on a slice is to be checked.
        usual: 95th percentile of each sign over the good calibration slices.
        provenance: How it was made and how well it does: plain JSON types.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    threshold: float
    usual: tuple[float, ...]
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.features) - FEATURES.keys())
        lengths = {len(values) for values in (self.features, self.mean, self.scale, self.coefficients, self.usual)}
        if unknown or len(lengths) != 1:
            msg = f"the trust model is damaged: {unknown or 'its lists differ in length'}; make it again with `shortaxis calibrate`"
            raise InputError(msg)

    def probability(self, signs: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Probability that each slice is poor, float64 (D,), from `slice_features`."""
        x = (np.stack([signs[name] for name in self.features], axis=1) - self.mean) / self.scale
        return np.asarray(scipy.special.expit(x @ np.asarray(self.coefficients) + self.intercept), np.float64)

    def reasons(self, signs: dict[str, NDArray[np.float64]], index: int) -> tuple[str, ...]:
        """What is unusual about a slice, in words, the weightiest first: one to three reasons."""
        weight = {
            name: coefficient * (signs[name][index] - mean) / scale
            for name, coefficient, mean, scale in zip(self.features, self.coefficients, self.mean, self.scale, strict=True)
        }
        ranked = sorted(weight, key=lambda name: -weight[name])
        unusual = [name for name in ranked if signs[name][index] > dict(zip(self.features, self.usual, strict=True))[name]]
        return tuple(REASONS[name] for name in (unusual or ranked[:1])[:MOST_REASONS])


@dataclass(frozen=True)
class SliceVerdict:
    """What is said of one end slice.

    Attributes:
        slice: Index on the D axis.
        level: `basal` or `apical`.
        verdict: `trust` or `check`.
        probability: Calibrated probability that the mean DSC of the slice is below 0.8.
        reasons: Why it is to be checked, in words; empty for a trusted slice.
    """

    slice: int
    level: str
    verdict: str
    probability: float
    reasons: tuple[str, ...]


def judge_end_slices(model: TrustModel, signs: dict[str, NDArray[np.float64]], labels: NDArray[np.uint8]) -> tuple[SliceVerdict, ...]:
    """Judge the first two and the last two slices of a frame.

    Args:
        model: The calibrated model.
        signs: From `slice_features`.
        labels: uint8 (D, H, W) of the same frame; they tell the base from the apex.

    Returns:
        One verdict for each end slice, in the order of the stack.
    """
    probability = model.probability(signs)
    basal_first = base_is_first(labels)
    depth = len(labels)
    verdicts = []
    for index in sorted(end_slices(depth)):
        check = bool(probability[index] >= model.threshold)
        level = "basal" if (index < depth / 2) == basal_first else "apical"
        reasons = model.reasons(signs, index) if check else ()
        verdicts.append(SliceVerdict(index, level, "check" if check else "trust", float(probability[index]), reasons))
    return tuple(verdicts)


def base_is_first(labels: NDArray[np.uint8]) -> bool:
    """Whether the stack runs from base to apex: its half with the larger ventricular cavities is the basal one; base first in a tie."""
    cavities = np.isin(labels, (Structure.RV, Structure.LV)).sum(axis=(1, 2))
    half = len(labels) // 2
    return bool(cavities[:half].sum() >= cavities[len(labels) - half :].sum())
