"""Flags on what was doubtful in the headers of a study, and what was done about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.io.dicom import DicomSource
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.quality.flags.flag import Examined


def doubtful_header(seen: Examined) -> Iterator[QualityFlag]:
    """The reader decided between lengths or units that contradict each other, or found a spacing that no cine has."""
    source = seen.study.source
    if not isinstance(source, NiftiSource):
        return
    for note in source.notes:
        unusable = source.no_volumes is not None and note.startswith(source.no_volumes)
        name = "implausible_spacing" if unusable else "doubtful_spacing"
        yield QualityFlag(name, "warning", note, "check the spacing, and correct the header where it is wrong")


def images_left_out(seen: Examined) -> Iterator[QualityFlag]:
    """The DICOM reader could not use some images of the series that it took."""
    source = seen.study.source
    if isinstance(source, DicomSource):
        for note in source.lost:
            yield QualityFlag(
                "images_left_out", "warning", note, "check that the stack is complete without them; `shortaxis doctor` says more"
            )
