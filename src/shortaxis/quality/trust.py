"""The trust in a slice: a calibrated probability that its segmentation is poor, a verdict, and the reasons in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy  # its parts load when they are used, which keeps quick what needs none

from shortaxis.errors import InputError
from shortaxis.labels import FOREGROUND
from shortaxis.quality.evidence import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from shortaxis.quality.forest import Forest

POOR_DSC: Final = 0.8
"""A slice is poor when the mean DSC of its structures is below this, the threshold of Eq. 6."""

MOST_REASONS: Final = 3
_WEIGHTY: Final = 0.3
"""A reason is given when it explains this share of what the first explains."""
_SUREST: Final = 0.01
"""Shares of poor slices are kept this far from 0 and 1 before their logarithm is taken."""

_OF_STRUCTURE: Final = {
    "whether the {} reaches this slice is unclear": (("doubt_of_presence",), ("faint_structure", "missing_structure")),
    "the members of the ensemble disagree about the {}": (("members_apart", "member_areas_apart"), ("member_disagreement",)),
    "the outline of the {} is blurred": (("doubt_inside",), ("softness", "edge_entropy")),
    "the {} does not fit the neighbouring slice": (("shrinking", "away_from_neighbour", "log_area"), ("area_change",)),
    "the {} at end-diastole and at end-systole do not fit together": (
        ("area_at_other_phase", "area_against_other_phase", "reach_against_other_phase", "doubt_at_other_phase"),
        (),
    ),
}
"""Words with a place for the structure: the signs of the structure, and those of the slice, that they stand for."""
_OF_SLICE: Final = {
    "the heart's centre jumps against the neighbouring slice": ("centroid_jump",),
    "the myocardium does not close around the cavity": ("open_ring",),
    "the slice may lie beyond {}": ("depth_in_heart", "depth_in_both", "smallness", "basal", "smaller_cavity"),
}
_BEYOND: Final = {"basal": "the valve plane", "middle": "the heart", "apical": "the apex"}
_NAMES: Final = {"RV": "RV", "MYO": "myocardium", "LV": "LV"}


@dataclass(frozen=True)
class TrustModel:
    """A forest on the signs of a slice, its answer made a probability by a logistic curve (Platt, 1999).

    Attributes:
        features: Names of the signs that the forest asks for, of `SIGNS`.
        forest: Gives the share of poor slices among those that look like this one.
        slope: Of the logistic curve on the logit of that share.
        intercept: Of the logistic curve.
        threshold: Probability above which a slice is to be checked.
        typical: Median of each sign over the good end slices.
        provenance: How it was made and how well it does: plain JSON types.
    """

    features: tuple[str, ...]
    forest: Forest
    slope: float
    intercept: float
    threshold: float
    typical: tuple[float, ...]
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.features) - set(SIGNS))
        asked = max(self.forest.feature)
        if unknown or len(self.typical) != len(self.features) or asked >= len(self.features):
            what = f"unknown signs {', '.join(unknown)}" if unknown else "its lists differ in length"
            msg = f"the trust model is damaged: {what}; make it again with `shortaxis calibrate`"
            raise InputError(msg)

    def probability(self, signs: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Probability that each slice is poor, float64 (D,), from `all_signs`."""
        return self._probability(np.stack([signs[name] for name in self.features], axis=1))

    def reasons(self, signs: Mapping[str, NDArray[np.float64]], index: int, level: str) -> tuple[str, ...]:
        """Say why a slice looks poor: by how much the probability would fall if some of its signs were those of a typical good end slice.

        Args:
            signs: From `all_signs`.
            index: The slice.
            level: `basal`, `middle` or `apical`.

        Returns:
            One to three reasons in words, the weightiest first; each kind of reason once, with the structure that it weighs most for.
        """
        x = np.array([signs[name][index] for name in self.features])
        words, kinds, columns = zip(*self._groups(level), strict=True)
        typical = np.tile(x, (len(words), 1))
        for row, of_group in zip(typical, columns, strict=True):
            row[of_group] = np.array(self.typical)[of_group]
        gain = self._probability(x[None]) - self._probability(typical)
        given: dict[str, str] = {}
        for place in np.argsort(-gain, kind="stable"):
            if given and gain[place] < _WEIGHTY * gain.max():
                break
            given.setdefault(kinds[place], words[place])
        return tuple(given.values())[:MOST_REASONS]

    def _probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(scipy.special.expit(self.slope * logit_of_share(self.forest.share_poor(x)) + self.intercept), np.float64)

    def _groups(self, level: str) -> Iterator[tuple[str, str, list[int]]]:
        """Each reason in words, its kind, and the columns of its signs; only those of which the model has a sign."""
        place = {name: column for column, name in enumerate(self.features)}
        for words, (own, shared) in _OF_STRUCTURE.items():
            for part in FOREGROUND:
                names = [*(f"{name}_{part.name.lower()}" for name in own), *shared]
                if columns := [place[name] for name in names if name in place]:
                    yield words.format(_NAMES[part.name]), words, columns
        for words, names_of_slice in _OF_SLICE.items():
            if columns := [place[name] for name in names_of_slice if name in place]:
                yield words.format(_BEYOND[level]), words, columns


