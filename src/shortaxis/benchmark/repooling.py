"""What another pooling rule makes of the same trained members: no training, so that a figure moves by the rule and by nothing else.

It is half of the truth about a row. The members were trained together under one rule; under another they would have become others, which
only `shortaxis benchmark run` shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, Final

import msgspec
import torch

from shortaxis.benchmark.describing import of_scoring
from shortaxis.benchmark.result import RESULT, SCHEMA_VERSION, Result, write_result
from shortaxis.benchmark.scoring import score_model
from shortaxis.ensemble import StreamingEnsemble
from shortaxis.ensemble.rules import build_pooling
from shortaxis.errors import InputError
from shortaxis.inference.predictor import Model
from shortaxis.networks import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shortaxis.benchmark.rows import Row
    from shortaxis.datasets.dataset import Dataset
    from shortaxis.ensemble.rules import PoolingRule
    from shortaxis.training.recipe import Recipe

POOLINGS: Final = (
    "rows/unet",
    "rows/2unet-fixed",
    "rows/2unet-augmenting",
    "rows/2unet-augmenting-as-published",
    "rows/2unet-uncertainty",
    "beyond/fixed-no-outer-softmax",
    "beyond/uncertainty-no-outer-softmax",
    "beyond/tuned-temperature",
    "beyond/neighbourhood",
    "beyond/per-slice",
    "beyond/entropy",
    "beyond/five-views",
)
"""Rows that differ in how the members of two UNets are asked and pooled."""


@dataclass(frozen=True)
class Repooled:
    """Some members of a model under the pooling and the views of a row.

    Attributes:
        row: The row.
        members: Indices of the members, counted from 0.
        choice: Which choice of members for this row, counted from 0.
        model: What is scored.
    """

    row: Row
    members: tuple[int, ...]
    choice: int
    model: Model

    @property
    def place(self) -> str:
        """Folder of the result below `out`, such as `rows/unet/members-1`."""
        return f"{self.row.name}/members-{'-'.join(str(member + 1) for member in self.members)}"


def repooled(model: Model, rows: Sequence[Row]) -> list[Repooled]:
    """Put the members of a model under the pooling of each row.

    A row of fewer members than the model has is there once for every choice of as many members; those of each choice are its trainings.

    Args:
        model: The trained model.
        rows: Their members, in order, their pooling and their views count; how they train is passed over. A network that is more than what
            a row names, as `depth-unet` is a UNet, stands in for it where the model has no other.

    Raises:
        InputError: A row has members that the model has not, or lives by its training: a rule that learns, weights that are searched,
            members that are trained apart.
    """
    for row in rows:
        _refuse_what_needs_training(row)
    return [
        Repooled(row, members, choice, _with(model, row.recipe, members))
        for row in rows
        for choice, members in enumerate(_choices(model, row))
    ]


def score_repooled(
    models: Sequence[Repooled],
    dataset: Dataset,
    out: Path,
    source: str,
    on_progress: Callable[[float, int, str], None] = lambda _done, _all, _text: None,
) -> list[Path]:
    """Score each under every protocol, and leave one `result.json` each, in the format of a benchmark job.

    Args:
        models: See `repooled`.
        dataset: Frames to score; nobody that the members were trained on should be among them.
        out: Folder of the results.
        source: What the members are of, such as the name of the model's file.
        on_progress: Called with the number of models done, of all, and what is being done.

    Returns:
        The files, in the order of `models`.

    Raises:
        InputError: The data set is empty, `out` holds results already, or a file cannot be written.
    """
    if out.is_dir() and any(out.rglob(RESULT)):
        msg = f"{out}: holds results already, with which these would be taken together; choose another --out, or remove the folder"
        raise InputError(msg)
    paths = []
    for done, entry in enumerate(models):

        def report(frames: int, of: int, done: int = done, name: str = entry.place) -> None:
            on_progress(done + frames / of, len(models), name)

        result = _described(entry, dataset, source)
        paths.append(out / entry.place / RESULT)
        write_result(paths[-1], msgspec.structs.replace(result, held_out=score_model(entry.model, dataset, on_frame=report)))
    return paths


def unseen_by(model: Model, dataset: Dataset) -> Dataset:
    """The patients of a data set that the members were not trained on, by the names on the model's card.

    Raises:
        InputError: The card names nobody, or there is no such patient.
    """
    trained = set(model.spec.card.get("train_patients") or ())
    unseen = [patient for patient in dataset.patients if patient not in trained]
    if not trained or not unseen:
        whom = f"was trained on every patient of '{dataset.name}'" if trained else "does not say whom it was trained on"
        msg = f"the model '{model.spec.name}' {whom}; give another model or other data, or --all to score all patients"
        raise InputError(msg)
    return dataset.select(unseen)


def _refuse_what_needs_training(row: Row) -> None:
    recipe = row.recipe
    what = None
    if recipe.policy["kind"] != "joint":
        what = f"the policy '{recipe.policy['kind']}'"
    elif recipe.search is not None:
        what = "its search of weights"
    elif isinstance(_pooling(recipe), torch.nn.Module):
        what = f"the rule '{recipe.pooling['rule']}'"
    if what is not None:
        msg = f"{row.name} lives by {what}, which works in training, and there is none here; leave the row out"
        raise InputError(msg)


def _choices(model: Model, row: Row) -> list[tuple[int, ...]]:
    """Members of the model for the row, in the row's order; every choice of them once."""
    wanted = [group.network for group in row.recipe.members for _ in range(group.count)]
    networks = [member["network"] for member in model.spec.members]
    kinds = sorted(set(wanted))
    of_kind = [combinations(_of_kind(kind, networks), wanted.count(kind)) for kind in kinds]
    found = []
    for chosen in product(*of_kind):
        left = {kind: list(members) for kind, members in zip(kinds, chosen, strict=True)}
        members = tuple(left[kind].pop(0) for kind in wanted)
        if len(set(members)) == len(members):
            found.append(members)
    if not found:
        msg = f"{row.name} pools {' and '.join(wanted)}, which the model '{model.spec.name}' of {' and '.join(networks)} does not have"
        raise InputError(msg)
    return found


