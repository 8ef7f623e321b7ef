"""Soups: one model whose weights are the mean of several that were trained from one start (Wortsman et al., ICML 2022)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from shortaxis.ensemble.model_file import file_sha256, read_model, read_spec, save_model
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.ensemble.streaming import StreamingEnsemble


def soup(ensembles: Sequence[StreamingEnsemble]) -> StreamingEnsemble:
    """Average the weights of several ensembles: many trainings at the cost of running one.

    That works for models that were trained on from one start, whose weights lie in one valley of the loss. The mean of models from
    different starts is worth nothing, however good each is.

    Args:
        ensembles: Of equal pooling and members, of which some may lack layers that others have. Counters and other whole numbers are those
            of the first.

    Returns:
        A new ensemble in evaluation mode, with all layers; each weight is the mean, taken in float64, of those that have it. Running
        statistics of normalisation layers are averaged as well, and not measured anew.

    Raises:
        InputError: There is no ensemble, their weights differ in shape, or none has all the layers.

    Examples:
        >>> import torch
        >>> from shortaxis.ensemble import StreamingEnsemble
        >>> scales = [StreamingEnsemble([torch.nn.Conv2d(1, 4, 1, bias=False)], "fixed") for _ in range(2)]
        >>> for ensemble, value in zip(scales, (1.0, 3.0)):
        ...     _ = torch.nn.init.constant_(ensemble.members[0].weight, value)
        >>> soup(scales).members[0].weight.unique().tolist()
        [2.0]
    """
    if not ensembles:
        msg = "a soup needs at least one model"
        raise InputError(msg)
    states = [ensemble.state_dict() for ensemble in ensembles]
    fullest = max(range(len(states)), key=lambda index: len(states[index]))
    shapes = {name: value.shape for name, value in states[fullest].items()}
    if len({len(ensemble.members) for ensemble in ensembles}) > 1 or any(
        shapes.get(name) != value.shape for state in states for name, value in state.items()
    ):
        msg = "the models of a soup must have the same members and the same pooling"
        raise InputError(msg)
    result = deepcopy(ensembles[fullest]).eval()
    result.load_state_dict({name: _mean([state[name] for state in states if name in state]) for name in shapes})
    return result


def soup_of_files(paths: Sequence[Path], out: Path, *, half: bool = True, facts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Average the weights of model files into a new one.

    Args:
        paths: Models of one recipe that were trained with `--start-from` the same file. It may be among them, also where their members
            have layers that it lacks.
        out: The `.safetensors` file to write.
        half: Store the weights as float16; they are read back as float32.
        facts: More for the card.

    Returns:
        The card of the new model: that of the first that is not the start, with the patients of all, the files under `soup`, and no scores.

    Raises:
        InputError: There are less than two files, one is no model, they differ in members, pooling or grid, were not trained from one
            start, or `out` cannot be written.
    """
    if len(paths) < 2:
        msg = "a soup needs at least two model files"
        raise InputError(msg)
    specs, hashes = [read_spec(path) for path in paths], [file_sha256(path) for path in paths]
    starts = [_start_of(spec) for spec in specs]
    # One of them may be the start of the others and have been started from a third file itself, in whatever order they are given.
    start = next(
        (common for common in (*starts, *hashes) if common and all(common in pair for pair in zip(starts, hashes, strict=True))), starts[0]
    )
    base = next((index for index, sha256 in enumerate(hashes) if sha256 != start), 0)
    for path, spec, sha256 in zip(paths, specs, hashes, strict=True):
        may_lack_layers = sha256 == start
        if _setting(spec) != _setting(specs[base]) or (spec.members != specs[base].members and not may_lack_layers):
            msg = f"{path}: differs from {paths[base]} in members, pooling or grid; make a soup of models of one recipe"
            raise InputError(msg)
    for path, known, sha256 in zip(paths, starts, hashes, strict=True):
        if start is None or start not in (known, sha256):
            msg = f"{path}: was not trained from the same start as the others; train each with `--start-from` one model file"
            raise InputError(msg)
    card = _card(specs[base].card, paths, specs, hashes) | dict(facts or {})
    blend = soup([read_model(path)[0] for path in paths])
    save_model(out, blend, replace(specs[base], card=card), torch.float16 if half else torch.float32)
    return card


def _mean(values: list[Tensor]) -> Tensor:
    first = values[0]
    return torch.stack(values).double().mean(dim=0).to(first.dtype) if first.is_floating_point() else first


def _setting(spec: ModelSpec) -> tuple[Any, ...]:
    return spec.pooling, spec.grid, spec.augmenting, spec.finder


def _start_of(spec: ModelSpec) -> str | None:
    """Hash of the file that a model says it was started from."""
    fact = spec.card.get("start_from")
    return fact.get("sha256") if isinstance(fact, dict) else None


def _card(base: Mapping[str, Any], paths: Sequence[Path], specs: Sequence[ModelSpec], hashes: Sequence[str]) -> dict[str, Any]:
    trained = {patient for spec in specs for patient in spec.card.get("train_patients", ())}
    held_out = {patient for spec in specs for patient in spec.card.get("held_out_patients", ())}
    return {name: value for name, value in base.items() if name != "validation"} | {
        "train_patients": sorted(trained),
        "held_out_patients": sorted(held_out - trained),
        "soup": [{"file": path.name, "sha256": sha256} for path, sha256 in zip(paths, hashes, strict=True)],
    }
