"""Ensembles: the pooling rules of the paper and the module that owns the members."""

from __future__ import annotations

from shortaxis.ensemble.model_file import ModelSpec, read_model, save_model
from shortaxis.ensemble.pooling import (
    Pooled,
    averaging_matrix,
    channel_variance,
    fixed_pooling,
    member_weights,
    neighbourhood_matrix,
    uncertainty_pooling,
    weighted_pooling,
)
from shortaxis.ensemble.rules import (
    POOLINGS,
    Entropy,
    Fixed,
    LearnedTemperature,
    MutualInformation,
    PoolingRule,
    Uncertainty,
    Weighing,
    build_pooling,
)
from shortaxis.ensemble.streaming import EnsembleOutput, StreamingEnsemble

__all__ = [
    "POOLINGS",
    "EnsembleOutput",
    "Entropy",
    "Fixed",
    "LearnedTemperature",
    "ModelSpec",
    "MutualInformation",
    "Pooled",
    "PoolingRule",
    "StreamingEnsemble",
    "Uncertainty",
    "Weighing",
    "averaging_matrix",
    "build_pooling",
    "channel_variance",
    "fixed_pooling",
    "member_weights",
    "neighbourhood_matrix",
    "read_model",
    "save_model",
    "uncertainty_pooling",
    "weighted_pooling",
]
