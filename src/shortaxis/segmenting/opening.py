"""Opening a model by the words of a user. Torch takes seconds to import, so a misspelt path elsewhere is told before this is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from shortaxis.endocardium import Endocardium
    from shortaxis.inference import Model
    from shortaxis.quality.calibration import Calibration


class OpenModel(NamedTuple):
    """A model that is ready.

    Attributes:
        model: The model.
        provenance: Its `name` and `sha256`, the number of `views` where more than its own were asked for, the `endocardium` and the
            `endocardial_shift` where the border is not the one that the networks draw, and a `notice` where a reader of any result must be
            told something of it.
        calibration: What was learnt of it on held-out patients, or None where that was not done.
        calibration_sha256: Of the calibration's file, or None.
    """

    model: Model
    provenance: dict[str, str]
    calibration: Calibration | None
    calibration_sha256: str | None = None


def open_model(
    path: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    *,
    views: int = 1,
    endocardium: Endocardium | str = "trabeculae",
) -> OpenModel:
    """Load a model, and say which it is.

    Args:
        path: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves it to torch (`OMP_NUM_THREADS`, or all cores).
        views: See `load_model`.
        endocardium: See `Model.segment`; it is only recorded here.

    Returns:
        The model, with the calibration that lies beside it.

    Raises:
        InputError: The file, its calibration, the device or the number of views is unfit.
    """
    import torch  # noqa: PLC0415

    from shortaxis.endocardium import Endocardium, as_endocardium  # noqa: PLC0415
    from shortaxis.ensemble.model_file import file_sha256  # noqa: PLC0415
    from shortaxis.inference import load_model, released_model_path  # noqa: PLC0415
    from shortaxis.inference.device import choose_device  # noqa: PLC0415
    from shortaxis.quality.calibration import calibration_path, load_calibration  # noqa: PLC0415

    if threads is not None:
        torch.set_num_threads(threads)
    path = released_model_path() if path is None else Path(path)
    model = load_model(path, choose_device(device), views=views)
    provenance = {"name": model.spec.name, "sha256": file_sha256(path)}
    if views != 1:
        provenance["views"] = str(views)
    if as_endocardium(endocardium) is not Endocardium.TRABECULAE:
        provenance |= {"endocardium": as_endocardium(endocardium).value, "endocardial_shift": f"{model.endocardial_shift:g}"}
    if model.augmenting.notice is not None:
        provenance["notice"] = model.augmenting.notice
    beside = calibration_path(path)
    calibration = load_calibration(beside) if beside.is_file() else None
    if calibration is not None and calibration.model_sha256 != provenance["sha256"]:
        msg = f"{beside} was made for another model file; make it again with `shortaxis calibrate`, or remove it"
        raise InputError(msg)
    return OpenModel(model, provenance, calibration, None if calibration is None else file_sha256(beside))
