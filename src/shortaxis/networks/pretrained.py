"""Weights that others published, from a file that the user has; nothing is ever downloaded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def read_weights(path: Path | str, known: Mapping[str, str] | None) -> tuple[dict[str, Tensor], str]:
    """Read a file of weights.

    Args:
        path: A `.safetensors` or `.npz` file, or a `.pth` file of tensors alone: no other object in it is built.
        known: First digits of the SHA-256 of each file that may be read, and what it is. None: no checksum is published; any file is read.

    Returns:
        The tensors by name, and what they are: for a file without a published checksum its name and SHA-256.

    Raises:
        InputError: The file is missing, its checksum is not listed, or it cannot be read.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path}: the pre-trained weights cannot be read ({error.strerror}); give the path of the file, which is never downloaded"
        raise InputError(msg) from error
    unlisted = f"{path.name}, SHA-256 {digest}" if known is None else None
    known = known or {}
    title = next((title for digits, title in known.items() if digest.startswith(digits)), unlisted)
    if title is None:
        listed = ", ".join(f"{digits}… ({title})" for digits, title in known.items())
        msg = f"{path}: its SHA-256 {digest[:8]}… is not that of known pre-trained weights; known are {listed}"
        raise InputError(msg)
    try:
        if path.suffix == ".safetensors":
            return load_file(path), title
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}, title
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, BadZipFile, OSError, RuntimeError, ValueError, EOFError) as error:
        msg = f"{path}: the pre-trained weights are damaged ({str(error).partition(chr(10))[0]}); copy the file again"
        raise InputError(msg) from error
    content = content.get("model", content) if isinstance(content, dict) else {}
    if not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        msg = f"{path}: holds no weights by name; give the file of an encoder's weights"
        raise InputError(msg)
    return dict(content), title
