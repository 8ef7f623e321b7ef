"""Fig. 2 of the paper: what Fixed pooling (Eq. 2) scores as the weight of the first of two members goes from 0 to 1.

The members are those of one training, run once a frame; only the weights change. Where the members were trained jointly with weights of
their own, the curve says what other weights would have given *these* members, not what members trained with those weights would give.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling, number
from shortaxis.metrics.case import Case, CaseScore
from shortaxis.metrics.protocols import PROTOCOLS
from shortaxis.training.policies.weights_search import labels_of_mixtures

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


def is_swept(recipe: Recipe) -> bool:
    """Whether Fig. 2 has a curve of this row: two members that were trained jointly under Fixed pooling."""
    joint = recipe.policy["kind"] == "joint" and recipe.pooling.get("rule") == "fixed"
    return joint and sum(group.count for group in recipe.members) == 2


def sweep_within(model: Model, dataset: Dataset, seconds: float | None) -> dict[str, Any] | None:
    """`sweep_weights` within a limit of wall time; None where it did not come to its end, and None as a limit is no limit."""
    if seconds is None:
        return sweep_weights(model, dataset)
    ends = time.monotonic() + seconds

    def check(done: int, of: int) -> None:
        if done < of and time.monotonic() >= ends:
            raise _TimeIsUp

    try:
        return sweep_weights(model, dataset, check) if seconds > 0 else None
    except _TimeIsUp:
        return None


class _TimeIsUp(Exception):  # noqa: N818 - no error, and caught where it is raised
    """The limit of a sweep has come."""


def sweep_weights(model: Model, dataset: Dataset, on_frame: Callable[[int, int], None] = lambda _done, _all: None) -> dict[str, Any]:
    """Score a data set under Fixed pooling with each of `WEIGHTS` for the first member.

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
    """Labels uint8 (D, H, W) of a frame for each weight, as a model with these weights would give them."""
    return labels_of_mixtures(model, frame, [(weight, 1 - weight) for weight in WEIGHTS])


def _curves(name: str, by_weight: list[list[CaseScore]]) -> dict[str, list[float | None]]:
    found = [PROTOCOLS[name].summarise(scores, Resampling(rounds=0)) for scores in by_weight]
    return {figure: [number(figures[figure].value) for figures in found] for figure in FIGURES}
