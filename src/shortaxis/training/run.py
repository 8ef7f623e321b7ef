"""One training run from data to a model file: what `shortaxis train` does."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import torch

import shortaxis
from shortaxis.datasets.split_choice import keep_split
from shortaxis.ensemble.finder import build_finder
from shortaxis.ensemble.model_file import described_shapes, file_sha256, read_finder, read_model, save_model
from shortaxis.ensemble.trial import try_out
from shortaxis.errors import DataWarning, InputError
from shortaxis.inference.device import device_in_words
from shortaxis.inference.predictor import released_finder_path
from shortaxis.io.atomic import write_json
from shortaxis.plugins import loaded_plugins
from shortaxis.preprocessing import AlignedGrid
from shortaxis.training.canvas import pose_for_training
from shortaxis.training.compiling import forget_graphs, is_compiled
from shortaxis.training.difference import difference
from shortaxis.training.policies import TrainingSet, build_policy
from shortaxis.training.policies.weights_search import patients_aside, refuse_unfit_search, with_best_weights
from shortaxis.training.pretraining import describe_pretrained
from shortaxis.training.processes import joined_processes
from shortaxis.training.recipe import recipe_from_dict, recipe_to_dict
from shortaxis.training.resident import load_resident
from shortaxis.training.stages import MODEL, Budget, Course, holds_run, spec_of
from shortaxis.training.validation import validate as scores_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.datasets.splits import Split
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.preprocessing import HeartPose
    from shortaxis.study import Frame
    from shortaxis.training.loop import Progress
    from shortaxis.training.policies import Assembled
    from shortaxis.training.recipe import Recipe

__all__ = ["RunResult", "spec_of", "train"]

FACTS: Final = "run.json"
ASKED: Final = ("recipe", "data", "train_patients", "plugins")
"""Keys of `FACTS` in which a run that goes on is the one that was begun."""

_MEMBERS: Final = "members."  # how the names of their weights begin in an ensemble's state


@dataclass(frozen=True)
class RunResult:
    """How a sitting ended.

    Attributes:
        complete: Whether the schedule is done; otherwise the run can be resumed.
        model: The model file, or None while the run is not complete.
        validation: Scores on the held-out patients under every protocol, or None where there are none or they were not to be scored.
        step: Optimizer steps done.
        total: Optimizer steps of the whole run.
    """

    complete: bool
    model: Path | None
    validation: dict[str, Any] | None
    step: int
    total: int


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    *,
    split: Split | None = None,
    device: str = "auto",
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    validate: bool = True,
    finder: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Train a recipe, and score it on the held-out patients when it is done.

    Args:
        recipe: What to train.
        dataset: Annotated frames; the held-out ones among them.
        out: Folder for `run.json`, `split.json`, `log.jsonl`, TensorBoard events, `checkpoint.safetensors`, and at the end
            `model.safetensors` and `validation.json`. Where the recipe's policy trains members apart, each has such a folder in it.
        split: Which patients to train on and which to hold out; None trains on all.
        device: See `choose_device`.
        minutes: Budget of wall time for this sitting, reading the data excepted; the run saves itself and can be resumed.
        steps: Budget of optimizer steps for this sitting.
        resume: Go on from the checkpoint in `out`, from the start where there is none.
        start_from: A model file whose weights the members start with, in place of random ones. The recipe's networks may have layers of
            their own beside them, which start untrained and which `run.json` names. What the file was trained on is not asked: a score
            on patients that it has seen is worth nothing.
        validate: Whether to score the model on the held-out patients; False leaves `validation.json` unwritten.
        finder: The model file of the network that finds the heart, for a recipe with an aligned grid; it becomes part of the model. None
            takes the released one.
        on_progress: Called with every report of the loop, in the first process.

    Raises:
        InputError: `out` holds another run, the data, the recipe or the device are unfit, a network or the pooling rule fails when it is
            tried out, or the weights in `start_from` do not fit the recipe's members.
    """
    if holds_run(out) and not resume:
        msg = f"{out} already holds a run; add --resume to go on with it, or choose another --out"
        raise InputError(msg)
    held_out = dataset.select(split.held_out).whole() if split is not None else None
    held_out = held_out or None  # scores need frames in which every structure was annotated
    training = dataset if split is None else dataset.select(split.train)
    spec, policy = spec_of(recipe), build_policy(recipe.policy)
    refuse_unfit_search(recipe, held_out)
    aside = patients_aside(recipe, training)
    trained_on = training.select(set(training.patients) - aside) if aside else training
    with joined_processes(device) as processes:
        if is_compiled(recipe, processes.device):
            forget_graphs()
        _refuse_unfit_ensemble(spec, recipe.augmentation.crop, processes.device)
        start, started = (None, {}) if start_from is None else _start(start_from, spec)
        found = _finder(spec, finder)
        resident = load_resident(trained_on, spec.build_grid(), processes.device, find_pose=partial(_pose_of, found))
        prepared = TrainingSet(trained_on, resident)
        course = Course(policy.stages(recipe, trained_on), prepared, out, processes, start=start, on_progress=on_progress)
        facts = _facts(recipe, training, split, processes.device) | {"train_frames": len(trained_on)} | course.facts()
        facts |= ({"start_from": started} if started else {}) | ({"finder": {"sha256": found[1]["sha256"]}} if found else {})
        if resume and holds_run(out):
            course.refuse_other_runs()
            _refuse_other_facts(out / FACTS, facts)
        if spec.build_augmenting().notice is not None:
            facts["notice"] = spec.build_augmenting().notice
        if processes.is_first:
            _warn_of_untrained(started.get("untrained", []), start_from, spec)
            write_json(out / FACTS, facts)
            keep_split(out, split)
        trained = course.train(Budget(None if minutes is None else minutes * 60, steps), resume=resume)
        if trained is None or not processes.is_first:
            return RunResult(trained is not None, None, None, course.step, course.total)
        assembled = _with_finder(policy.assemble(spec, trained, prepared), found)
        if chosen_by := training.select(aside).whole() if aside else held_out:
            assembled = with_best_weights(assembled, recipe, chosen_by, processes.device)
        notices = [given["notice"] for given in (facts, assembled.facts) if "notice" in given]
        facts |= assembled.facts
        if notices:
            facts["notice"] = "; ".join(notices)
        write_json(out / FACTS, facts)
        return _finish(assembled, facts, held_out if validate else None, out, course, processes.device)


