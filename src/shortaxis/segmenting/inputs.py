"""The files that a study is read from: whether they are as they were, and what is told of them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np

from shortaxis.datasets.acdc import INFO
from shortaxis.io.walking import files_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shortaxis.segmenting.plan import PlannedImage, PlannedStudy
    from shortaxis.study import Study


def files_of(image: PlannedImage) -> Iterator[Path]:
    """The files of an image: itself, with its header or pixels where these lie apart (`.hdr`, `.img`); of a DICOM folder all below it."""
    if image.path.is_dir():
        yield from files_below(image.path)
        return
    if image.ref is not None and image.ref.load is not None and not image.path.exists():
        return  # a frame that is made when it is asked for
    yield image.path
    for own, other in ((".hdr", ".img"), (".hdr", ".img.gz"), (".img", ".hdr"), (".img.gz", ".hdr")):
        if image.path.name.lower().endswith(own):
            beside = image.path.with_name(image.path.name[: -len(own)] + other)
            if beside.is_file():
                yield beside


def state_of(study: PlannedStudy, series: str | None = None) -> str:
    """A fingerprint of the names, sizes and times of change of all files that a study is read from; nothing of it can be read back.

    Args:
        study: The study.
        series: The DICOM series that is taken, where one was named.

    Raises:
        OSError: A file is not there any more.
    """
    digest = hashlib.sha256((series or "").encode(errors="surrogateescape"))
    for image in study.images:
        table = None if image.ref is None else image.ref.table
        info = [image.acdc.patient.folder / INFO] if image.acdc is not None else [] if table is None else [table]
        if image.ref is not None:
            digest.update(f"{image.ref.name}\0".encode(errors="surrogateescape"))
        for path in (*files_of(image), *info):
            name = os.path.relpath(path, study.source.parent)
            digest.update(f"{name}\0{_size_and_time(path, strict=path == image.path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _size_and_time(path: Path, *, strict: bool) -> str:
    """Size and time of change; of a link to nothing in a folder, nothing, since no reader reads it."""
    try:
        status = path.stat()
    except OSError:
        if strict or not path.is_symlink():
            raise
        return ""
    return f"{status.st_size}\0{status.st_mtime_ns}"


def content_sha256(image: PlannedImage, study: Study) -> str:
    """SHA-256 of what was read: of NIfTI its file (header, then pixels, where they lie apart), else pixel values and geometry.

    A DICOM file names the patient, so that its own hash could be looked up by who has the file.

    Args:
        image: The image.
        study: What was read from it.
    """
    digest = hashlib.sha256()
    if image.dicom or (image.ref is not None and image.ref.load is not None):
        digest.update(np.asarray(study.pixels.shape, "<i8").tobytes())
        digest.update(np.asarray([*study.spacing, *study.affine.ravel()], "<f8").tobytes())
        digest.update(np.ascontiguousarray(study.pixels, "<f4").data)
        return digest.hexdigest()
    for path in sorted(files_of(image), key=lambda path: not path.name.lower().endswith(".hdr")):
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
