"""How far a segmentation can be trusted: pixel-wise uncertainty, verdicts on end slices, intervals on indices."""

from __future__ import annotations

from shortaxis.quality.conformal import conformal_half_width
from shortaxis.quality.features import FEATURES, slice_features
from shortaxis.quality.trust import SliceVerdict, TrustModel, judge_end_slices
from shortaxis.quality.uncertainty import disagreement, entropy, mutual_information

__all__ = [
    "FEATURES",
    "SliceVerdict",
    "TrustModel",
    "conformal_half_width",
    "disagreement",
    "entropy",
    "judge_end_slices",
    "mutual_information",
    "slice_features",
]
