"""A model on disk: one safetensors file, weights as tensors and everything else as JSON in its header. No pickle anywhere."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shortaxis.ensemble.augmenting import build_augmenting
from shortaxis.ensemble.rules import build_pooling
from shortaxis.ensemble.streaming import StreamingEnsemble
from shortaxis.ensemble.trial import told_of, try_out_at_least_cost
from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.networks import build_network
from shortaxis.preprocessing import Grid, PhysicalGrid, build_grid

if TYPE_CHECKING:
    from torch import nn

    from shortaxis.ensemble.augmenting import Augmenting

FORMAT: Final = 1
LONGEST_DESCRIPTION: Final = 16_384
"""Characters of JSON that members, pooling, grid and augmenting may take: more than any ensemble needs, too little to keep torch busy."""
_KEY: Final = "shortaxis"
_CHECKPOINT_KEY: Final = "shortaxis-checkpoint"
_NOT_BUILT: Final = (": it describes no ensemble that can be built here", "use another, or mend what you registered")
"""What `told_of` says of a file whose header makes a constructor fail."""


class _Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: str
    options: dict[str, Any] = {}


class _Version(msgspec.Struct, frozen=True):
    format: int


class _Header(msgspec.Struct, frozen=True):
    name: str
    members: list[_Member]
    pooling: dict[str, Any]
    grid: dict[str, Any]
    card: dict[str, Any]
    augmenting: dict[str, Any] = {}
    finder: dict[str, Any] = {}


@dataclass(frozen=True)
class ModelSpec:
    """What is needed to rebuild an ensemble, and where it came from.

    Attributes:
        name: Short name, such as `2unet-uncertainty`.
        members: One entry a member: `network` and `options`.
        pooling: `rule` and the rule's options.
        grid: `kind` and the grid's options.
        card: Anything worth knowing of the training: recipe, commit, data, scores. Plain JSON types.
        augmenting: `transforms` and `order` of the views that the ensemble is asked about; empty for none.
        finder: `network`, `options`, and `spacing_mm` and `size` of the grid of the network that finds the heart; empty for none.
    """

    name: str
    members: list[dict[str, Any]]
    pooling: dict[str, Any]
    grid: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)
    augmenting: dict[str, Any] = field(default_factory=dict)
    finder: dict[str, Any] = field(default_factory=dict)

    def build(self) -> StreamingEnsemble:
        """Build the ensemble with fresh weights.

        Raises:
            InputError: A network or rule is unknown, or an option does not fit.
        """
        networks = [build_network(_named(member, "network")[0], **member.get("options", {})) for member in self.members]
        rule, options = _named(self.pooling, "rule")
        finder = build_network(_named(self.finder, "network")[0], **self.finder.get("options", {})) if self.finder else None
        return StreamingEnsemble(networks, build_pooling(rule, **options), finder=finder)

    def build_grid(self) -> Grid:
        """Build the grid that the members expect.

        Raises:
            InputError: The grid is unknown, or an option does not fit.
        """
        kind, options = _named(self.grid, "kind")
        return build_grid(kind, **options)

    def build_augmenting(self) -> Augmenting:
        """Build the views that the ensemble is asked about.

        Raises:
            InputError: A transform is unknown, or an option does not fit.
        """
        return build_augmenting(self.augmenting)


def save_model(path: Path | str, ensemble: StreamingEnsemble, spec: ModelSpec, dtype: torch.dtype = torch.float32) -> None:
    """Write an ensemble, whole or not at all.

    Args:
        path: The `.safetensors` file.
        ensemble: Built from `spec`.
        spec: Goes into the header.
        dtype: Of the weights on disk; float16 halves the file. Integer tensors stay as they are.

    Raises:
        InputError: The file cannot be written, a weight is not a finite number in `dtype`, a network or rule is not registered, or `spec`
            describes another ensemble.
    """
    tensors = {
        name: value.detach().cpu().to(dtype if value.is_floating_point() else value.dtype).contiguous()
        for name, value in ensemble.state_dict().items()
    }
    _refuse_not_finite(path, tensors)
    _refuse_other_shapes(path, spec, _shapes(tensors), "the ensemble does not fit its ModelSpec", "describe it as it is")
    header = {"format": FORMAT, "name": spec.name, "members": spec.members, "pooling": spec.pooling, "grid": spec.grid, "card": spec.card}
    if spec.augmenting:  # left out where there is none: such a file is the same as before there was augmenting
        header["augmenting"] = spec.augmenting
    if spec.finder:
        header["finder"] = spec.finder
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(header, sort_keys=True)})


def read_spec(path: Path | str) -> ModelSpec:
    """Read the header of a model file, without its weights.

    Raises:
        InputError: The file is missing, is not safetensors, or is no model of this package.
    """
    path = Path(path)
    text = _header_text(path)
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version != FORMAT:
            msg = f"{path}: model format {version} is not known to this version (it reads {FORMAT}); update shortaxis"
            raise InputError(msg)
        header = msgspec.json.decode(text, type=_Header)
        description = json.dumps([msgspec.to_builtins(header.members), header.pooling, header.grid, header.augmenting, header.finder])
    except (msgspec.MsgspecError, RecursionError) as error:
        msg = f"{path}: the model's description is damaged ({error}); copy or train it again"
        raise InputError(msg) from error
    if len(description) > LONGEST_DESCRIPTION:
        msg = f"{path}: the model's description is {len(description)} characters long, which no ensemble needs; use another file"
        raise InputError(msg)
    members = msgspec.to_builtins(header.members)
    return ModelSpec(header.name, members, header.pooling, header.grid, header.card, header.augmenting, header.finder)


def read_model(path: Path | str) -> tuple[StreamingEnsemble, ModelSpec]:
    """Read an ensemble in float32, in evaluation mode.

    What the header describes is first built without storage and held against the shapes in the file, so a file of a few bytes cannot make
    this allocate more than a few bytes.

    Raises:
        InputError: As `read_spec`, the weights do not fit the architecture that the header names, or the ensemble fails in `trial.try_out`.
    """
    path = Path(path)
    spec = read_spec(path)
    with safe_open(path, framework="pt") as stream:
        shapes = {name: tuple(stream.get_slice(name).get_shape()) for name in stream.keys()}  # noqa: SIM118
        with told_of(str(path), *_NOT_BUILT):
            spec.build_grid()
            spec.build_augmenting()
        _refuse_other_shapes(path, spec, shapes, "the weights do not fit the architecture in its header", "use a matching file")
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    ensemble = spec.build()
    expected = ensemble.state_dict()
    tensors = {name: value.to(expected[name].dtype) for name, value in tensors.items()}
    _refuse_not_finite(path, tensors)
    ensemble.load_state_dict(tensors)
    with told_of(str(path), *_NOT_BUILT):
        try_out_at_least_cost(ensemble.eval(), spec)
    return ensemble, spec


def read_finder(path: Path | str) -> tuple[nn.Module, dict[str, Any]]:
    """Read the network that finds the heart from a model file of its own, one network on coarse pixels; `shortaxis train finder` makes one.

    Returns:
        The network, and its table for `ModelSpec.finder`.

    Raises:
        InputError: As `read_model`, or the file is another model.
    """
    ensemble, spec = read_model(path)
    grid = spec.build_grid()
    if len(ensemble.members) != 1 or type(grid) is not PhysicalGrid:
        msg = f"{path}: is no finder of the heart, which is one network on a physical grid; train one with the recipe 'finder'"
        raise InputError(msg)
    return ensemble.members[0], {**spec.members[0], "spacing_mm": grid.spacing_mm, "size": grid.size, "sha256": file_sha256(path)}


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file as hexadecimal text, for provenance."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _header_text(path: Path) -> str:
    """Read the metadata entry of this package, with all that can be wrong with the file told in one sentence."""
    if not path.is_file():
        msg = f"{path}: no such model file; give the path of a .safetensors file that `shortaxis train` wrote"
        raise InputError(msg)
    try:
        with safe_open(path, framework="pt") as stream:
            metadata: dict[str, str] = stream.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path}: not a safetensors file, or damaged ({error}); copy it again"
        raise InputError(msg) from error
    if _CHECKPOINT_KEY in metadata:
        msg = f"{path}: is the checkpoint of a run, not a model; finish it with `shortaxis train --resume` and give model.safetensors"
        raise InputError(msg)
    if _KEY not in metadata:
        msg = f"{path}: not a model of this package; give a .safetensors file that `shortaxis train` wrote"
        raise InputError(msg)
    return metadata[_KEY]


def described_shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors of the ensemble that is described, built without storage, on the `meta` device.

    Raises:
        InputError: As `ModelSpec.build`.
    """
    with torch.device("meta"):
        return _shapes(spec.build().state_dict())


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _refuse_other_shapes(path: Path | str, spec: ModelSpec, shapes: dict[str, tuple[int, ...]], what: str, remedy: str) -> None:
    """Hold the described ensemble against the shapes of tensors."""
    with told_of(str(path), *_NOT_BUILT):
        expected = described_shapes(spec)
    wrong = sorted(name for name in expected.keys() | shapes.keys() if expected.get(name) != shapes.get(name))
    if wrong:
        msg = f"{path}: {what} (first: {wrong[0]}, {len(wrong)} in all); {remedy}"
        raise InputError(msg)


def _refuse_not_finite(path: Path | str, tensors: dict[str, torch.Tensor]) -> None:
    if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
        msg = f"{path}: the weights hold NaN or infinity; the training that made them diverged, use another file"
        raise InputError(msg)


def _named(table: dict[str, Any], key: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(table.get(key), str):
        msg = f"the model description lacks the name '{key}' in {table}"
        raise InputError(msg)
    return table[key], {name: value for name, value in table.items() if name != key}
