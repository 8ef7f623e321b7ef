"""How far a segmentation can be trusted: pixel-wise uncertainty, verdicts on end slices, intervals on indices."""

from __future__ import annotations

from shortaxis.quality.evidence import SIGNS, FrameEvidence, frame_evidence
from shortaxis.quality.trust import SliceVerdict, TrustModel, judge_slices
from shortaxis.quality.uncertainty import disagreement, entropy, mutual_information

__all__ = [
    "SIGNS",
    "FrameEvidence",
    "SliceVerdict",
    "TrustModel",
    "disagreement",
    "entropy",
    "frame_evidence",
    "judge_slices",
    "mutual_information",
]
