"""Where networks run."""

from __future__ import annotations

import platform

import torch

from shortaxis.errors import InputError


def device_in_words(device: torch.device) -> str:
    """Name the hardware, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def choose_device(device: str = "auto", local_index: int = 0) -> torch.device:
    """Turn a device's name into a device that is there.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        local_index: Which GPU plain `cuda` and `auto` mean.

    Raises:
        InputError: The name is unknown, or the device is not there.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        chosen = torch.device("meta")
    if chosen.type not in {"cpu", "cuda"}:
        msg = f"--device {device}: no such kind of device; choose auto, cpu, cuda or cuda:N"
        raise InputError(msg)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", local_index if chosen.index is None else chosen.index)
        if chosen.index >= torch.cuda.device_count():
            msg = f"--device {device}: this machine has {torch.cuda.device_count()} CUDA devices; choose cpu, or one that is there"
            raise InputError(msg)
        torch.cuda.set_device(chosen)
    return chosen