def logit_of_share(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logit of the share of poor slices, kept finite."""
    return np.asarray(scipy.special.logit(np.clip(share, _SUREST, 1 - _SUREST)), np.float64)


@dataclass(frozen=True)
class SliceVerdict:
    """What is said of one slice.

    Attributes:
        slice: Index on the D axis.
        level: `basal`, `middle` or `apical`.
        verdict: `trust` or `check`.
        probability: Calibrated probability that the mean DSC of the slice is below 0.8.
        reasons: Why it is to be checked, in words; empty for a trusted slice.
    """

    slice: int
    level: str
    verdict: str
    probability: float
    reasons: tuple[str, ...]


def heart_ends(span: tuple[int, int], depth: int) -> tuple[int, ...]:
    """The end slices of the heart, in the order of the stack: the outermost two on either side that show it, and the slice beyond each.

    Args:
        span: First and last slice that show a structure at ED or ES.
        depth: Number of slices of the stack.

    Examples:
        >>> heart_ends((2, 8), 12)
        (1, 2, 3, 7, 8, 9)
        >>> heart_ends((0, 1), 2)
        (0, 1)
    """
    first, last = span
    near = {first - 1, first, min(first + 1, last), max(last - 1, first), last, last + 1}
    return tuple(sorted(index for index in near if 0 <= index < depth))


def judge_slices(
    model: TrustModel,
    signs: Mapping[str, NDArray[np.float64]],
    probability: NDArray[np.float64],
    span: tuple[int, int] | None,
    *,
    basal_first: bool,
) -> tuple[SliceVerdict, ...]:
    """Judge the ends of the heart in one frame, and name every slice between them that is to be checked.

    Slices farther out are silent: they show nothing at either phase.

    Args:
        model: The calibrated model.
        signs: From `all_signs`.
        probability: float64 (D,), from `model.probability(signs)`: the forest is slow enough to be asked once a frame.
        span: First and last slice that show a structure at ED or ES; None where no slice does, and nothing is judged.
        basal_first: Whether the stack runs from base to apex; see `shortaxis.indices.aha.apex_is_last`.

    Returns:
        The verdicts, in the order of the stack.
    """
    if span is None:
        return ()
    ends = heart_ends(span, len(probability))
    verdicts = []
    for index in range(ends[0], ends[-1] + 1):
        check = bool(probability[index] > model.threshold)
        if not check and index not in ends:
            continue
        level = "middle" if index not in ends else "basal" if (index <= sum(span) / 2) == basal_first else "apical"
        reasons = model.reasons(signs, index, level) if check else ()
        verdicts.append(SliceVerdict(index, level, "check" if check else "trust", float(probability[index]), reasons))
    return tuple(verdicts)
