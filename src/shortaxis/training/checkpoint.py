"""Checkpoints: everything that a run needs to go on as if it had not stopped, in one safetensors file."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor, nn
    from torch.optim import Optimizer

_KEY: Final = "shortaxis-checkpoint"


def save_checkpoint(path: Path, *, module: nn.Module, average: nn.Module, optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays whole until this one is.

    No random state is stored: all randomness of a run follows from its seed and the number of the step.

    Args:
        path: The `.safetensors` file.
        module: The weights in training.
        average: Their moving average.
        optimizer: Its state of every parameter is stored; its settings belong to the recipe.
        state: Plain JSON types, such as the step and the recipe.

    Raises:
        InputError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for prefix, part in (("module", module), ("average", average)):
        tensors |= {f"{prefix}/{name}": value for name, value in part.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": value for name, value in slots.items()}
    stored = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(stored, temporary, metadata={_KEY: json.dumps(state)})


def read_state(path: Path) -> dict[str, Any]:
    """Read the `state` of a checkpoint, without its tensors.

    Raises:
        InputError: The file is missing or damaged.
    """
    with _refusing(path), safe_open(path, framework="pt") as stream:
        state: dict[str, Any] = json.loads(stream.metadata()[_KEY])
    return state


def load_checkpoint(path: Path, *, module: nn.Module, average: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """Read a checkpoint into the objects of a run.

    Returns:
        The `state` that was stored.

    Raises:
        InputError: The file is missing, damaged, or belongs to another architecture.
    """
    state = read_state(path)
    with _refusing(path):
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        for prefix, part in (("module", module), ("average", average)):
            part.load_state_dict(_below(tensors, prefix))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _below(tensors, "optimizer").items():
            index, slot = name.split("/", 1)
            slots.setdefault(int(index), {})[slot] = value
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
        _lay_out_as_parameters(optimizer)
    return state


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what a checkpoint that is missing, damaged or of something else makes of itself into one sentence."""
    try:
        yield
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        msg = f"{path}: the run cannot resume from this checkpoint ({type(error).__name__}: {reason}); start anew in another --out folder"
        raise InputError(msg) from error


def _lay_out_as_parameters(optimizer: Optimizer) -> None:
    """Give the state the memory layout of its parameters (channels last), which the fused optimizers of a GPU insist on."""
    for parameter, slots in optimizer.state.items():
        for name, value in slots.items():
            if value.shape == parameter.shape:
                slots[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}/"): value for name, value in tensors.items() if name.startswith(f"{prefix}/")}
