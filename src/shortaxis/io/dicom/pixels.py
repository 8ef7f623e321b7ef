"""Pixels of chosen planes, in the units that the header gives them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.dicom.alignment import resample
from shortaxis.io.dicom.bits import bits_of, read_whole, value_of
from shortaxis.io.dicom.limits import ClaimError, coded_size, opened
from shortaxis.io.dicom.scanning import lenient_pydicom

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

    from shortaxis.io.dicom.headers import Plane


def load_pixels(planes: Sequence[Sequence[Plane]]) -> NDArray[np.float32]:
    """Decode the planes of a stack, each file once.

    Compressed pixels go through pylibjpeg where it is installed, else through what pydicom finds. Rescale slope and intercept are applied;
    MONOCHROME1, in which large values are dark, is turned round before.

    Args:
        planes: D lists of T planes of one shape.

    Returns:
        float32 (T, D, H, W).

    Raises:
        InputError: A file is damaged, or no decoder for its compression is installed.
    """
    pixels = np.empty((len(planes[0]), len(planes), *planes[0][0].shape), np.float32)
    places: dict[Path, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for d, phases in enumerate(planes):
        for t, plane in enumerate(phases):
            places[plane.path][plane.frame].append((t, d))
    with lenient_pydicom(planes[0][0].path):
        for path, frames in places.items():
            for (number, targets), stored in zip(sorted(frames.items()), _decode(path, sorted(frames)), strict=True):
                plane = planes[targets[0][1]][targets[0][0]]
                shape = plane.shape if plane.stored is None else plane.stored.shape
                if stored.shape != shape:
                    msg = f"{path}: frame {number + 1} has the shape {stored.shape}, not {shape}; get the file again"
                    raise InputError(msg)
                slope, intercept = plane.rescale
                values = stored * slope + intercept if plane.stored is None else resample(stored, plane) * slope + intercept
                for t, d in targets:
                    pixels[t, d] = values
    if not np.isfinite(pixels).all():
        msg = f"{planes[0][0].path.parent}: holds NaN or infinite voxels; get the files anew"
        raise InputError(msg)
    return pixels


def _decode(path: Path, frames: list[int]) -> list[NDArray[Any]]:
    from pydicom import dcmread  # noqa: PLC0415 (an optional package)
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415
    from pydicom.pixels.utils import iter_pixels  # noqa: PLC0415
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian  # noqa: PLC0415

    try:
        with opened(path) as (file, _):
            dataset = dcmread(file, force=True)
        bits = bits_of(dataset)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if dataset.original_encoding[0] else ExplicitVRLittleEndian
        syntax = dataset.file_meta.TransferSyntaxUID
        _check_streams(dataset, frames)
        whole = not syntax.is_encapsulated and read_whole(dataset, bits)
        # The plugin is named, since pydicom would try all others on a damaged file, and GDCM, where installed, may then end the process.
        plugin = "pylibjpeg" if "pylibjpeg" in get_decoder(syntax).available_plugins else ""
        stored = list(iter_pixels(dataset, indices=frames, raw=True, decoding_plugin=plugin))
        if whole:
            stored = [value_of(image, bits) for image in stored]
    except ClaimError as error:
        msg = f"{path}: {error}; get the file again"
        raise InputError(msg) from error
    except Exception as error:
        # What a decoder says may be a value of the header, so it is not repeated.
        kind = type(error).__name__
        msg = f"{path}: its pixels cannot be decoded ({kind}); get the file anew, or install 'shortaxis[dicom]' for all decoders"
        raise InputError(msg) from error
    if dataset.get("PhotometricInterpretation") != "MONOCHROME1":
        return stored
    turned = -1 if dataset.PixelRepresentation else 2**bits.stored - 1
    return [turned - image.astype(np.int64) for image in stored]


def _check_streams(dataset: Dataset, frames: Sequence[int]) -> None:
    """Refuse compressed streams that say another size than the header: decoders allocate what the stream says.

    Raises:
        ClaimError: A stream says another size.
    """
    from pydicom.encaps import get_frame  # noqa: PLC0415 (an optional package)

    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    for number in frames:
        try:
            size = coded_size(get_frame(dataset.PixelData, number, number_of_frames=count))
        except ValueError:  # what cannot be taken apart, the decoder refuses
            return
        if size is not None and size != (dataset.Rows, dataset.Columns):
            msg = f"frame {number + 1} is coded with {size[0]} × {size[1]} pixels, but the header says {dataset.Rows} × {dataset.Columns}"
            raise ClaimError(msg)
