"""Soups: one model whose weights are the mean of several that were trained from one start (Wortsman et al., ICML 2022)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from shortaxis.ensemble.model_file import file_sha256, read_model, read_spec, save_model
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.ensemble.streaming import StreamingEnsemble


def soup(ensembles: Sequence[StreamingEnsemble]) -> StreamingEnsemble:
    """Average the weights of several ensembles: many trainings at the cost of running one.

    That works for models that were trained on from one start, whose weights lie in one valley of the loss. The mean of models from
    different starts is worth nothing, however good each is.

    Args:
        ensembles: Of equal members and pooling. Counters and other whole numbers are those of the first.

    Returns:
        A new ensemble in evaluation mode; the mean is taken in float64. Running statistics of normalisation layers are averaged as
        well, and not measured anew.

    Raises:
        InputError: There is no ensemble, or their weights differ in name or shape.

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
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes):
        msg = "the models of a soup must have the same members and the same pooling"
        raise InputError(msg)
    result = deepcopy(ensembles[0]).eval()
    result.load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    return result


def soup_of_files(paths: Sequence[Path], out: Path, *, half: bool = True) -> dict[str, Any]:
    """Average the weights of model files into a new one.

    Args:
        paths: Models of one recipe that were trained with `--start-from` the same file, which may be among them.
        out: The `.safetensors` file to write.
        half: Store the weights as float16; they are read back as float32.

    Returns:
        The card of the new model: that of the first, with the patients of all, the files under `soup`, and no scores.

    Raises:
        InputError: There are less than two files, one is no model, they differ in members, pooling or grid, were not trained from one
            start, or `out` cannot be written.
    """
    if len(paths) < 2:
        msg = "a soup needs at least two model files"
        raise InputError(msg)
    specs = [read_spec(path) for path in paths]
    for path, spec in zip(paths, specs, strict=True):
        if _architecture(spec) != _architecture(specs[0]):
            msg = f"{path}: differs from {paths[0]} in members, pooling or grid; make a soup of models of one recipe"
            raise InputError(msg)
    hashes = [file_sha256(path) for path in paths]
    _refuse_strangers(paths, specs, hashes)
    card = _card(paths, specs, hashes)
    blend = soup([read_model(path)[0] for path in paths])
    save_model(out, blend, replace(specs[0], card=card), torch.float16 if half else torch.float32)
    return card


def _mean(values: list[Tensor]) -> Tensor:
    first = values[0]
    return torch.stack(values).double().mean(dim=0).to(first.dtype) if first.is_floating_point() else first


def _architecture(spec: ModelSpec) -> tuple[Any, ...]:
    return spec.members, spec.pooling, spec.grid, spec.augmenting


def _refuse_strangers(paths: Sequence[Path], specs: Sequence[ModelSpec], hashes: Sequence[str]) -> None:
    """Refuse models that do not name the same start, unless they are it."""
    facts = [spec.card.get("start_from") for spec in specs]
    starts = [fact.get("sha256") if isinstance(fact, dict) else None for fact in facts]
    known = next((start for start in starts if start), None)
    for path, start, sha256 in zip(paths, starts, hashes, strict=True):
        if known is None or known not in (start, sha256):
            msg = f"{path}: was not trained from the same start as the others; train each with `--start-from` one model file"
            raise InputError(msg)


def _card(paths: Sequence[Path], specs: Sequence[ModelSpec], hashes: Sequence[str]) -> dict[str, Any]:
    trained = {patient for spec in specs for patient in spec.card.get("train_patients", ())}
    held_out = {patient for spec in specs for patient in spec.card.get("held_out_patients", ())}
    return {name: value for name, value in specs[0].card.items() if name != "validation"} | {
        "train_patients": sorted(trained),
        "held_out_patients": sorted(held_out - trained),
        "soup": [{"file": path.name, "sha256": sha256} for path, sha256 in zip(paths, hashes, strict=True)],
    }
