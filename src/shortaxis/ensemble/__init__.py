"""Ensembles: the pooling rules of the paper and the module that owns the members."""

from __future__ import annotations

from shortaxis.ensemble.pooling import Pooled, averaging_matrix, channel_variance, fixed_pooling, member_weights, uncertainty_pooling
from shortaxis.ensemble.rules import POOLINGS, Fixed, PoolingRule, Uncertainty, build_pooling
from shortaxis.ensemble.streaming import EnsembleOutput, StreamingEnsemble

__all__ = [
    "POOLINGS",
    "EnsembleOutput",
    "Fixed",
    "Pooled",
    "PoolingRule",
    "StreamingEnsemble",
    "Uncertainty",
    "averaging_matrix",
    "build_pooling",
    "channel_variance",
    "fixed_pooling",
    "member_weights",
    "uncertainty_pooling",
]
