"""A model on disk: one safetensors file, weights as tensors and everything else as JSON in its header. No pickle anywhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shortaxis.ensemble.rules import build_pooling
from shortaxis.ensemble.streaming import StreamingEnsemble
from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.networks import build_network
from shortaxis.preprocessing import Grid, build_grid

FORMAT: Final = 1
_KEY: Final = "shortaxis"


@dataclass(frozen=True)
class ModelSpec:
    """What is needed to rebuild an ensemble, and where it came from.

    Attributes:
        name: Short name, such as `2unet-uncertainty`.
        members: One entry a member: `network` and `options`.
        pooling: `rule` and the rule's options.
        grid: `kind` and the grid's options.
        card: Anything worth knowing of the training: recipe, commit, data, scores. Plain JSON types.
    """

    name: str
    members: list[dict[str, Any]]
    pooling: dict[str, Any]
    grid: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)

    def build(self) -> StreamingEnsemble:
        """Build the ensemble with fresh weights.

        Raises:
            InputError: A network or rule is unknown, or an option does not fit.
        """
        networks = [build_network(member["network"], **member.get("options", {})) for member in self.members]
        rule, options = _named(self.pooling, "rule")
        return StreamingEnsemble(networks, build_pooling(rule, **options))

    def build_grid(self) -> Grid:
        """Build the grid that the members expect.

        Raises:
            InputError: The grid is unknown, or an option does not fit.
        """
        kind, options = _named(self.grid, "kind")
        return build_grid(kind, **options)


def save_model(path: Path | str, ensemble: StreamingEnsemble, spec: ModelSpec, dtype: torch.dtype = torch.float32) -> None:
    """Write an ensemble, whole or not at all.

    Args:
        path: The `.safetensors` file.
        ensemble: Built from `spec`.
        spec: Goes into the header.
        dtype: Of the weights on disk; float16 halves the file. Integer tensors stay as they are.

    Raises:
        InputError: The file cannot be written.
    """
    tensors = {
        name: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in ensemble.state_dict().items()
    }
    header = {"format": FORMAT, "name": spec.name, "members": spec.members, "pooling": spec.pooling, "grid": spec.grid, "card": spec.card}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(header, sort_keys=True)})


def read_spec(path: Path | str) -> ModelSpec:
    """Read the header of a model file, without its weights.

    Raises:
        InputError: The file is missing, is not safetensors, or is no model of this package.
    """
    return _read(Path(path), with_weights=False)[0]


def read_model(path: Path | str) -> tuple[StreamingEnsemble, ModelSpec]:
    """Read an ensemble in float32, in evaluation mode.

    Raises:
        InputError: As `read_spec`, or the weights do not fit the architecture that the header names.
    """
    path = Path(path)
    spec, tensors = _read(path, with_weights=True)
    ensemble = spec.build()
    expected = ensemble.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | tensors.keys()
        if name not in expected or name not in tensors or expected[name].shape != tensors[name].shape
    )
    if wrong:
        msg = f"{path}: the weights do not fit the architecture in its header (first: {wrong[0]}, {len(wrong)} in all); use a matching file"
        raise InputError(msg)
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values() if value.is_floating_point()):
        msg = f"{path}: the weights hold NaN or infinity; the training that made them diverged, use another file"
        raise InputError(msg)
    ensemble.load_state_dict({name: value.to(expected[name].dtype) for name, value in tensors.items()})
    return ensemble.eval(), spec


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file as hexadecimal text, for provenance."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read(path: Path, *, with_weights: bool) -> tuple[ModelSpec, dict[str, torch.Tensor]]:
    if not path.is_file():
        msg = f"{path}: no such model file; give the path of a .safetensors file that `shortaxis train` wrote"
        raise InputError(msg)
    try:
        with safe_open(path, framework="pt") as stream:
            header = json.loads((stream.metadata() or {})[_KEY])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()} if with_weights else {}  # noqa: SIM118
        version = header["format"]
        spec = ModelSpec(header["name"], header["members"], header["pooling"], header["grid"], header["card"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        msg = f"{path}: not a model of this package, or damaged ({type(error).__name__}: {error}); copy or train it again"
        raise InputError(msg) from error
    if version != FORMAT:
        msg = f"{path}: model format {version} is not known to this version (it reads {FORMAT}); update shortaxis"
        raise InputError(msg)
    return spec, tensors


def _named(table: dict[str, Any], key: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(table, dict) or key not in table:
        msg = f"the model description lacks '{key}' in {table}"
        raise InputError(msg)
    return table[key], {name: value for name, value in table.items() if name != key}
