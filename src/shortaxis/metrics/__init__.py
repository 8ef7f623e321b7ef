"""Eq. 5, Eq. 6, surface distances, agreement of indices, and the protocols that say who computes what."""

from __future__ import annotations

from shortaxis.metrics.agreement import Agreement, agreement
from shortaxis.metrics.bootstrap import Estimate, PatientBootstrap, Resampling
from shortaxis.metrics.case import Case
from shortaxis.metrics.end_coefficient import end_coefficient, end_slices, paper_end_score, passes, reference_end_score
from shortaxis.metrics.overlap import dsc, dsc_of_confusion, dsc_of_counts, slice_confusion
from shortaxis.metrics.protocols import PROTOCOLS, stretch
from shortaxis.metrics.surface import SurfaceDistance, surface_distance

__all__ = [
    "PROTOCOLS",
    "Agreement",
    "Case",
    "Estimate",
    "PatientBootstrap",
    "Resampling",
    "SurfaceDistance",
    "agreement",
    "dsc",
    "dsc_of_confusion",
    "dsc_of_counts",
    "end_coefficient",
    "end_slices",
    "paper_end_score",
    "passes",
    "reference_end_score",
    "slice_confusion",
    "stretch",
    "surface_distance",
]
