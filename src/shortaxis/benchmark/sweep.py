"""Fig. 2 of the paper: what Fixed pooling (Eq. 2) scores as the weight of the first of two members goes from 0 to 1.

The members are those of one training, run once a frame; only the weights change. Where the members were trained jointly with weights of
their own, the curve says what other weights would have given *these* members, not what members trained with those weights would give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shortaxis.ensemble import Fixed, StreamingEnsemble
from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling, number
from shortaxis.metrics.case import Case, CaseScore
from shortaxis.metrics.protocols import PROTOCOLS
from shortaxis.preprocessing import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.inference.predictor import Model
    from shortaxis.study import Frame
    from shortaxis.training.recipe import Recipe

WEIGHTS: Final = tuple(step / 10 for step in range(11))
PROTOCOLS_SWEPT: Final = ("reference", "paper")
FIGURES: Final = ("dsc_average", "dsc_rv", "dsc_myo", "dsc_lv", "ec")


def sweep_of_row(model: Model, recipe: Recipe, dataset: Dataset) -> dict[str, Any] | None:
    """The sweep of a row of two members under Fixed pooling; None for any other row."""
    if recipe.pooling.get("rule") != "fixed" or len(model.ensemble.members) != 2:
        return None
    return sweep_weights(model, dataset)


def sweep_weights(model: Model, dataset: Dataset, on_frame: Callable[[int, int], None] = lambda _done, _all: None) -> dict[str, Any]:
    """Score a data set under Fixed pooling with each of `WEIGHTS` for the first member.

    The outer softmax of Eq. 2 never changes which class is largest, so that the curve is the same with it and without.

    Args:
        model: Of two members.
        dataset: Frames to score; each member runs once on each.
        on_frame: Called with the number of frames done and of all.

    Returns:
        JSON-able: `members` (names of their networks), `weights`, and under `protocols` for each protocol every figure of `FIGURES` as a
        list with one value a weight, in per cent; None where undefined.

    Raises:
        InputError: The model has not two members, or the data set is empty.
    """
    networks = [member["network"] for member in model.spec.members]
    if len(networks) != 2:
        msg = f"the model '{model.spec.name}' has {len(networks)} members; the weight of the first can be swept where there are two"
        raise InputError(msg)
    if not len(dataset):
        msg = f"the data set '{dataset.name}' holds no annotated frame to score"
        raise InputError(msg)
    scores: dict[str, list[list[CaseScore]]] = {name: [[] for _ in WEIGHTS] for name in PROTOCOLS_SWEPT}
    for done, frame in enumerate(dataset, start=1):
        for index, labels in enumerate(_labels(model, frame)):
            for name in PROTOCOLS_SWEPT:
                scores[name][index].append(PROTOCOLS[name].score(Case.of_frame(frame, labels)))
        on_frame(done, len(dataset))
    protocols = {name: _curves(name, by_weight) for name, by_weight in scores.items()}
    return {"members": networks, "weights": list(WEIGHTS), "protocols": protocols}


def _labels(model: Model, frame: Frame) -> Iterator[NDArray[np.uint8]]:
    """Labels of a frame for each weight, as a model with these weights would give them."""
    shape, spacing = (frame.image.shape[1], frame.image.shape[2]), (frame.spacing[1], frame.spacing[2])
    said = model.run_networks(normalise(model.grid.sample(frame.image, spacing))).members
    for weight in WEIGHTS:
        ensemble = StreamingEnsemble(model.ensemble.members, Fixed((weight, 1 - weight), outer_softmax=False))
        yield model.bring_back(ensemble.pool(said), shape, spacing).labels


def _curves(name: str, by_weight: list[list[CaseScore]]) -> dict[str, list[float | None]]:
    found = [PROTOCOLS[name].summarise(scores, Resampling(rounds=0)) for scores in by_weight]
    return {figure: [number(figures[figure].value) for figures in found] for figure in FIGURES}
