"""Opening a model by the words of a user. Torch takes seconds to import, so a misspelt path elsewhere is told before this is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shortaxis.inference import Model


def open_model(path: Path | str | None = None, device: str = "auto", threads: int | None = None) -> tuple[Model, dict[str, str]]:
    """Load a model, and say which it is.

    Args:
        path: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves it to torch (`OMP_NUM_THREADS`, or all cores).

    Returns:
        The model, and its `name` and `sha256`.

    Raises:
        InputError: The file or the device is unfit.
    """
    import torch  # noqa: PLC0415

    from shortaxis.ensemble.model_file import file_sha256  # noqa: PLC0415
    from shortaxis.inference import load_model, released_model_path  # noqa: PLC0415
    from shortaxis.inference.device import choose_device  # noqa: PLC0415

    if threads is not None:
        torch.set_num_threads(threads)
    path = released_model_path() if path is None else Path(path)
    model = load_model(path, choose_device(device))
    return model, {"name": model.spec.name, "sha256": file_sha256(path)}