Finder = tuple[torch.nn.Module, dict[str, Any]]


def _finder(spec: ModelSpec, path: Path | None) -> Finder | None:
    """The finder that an aligned grid needs."""
    if not isinstance(spec.build_grid(), AlignedGrid):
        if path is not None:
            msg = f"{path}: the recipe '{spec.name}' has no aligned grid and takes no finder; leave it out"
            raise InputError(msg)
        return None
    return read_finder(released_finder_path() if path is None else path)


def _with_finder(assembled: Assembled, found: Finder | None) -> Assembled:
    if found is None:
        return assembled
    assembled.ensemble.finder = found[0]
    return replace(assembled, spec=replace(assembled.spec, finder=found[1]))


def _pose_of(found: Finder | None, frame: Frame) -> HeartPose:
    """The pose of a frame that is not wholly annotated."""
    pose = None if found is None else build_finder(*found).find([frame.image], frame.spacing)
    return pose_for_training(frame) if pose is None or not pose.is_sure else pose


def _refuse_other_facts(path: Path, facts: dict[str, Any]) -> None:
    """Refuse to go on with a run whose record names another recipe, data set or other patients; one that cannot be read says nothing."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["recipe"] = recipe_to_dict(recipe_from_dict(kept["recipe"], str(path)))
    except (OSError, ValueError, KeyError, TypeError):
        return
    found = difference(_asked(kept), _asked(facts))
    if found is not None:
        msg = f"{path}: this run was started with another recipe or other data ({found}); resume with the same, or choose another --out"
        raise InputError(msg)


def _asked(facts: dict[str, Any]) -> dict[str, Any]:
    """What makes a run the one that it is; the file that it starts from counts by its content."""
    start = facts.get("start_from") or {}
    found = facts.get("finder") or {}
    return {key: facts.get(key) for key in ASKED} | {"start_from": start.get("sha256"), "finder": found.get("sha256")}


def _refuse_unfit_ensemble(spec: ModelSpec, crop: int | None, device: torch.device) -> None:
    """Find out before the training, and not behind it, whether the whole ensemble runs and its model file can be read."""
    ensemble, size = spec.build().eval().to(device), spec.build_grid().size
    for edge in sorted({crop or size, size}):
        try_out(ensemble, spec, edge, device)
    try:
        described_shapes(spec)
    except InputError as error:
        msg = f"the trained model could not be read: {error}; let the constructor work on torch's device 'meta' too, which has no values"
        raise InputError(msg) from error


def _start(path: Path, spec: ModelSpec) -> tuple[StreamingEnsemble, dict[str, Any]]:
    """The ensemble of a model file, whose pooling rule and grid may be others than the recipe's, and what the card says of it.

    Every weight of the file must have its place in the recipe's members. Layers of theirs that the file lacks start untrained: so a network
    may get another part, such as attention over depth, and the rest goes on from where it was.
    """
    ensemble, _ = read_model(path)
    given, asked = {name: tuple(value.shape) for name, value in ensemble.state_dict().items()}, described_shapes(spec)
    misfit = next((name for name, shape in given.items() if name.startswith(_MEMBERS) and asked.get(name) != shape), None)
    if misfit is not None or len(ensemble.members) != len(spec.members):
        at = "" if misfit is None else f" (first at '{misfit}')"
        msg = (
            f"{path}: its weights do not fit the members of the recipe '{spec.name}'{at}; start from a model of the same members, "
            "or of members that lack some of their layers"
        )
        raise InputError(msg)
    new = sorted(name for name in asked if name.startswith(_MEMBERS) and name not in given)
    return ensemble, {"file": path.name, "sha256": file_sha256(path)} | ({"untrained": new} if new else {})


def _warn_of_untrained(untrained: list[str], path: Path | None, spec: ModelSpec) -> None:
    if untrained:
        every = sum(name.startswith(_MEMBERS) for name in described_shapes(spec))
        warnings.warn(
            f"{path}: {len(untrained)} of {every} tensors of the recipe's members are not in it and start untrained, first "
            f"'{untrained[0]}'; run.json names all",
            DataWarning,
            stacklevel=3,
        )


def _finish(
    assembled: Assembled, facts: dict[str, Any], held_out: Dataset | None, out: Path, course: Course, device: torch.device
) -> RunResult:
    """Score the model on the held-out patients, and save it."""
    scores = None
    if held_out is not None:
        scores = scores_of(assembled.ensemble, assembled.spec, held_out, device=device)
        if "notice" in facts:
            scores["notice"] = facts["notice"]
        write_json(out / "validation.json", scores)
    spec = replace(assembled.spec, card=facts | {"steps": course.step, "training_seconds": round(course.seconds, 1)})
    save_model(out / MODEL, assembled.ensemble, spec)
    return RunResult(complete=True, model=out / MODEL, validation=scores, step=course.step, total=course.total)


def _facts(recipe: Recipe, training: Dataset, split: Split | None, device: torch.device) -> dict[str, Any]:
    pretrained, plugins = describe_pretrained(recipe), loaded_plugins()
    facts: dict[str, Any] = {
        "recipe": recipe_to_dict(recipe),
        "data": training.name,
        "train_patients": list(training.patients),
        "held_out_patients": [] if split is None else list(split.held_out),
        "shortaxis": shortaxis.__version__,
        "torch": torch.__version__,
        "hardware": device_in_words(device),
        "date": datetime.now(UTC).date().isoformat(),
    }
    return facts | ({"pretrained": pretrained} if pretrained else {}) | ({"plugins": plugins} if plugins else {})
