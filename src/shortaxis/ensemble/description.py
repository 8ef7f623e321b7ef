"""What can be told of a model file without running it."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from shortaxis.ensemble.model_file import file_sha256, read_spec


def describe_model(path: Path | str) -> dict[str, Any]:
    """Describe a model file: its header, and what its tensors add up to.

    Args:
        path: The `.safetensors` file.

    Returns:
        JSON-able: `name`, `file`, `bytes`, `sha256`, `parameters` (numbers stored, running statistics among them), `dtypes`, `members`,
        `pooling`, `grid`, `augmenting`, and what the card says.

    Raises:
        InputError: The file is missing, damaged, or no model of this package.
    """
    path = Path(path)
    spec = read_spec(path)
    with safe_open(path, framework="np") as stream:
        parts = [stream.get_slice(name) for name in stream.keys()]  # noqa: SIM118
        counts = {str(part.get_dtype()) for part in parts}
        parameters = sum(prod(part.get_shape()) for part in parts)
    return {
        "name": spec.name,
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "parameters": parameters,
        "dtypes": sorted(counts),
        "members": spec.members,
        "pooling": spec.pooling,
        "grid": spec.grid,
        "augmenting": spec.augmenting,
        "card": spec.card,
    }
