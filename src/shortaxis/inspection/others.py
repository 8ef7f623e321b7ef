"""What is not an image: data sets and model files."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from shortaxis.datasets import open_dataset, recognise
from shortaxis.errors import InputError
from shortaxis.inspection.report import Finding, Inspection

if TYPE_CHECKING:
    from pathlib import Path

DATASETS: Final = {"mnms": "M&Ms folder", "nnunet": "nnU-Net raw folder", "packed": "packed data set"}
MODEL_ENDING: Final = ".safetensors"
_LONGEST_HEADER: Final = 2**24
_LENGTH: Final = 8
"""Bytes in front of the header of a safetensors file that say how long it is."""


def inspect_dataset(path: Path, kind: str) -> Inspection:
    """Inspect a data set by its names and tables; no image is opened.

    Args:
        path: The folder or file.
        kind: One of `shortaxis.datasets.READERS`.
    """
    found = Inspection(path, DATASETS.get(kind, f"{kind} data set"))
    try:
        data = open_dataset(f"{kind}:{path}")
    except InputError as error:
        found.findings.append(Finding.of_error(error, path))
        return found
    found.command = f"shortaxis train release --data {shlex.quote(f'{kind}:{path}')} --out run"
    groups = sorted({group for group in data.groups.values() if group})
    found.facts |= {"frames": len(data), "patients": len(data.patients), "groups": groups}
    return found


def dataset_kind(path: Path) -> str | None:
    """Which of `DATASETS` lies here, or None."""
    kind = recognise(path)
    if kind == "packed":
        from shortaxis.datasets.packed import is_packed  # noqa: PLC0415 (brings Pillow)

        return kind if is_packed(path) else None
    return kind if kind in DATASETS else None


def inspect_model(path: Path) -> Inspection:
    """Inspect the header of a model file; no weight is read.

    Args:
        path: A `.safetensors` file.
    """
    found, quoted = Inspection(path, "safetensors file"), shlex.quote(str(path))
    try:
        metadata = _metadata(path)
        model, checkpoint = (json.loads(metadata[key]) if key in metadata else None for key in ("shortaxis", "shortaxis-checkpoint"))
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        found.add("error", "it is no readable safetensors file, or it is cut short", "copy or train it again")
        return found
    if isinstance(model, dict):
        found.kind, found.command = "shortaxis model", f"shortaxis segment INPUT --model {quoted} --out labels"
        listed = model.get("members")
        members = [str(member.get("network")) for member in listed if isinstance(member, dict)] if isinstance(listed, list) else []
        found.facts |= {"name": model.get("name"), "format": model.get("format"), "members": members}
        if not members:
            found.add("error", "its description names no members", "copy or train it again")
    elif checkpoint is not None:
        found.kind = "checkpoint of a training run"
        found.command = f"shortaxis export {shlex.quote(str(path.parent))} --out model.safetensors"
    else:
        found.add("error", "it is no model of this package", "give one that `shortaxis train` or `shortaxis export` wrote")
    return found


def _metadata(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if length > _LONGEST_HEADER:
            raise ValueError
        header = file.read(length)
    if len(header) < length:
        raise ValueError
    metadata = json.loads(header).get("__metadata__", {})
    return metadata if isinstance(metadata, dict) else {}
