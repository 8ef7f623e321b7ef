"""Weights that others published, from a file that the user has; nothing is ever downloaded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def read_weights(path: Path | str, known: Mapping[str, str]) -> tuple[dict[str, Tensor], str]:
    """Read a file of weights whose checksum is listed.

    Args:
        path: A `.safetensors` file, or a `.pth` file of tensors alone: no other object in it is built.
        known: First digits of the SHA-256 of each file that may be read, and what it is.

    Returns:
        The tensors by name, and what they are.

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
    title = next((title for digits, title in known.items() if digest.startswith(digits)), None)
    if title is None:
        listed = ", ".join(f"{digits}… ({title})" for digits, title in known.items())
        msg = f"{path}: its SHA-256 {digest[:8]}… is not that of known pre-trained weights; known are {listed}"
        raise InputError(msg)
    try:
        if path.suffix == ".safetensors":
            return load_file(path), title
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        msg = f"{path}: the pre-trained weights are damaged ({str(error).partition(chr(10))[0]}); copy the file again"
        raise InputError(msg) from error
    return dict(content), title
