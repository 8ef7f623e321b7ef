"""Checks of what a caller in Python hands over: a wrong type or device is named with its remedy, before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch

from shortaxis.errors import InputError
from shortaxis.study import Study


def as_device(device: str | torch.device) -> torch.device:
    """Turn a device's name into a device that is there.

    Args:
        device: `cpu`, `cuda`, `cuda:N`, or a device; `auto` takes CUDA where it is there.

    Raises:
        InputError: The name is unknown, or the device is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        msg = f"device {device!r}: no such device; choose 'cpu', 'cuda' or 'cuda:N'"
        raise InputError(msg) from error
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        msg = f"device {str(device)!r}: this machine has {torch.cuda.device_count()} CUDA devices that torch can use; choose 'cpu'"
        raise InputError(msg)
    return chosen


def check_study(study: object) -> None:
    """Refuse what is no study.

    Raises:
        InputError: Says how a path or an array becomes a study.
    """
    if isinstance(study, Study):
        return
    if isinstance(study, str | os.PathLike):
        msg = f"{os.fspath(study)!r} is a path and no study; read it first, as in model.segment(sa.read(path))"
    elif isinstance(study, np.ndarray | torch.Tensor):
        msg = (
            f"an array of shape {tuple(study.shape)} is no study, since its spacing is not known; make it one: "
            "sa.Study(pixels, spacing), pixels float32 (T, D, H, W), spacing in mm (z, y, x)"
        )
    else:
        msg = f"{type(study).__name__} is no study; give what sa.read returns, or a sa.Study of your own"
    raise InputError(msg)


def check_frame(image: object, spacing: object) -> None:
    """Refuse what is no 3D frame with its in-plane spacing.

    Raises:
        InputError: Says what is expected.
    """
    shape = tuple(image.shape) if isinstance(image, np.ndarray) else type(image).__name__
    if not isinstance(image, np.ndarray) or image.ndim != 3:
        msg = f"a frame is an array (D, H, W), not {shape}; take one phase of a study, as study.pixels[phase]"
        raise InputError(msg)
    if not isinstance(spacing, Sequence | np.ndarray) or len(spacing) != 2:
        msg = f"the spacing of a frame is its in-plane spacing in mm (y, x), not {spacing!r}; give study.spacing[1:]"
        raise InputError(msg)
