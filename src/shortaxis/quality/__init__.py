"""How far a segmentation can be trusted: pixel-wise uncertainty, verdicts on end slices, intervals on indices."""

from __future__ import annotations

from shortaxis.quality.conformal import conformal_half_width, leave_one_out_coverage
from shortaxis.quality.features import FEATURES, base_is_first, slice_features
from shortaxis.quality.trust import SliceVerdict, TrustModel, judge_end_slices
from shortaxis.quality.uncertainty import disagreement, entropy, mutual_information

__all__ = [
    "FEATURES",
    "SliceVerdict",
    "TrustModel",
    "base_is_first",
    "conformal_half_width",
    "disagreement",
    "entropy",
    "judge_end_slices",
    "leave_one_out_coverage",
    "mutual_information",
    "slice_features",
]
