"""A trained model on annotated frames: segmented once, timed, and scored under every protocol."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shortaxis.benchmark.result import ProtocolScores, ScoredSet, case_row, without
from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.metrics.case import Case, CaseScore
from shortaxis.metrics.protocols import PROTOCOLS
from shortaxis.networks import network_cost
from shortaxis.networks.cost import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import numpy as np
    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.inference.predictor import Model


def score_model(
    model: Model, dataset: Dataset, *, shared: Collection[str] = (), on_frame: Callable[[int, int], None] = lambda _done, _all: None
) -> ScoredSet:
    """Segment and score every frame of a data set under every protocol.

    Args:
        model: On its device.
        dataset: At least one frame; each is read, segmented, scored and let go.
        shared: Patients whose image was trained on; every figure is given with and without them.
        on_frame: Called with the number of frames done and of all.

    Raises:
        InputError: The data set is empty.
    """
    dataset = dataset.whole()
    if not len(dataset):
        msg = f"the data set '{dataset.name}' holds no frame to score in which every structure was annotated"
        raise InputError(msg)
    scores: dict[str, list[CaseScore]] = {name: [] for name in PROTOCOLS}
    seconds, slices = 0.0, 0
    for done, frame in enumerate(dataset, start=1):
        spacing = (frame.spacing[1], frame.spacing[2])
        if done == 1:
            model.segment_frame(frame.image, spacing)  # once in vain: the first run of a network pays for its set-up
        begun = time.perf_counter()
        predicted = model.segment_frame(frame.image, spacing).labels
        seconds += time.perf_counter() - begun
        slices += len(predicted)
        for name, protocol in PROTOCOLS.items():
            scores[name].append(protocol.score(Case.of_frame(frame, predicted)))
        on_frame(done, len(dataset))
    protocols = {name: _scores(name, kept, shared) for name, kept in scores.items()}
    return ScoredSet(dataset.name, list(dataset.patients), len(dataset), slices, seconds, protocols)


def score_predictions(dataset: Dataset, mask_of: Callable[[str], NDArray[np.uint8]], seconds: float) -> ScoredSet:
    """Score masks that were made elsewhere under every protocol.

    Args:
        dataset: The frames, at least one.
        mask_of: Gives the mask, uint8 (D, H, W), of the frame of this name.
        seconds: Time that it took to segment all frames.

    Raises:
        InputError: The data set is empty, or a mask does not fit its frame.
    """
    if not len(dataset):
        msg = f"the data set '{dataset.name}' holds no annotated frame to score"
        raise InputError(msg)
    scores: dict[str, list[CaseScore]] = {name: [] for name in PROTOCOLS}
    slices = 0
    for frame in dataset:
        case = Case.of_frame(frame, mask_of(frame.name))
        slices += len(case.truth)
        for name, protocol in PROTOCOLS.items():
            scores[name].append(protocol.score(case))
    protocols = {name: _scores(name, kept, ()) for name, kept in scores.items()}
    return ScoredSet(dataset.name, list(dataset.patients), len(dataset), slices, seconds, protocols)


def model_cost(model: Model) -> Cost:
    """Parameters of all members together, and the arithmetic of one slice, in every view that the model is asked for."""
    cost = network_cost(model.ensemble, model.grid.size)
    finder = model.ensemble.finder
    parameters = cost.parameters - (0 if finder is None else sum(value.numel() for value in finder.parameters()))
    return Cost(parameters, cost.flops * (1 + len(model.augmenting.transforms)))


def _scores(name: str, scores: list[CaseScore], shared: Collection[str]) -> ProtocolScores:
    protocol, resampling = PROTOCOLS[name], Resampling()
    overall = {figure: estimate.to_dict() for figure, estimate in protocol.summarise(scores, resampling).items()}
    rest = without(scores, shared) if shared else []
    return ProtocolScores(
        protocol.description,
        overall,
        [case_row(score) for score in scores],
        {figure: estimate.to_dict() for figure, estimate in protocol.summarise(rest, resampling).items()} if rest else None,
    )