def _of_kind(kind: str, networks: Sequence[str]) -> list[int]:
    """Which networks are of a kind; where none is, those that are more than it, as a UNet with attention over depth is a UNet."""
    exact = [index for index, network in enumerate(networks) if network == kind]
    return exact or [index for index, network in enumerate(networks) if _is_a(network, kind)]


def _is_a(network: str, kind: str) -> bool:
    ours, theirs = NETWORKS.get(network), NETWORKS.get(kind)
    return isinstance(ours, type) and isinstance(theirs, type) and issubclass(ours, theirs)


def _pooling(recipe: Recipe) -> PoolingRule:
    options = {key: value for key, value in recipe.pooling.items() if key != "rule"}
    return build_pooling(str(recipe.pooling["rule"]), **options)


def _with(model: Model, recipe: Recipe, members: tuple[int, ...]) -> Model:
    chosen = [model.ensemble.members[member] for member in members]
    ensemble = StreamingEnsemble(chosen, _pooling(recipe), finder=model.ensemble.finder)
    spec = replace(
        model.spec,
        members=[model.spec.members[member] for member in members],
        pooling=recipe.pooling,
        augmenting=recipe.augmenting,
    )
    return Model(ensemble, spec, model.device)


def _notice(entry: Repooled, dataset: Dataset, source: str) -> str:
    """What a reader must be told: of the model, of the views, and of what this is, networks that stand in for the row's named."""
    card = entry.model.spec.card
    seen = len(set(dataset.patients) & set(card.get("train_patients") or ()))
    trained = f", {seen} of the {len(dataset.patients)} patients were trained on" if seen else ""
    networks = sorted({member["network"] for member in entry.model.spec.members} - {group.network for group in entry.row.recipe.members})
    others = f" ({' and '.join(networks)})" if networks else ""
    own = f"members of {source}{others}, pooled anew and not trained for it{trained}"
    return "; ".join(part for part in (card.get("notice"), entry.model.augmenting.notice, own) if part)


def _described(entry: Repooled, dataset: Dataset, source: str) -> Result:
    model, card = entry.model, entry.model.spec.card
    steps, members = int(card.get("steps", 0)), len(entry.members)
    parts: dict[str, Any] = {"members": model.spec.members, "pooling": model.spec.pooling, "augmenting": model.spec.augmenting}
    return Result(
        schema_version=SCHEMA_VERSION,
        row=entry.row.name,
        title=entry.row.recipe.title,
        policy="augmenting" if model.augmenting.transforms else "repooled",
        recipe=card.get("recipe", {}) | parts | {"grid": model.spec.grid},
        seed=entry.choice,
        budget="none",
        train_patients=list(card.get("train_patients") or ()),
        held_out_patients=[patient for patient in dataset.patients if patient not in (card.get("train_patients") or ())],
        fold=None,
        folds=None,
        training_data=str(card.get("data", "")),
        complete=True,
        steps=steps,
        total_steps=steps,
        members=members,
        updates=steps * members,
        updates_besides=0,
        slices=0,
        train_seconds=float(card.get("training_seconds", 0.0)),
        **of_scoring(model),
        notice=_notice(entry, dataset, source),
    )
