"""Scores of a model on held-out patients, on the native grid, under every protocol."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from shortaxis.errors import DataWarning
from shortaxis.evaluation import evaluate_cases
from shortaxis.inference.predictor import Model
from shortaxis.metrics.case import Case
from shortaxis.metrics.protocols import PROTOCOLS

if TYPE_CHECKING:
    import torch

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec


def validate(ensemble: StreamingEnsemble, spec: ModelSpec, dataset: Dataset, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Segment every frame of a data set and score it under every protocol.

    Returns:
        What `Evaluation.to_dict` gives.

    Warns:
        DataWarning: The image of a frame has a single grey value, so that its score means nothing.
    """
    model = Model(ensemble, spec, device)
    cases = []
    for frame in dataset:
        if frame.image.min() == frame.image.max():
            msg = f"{frame.name}: its image has a single grey value, so its scores mean nothing; replace the image or remove the frame"
            warnings.warn(msg, DataWarning, stacklevel=2)
        predicted = model.segment_frame(frame.image, (frame.spacing[1], frame.spacing[2])).labels
        cases.append(Case.of_frame(frame, predicted))
    return evaluate_cases(cases, tuple(PROTOCOLS)).to_dict()
