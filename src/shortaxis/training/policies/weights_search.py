"""Choosing the weights of Fixed pooling (Eq. 2) by the DSC of every mixture; the networks run once a frame."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.datasets.splits import k_fold
from shortaxis.ensemble import Fixed, StreamingEnsemble
from shortaxis.errors import InputError
from shortaxis.inference.predictor import Model
from shortaxis.labels import FOREGROUND, N_CLASSES
from shortaxis.metrics.overlap import dsc_of_confusion, slice_confusion
from shortaxis.preprocessing import normalise
from shortaxis.training.policies.policy import Assembled, with_pooling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.study import Frame
    from shortaxis.training.recipe import Recipe

MOST_MIXTURES: Final = 2000
OPTIMISTIC: Final = (
    "the weights of the members were chosen by the DSC of the held-out patients, so every score on these patients is optimistic"
)

Mixture = tuple[float, ...]


def weight_sweep(model: Model, dataset: Dataset, steps: int = 21) -> list[tuple[float, float]]:
    """DSC against the weight of the first of two members: Fig. 2 of the paper.

    Args:
        model: A model of two members, whatever its pooling; its own weights play no part.
        dataset: Annotated frames; with those of training patients the curve says little.
        steps: Number of weights from 0 to 1, both included.

    Returns:
        (weight of the first member, DSC in per cent); see `sweep_mixtures`.

    Raises:
        InputError: The model has not two members, or the data set is empty.
    """
    if len(model.ensemble.members) != 2:
        msg = f"a sweep of one weight needs a model of two members, not of {len(model.ensemble.members)}; use sweep_mixtures"
        raise InputError(msg)
    return [(mixture[0], dsc) for mixture, dsc in sweep_mixtures(model, dataset, steps)]


def sweep_mixtures(model: Model, dataset: Dataset, steps: int = 21) -> list[tuple[Mixture, float]]:
    """DSC of a model's members under every mixture by Eq. 2.

    The figure is `dsc_average` of the protocol `paper`: one confusion matrix over all frames on their own grid, mean of RV, MYO and LV.
    Each mixture is scored exactly as a model with these weights would be; of a model with several views, as with `views-first`.

    Args:
        model: Any model; with its outer softmax where its pooling has one.
        dataset: Annotated frames.
        steps: Number of weights from 0 to 1, both included, that a member may have.

    Returns:
        Each mixture, one weight a member, with its DSC in per cent; by the weight of the first member, rising.

    Raises:
        InputError: There are too many mixtures, or no frame.
    """
    if not len(dataset):
        msg = f"the data set '{dataset.name}' holds no annotated frame to choose weights by"
        raise InputError(msg)
    tried = mixtures(len(model.ensemble.members), steps)
    counts = np.zeros((len(tried), N_CLASSES, N_CLASSES), np.int64)
    for frame in dataset:
        for index, labels in enumerate(labels_of_mixtures(model, frame, tried)):
            counts[index] += slice_confusion(frame.labels, labels).sum(axis=0)
    scores = 100 * dsc_of_confusion(counts)[:, list(FOREGROUND)].mean(axis=1)
    return [(mixture, float(score)) for mixture, score in zip(tried, scores, strict=True)]


def labels_of_mixtures(model: Model, frame: Frame, tried: Sequence[Mixture]) -> Iterator[NDArray[np.uint8]]:
    """Labels uint8 (D, H, W) of a frame under each mixture; the networks run once."""
    members = model.ensemble.members
    outer = bool(getattr(model.ensemble.pooling, "outer_softmax", False))
    spacing, shape = (frame.spacing[1], frame.spacing[2]), (frame.image.shape[1], frame.image.shape[2])
    grid = model.place(frame.image[None], frame.spacing)
    said = model.run_networks(normalise(grid.sample(frame.image, spacing))).members
    for mixture in tried:
        ensemble = StreamingEnsemble(members, Fixed(mixture, outer_softmax=outer))
        yield model.bring_back(ensemble.pool(said), shape, spacing, grid=grid).labels


def mixtures(members: int, steps: int) -> list[Mixture]:
    """All mixtures of some members whose weights are multiples of 1 / (steps - 1), by the weight of the first member, rising.

    Raises:
        InputError: There are too many, or `steps` is below 2.
    """
    parts = steps - 1
    if parts < 1:
        msg = f"a sweep needs at least 2 steps, not {steps}"
        raise InputError(msg)
    count = comb(parts + members - 1, members - 1)
    if count > MOST_MIXTURES:
        msg = f"{steps} steps for {members} members are {count} mixtures, more than {MOST_MIXTURES}; give fewer steps"
        raise InputError(msg)
    # Stars and bars: where the bars stand among the parts says how many parts each member has.
    bars = combinations(range(parts + members - 1), members - 1)
    shares = ([b - a - 1 for a, b in zip((-1, *places), (*places, parts + members - 1), strict=True)] for places in bars)
    return [tuple(share / parts for share in row) for row in shares]


def best_mixture(sweep: list[tuple[Mixture, float]]) -> Mixture:
    """The mixture of highest DSC; of several that share it the one nearest to equal weights."""
    return max(sweep, key=lambda entry: (entry[1], -sum(weight**2 for weight in entry[0])))[0]


def patients_aside(recipe: Recipe, training: Dataset) -> set[str]:
    """Training patients that are kept out of the training to choose the weights by, where the recipe asks for it.

    They are a share of every group; patients with identical images stay on one side.

    Raises:
        InputError: There are too few patients for the share.
    """
    search = recipe.search
    if search is None or search.patients != "aside":
        return set()
    return set(k_fold(training, max(2, round(1 / search.share)), recipe.seed)[0].held_out)


def check_search(recipe: Recipe) -> None:
    """Refuse a search that no data could make, before any are read.

    Raises:
        InputError: The pooling is not Fixed, there is one member, or there are too many mixtures.
    """
    if recipe.search is None:
        return
    count = sum(group.count for group in recipe.members)
    if recipe.pooling.get("rule") != "fixed" or count < 2:
        msg = f"the recipe '{recipe.name}' has [search], which needs two or more members under the pooling 'fixed'; take it out"
        raise InputError(msg)
    mixtures(count, recipe.search.steps)


def refuse_unfit_search(recipe: Recipe, held_out: Dataset | None) -> None:
    """Refuse a search that cannot be made, before anything is trained.

    Raises:
        InputError: As `check_search`, or there are no held-out patients to choose by.
    """
    check_search(recipe)
    if recipe.search is not None and recipe.search.patients == "held-out" and held_out is None:
        msg = f"the recipe '{recipe.name}' chooses weights by held-out patients; hold some out, or set search.patients to 'aside'"
        raise InputError(msg)


def with_best_weights(assembled: Assembled, recipe: Recipe, chosen_by: Dataset, device: torch.device) -> Assembled:
    """Give the ensemble the weights that do best on some patients, and record the whole sweep.

    Args:
        assembled: What the policy made.
        recipe: With its `[search]`.
        chosen_by: The patients that decide.
        device: Where the networks run.

    Raises:
        InputError: As `sweep_mixtures`.
    """
    if recipe.search is None:
        return assembled
    sweep = sweep_mixtures(Model(assembled.ensemble, assembled.spec, device), chosen_by, recipe.search.steps)
    best = best_mixture(sweep)
    spec = with_pooling(assembled.spec, weights=list(best))
    assembled.ensemble.pooling = Fixed(best, outer_softmax=spec.pooling.get("outer_softmax", True))
    facts: dict[str, Any] = {
        "weights": list(best),
        "chosen_by": recipe.search.patients,
        "patients": list(chosen_by.patients),
        "protocol": "paper",
        "sweep": [[list(mixture), score] for mixture, score in sweep],
    }
    notice = {"notice": OPTIMISTIC} if recipe.search.patients == "held-out" else {}
    return Assembled(assembled.ensemble, spec, assembled.facts | {"search": facts} | notice)
