"""The images of a data set, labelled or not, as they are segmented: whole cines, or frames, with ED and ES where these are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.datasets import READERS
from shortaxis.datasets.mnms import list_images as mnms_images
from shortaxis.datasets.nnunet import list_images as nnunet_images
from shortaxis.errors import InputError
from shortaxis.io import read
from shortaxis.study import Study, Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shortaxis.study import Frame


@dataclass(frozen=True)
class ImageRef:
    """One image of a data set that is known but not yet read.

    Attributes:
        name: Name of its outputs, such as `A1_sa`.
        path: The image, or the file that holds it among others.
        subject: What the data set says of the patient; its identifier names the study.
        end_diastole: Which phase of the image is ED, counted from 0, or None.
        end_systole: Which phase is ES, counted from 0, or None.
        table: The file that names ED and ES, or None.
        load: Reads the frame where `path` is no image itself.
    """

    name: str
    path: Path
    subject: Subject
    end_diastole: int | None = None
    end_systole: int | None = None
    table: Path | None = None
    load: Callable[[], Frame] | None = field(default=None, compare=False)

    def read(self) -> Study:
        """Read the image with its patient, ED and ES.

        Returns:
            The study, pixels float32 (T, D, H, W).

        Raises:
            InputError: The image is not fit for use, or has fewer phases than the data set names.
        """
        if self.load is None:
            study = read(self.path)
        else:
            frame = self.load()
            study = Study(frame.image[np.newaxis].astype(np.float32), frame.spacing)
        named = [phase for phase in (self.end_diastole, self.end_systole) if phase is not None]
        if named and max(named) >= study.n_phases:
            msg = f"{self.table or self.path}: names phase {max(named)} (counted from 0), but {self.path} has {study.n_phases}; correct it"
            raise InputError(msg)
        return replace(study, subject=self.subject, end_diastole=self.end_diastole, end_systole=self.end_systole)


def dataset_images(kind: str, path: Path) -> list[ImageRef]:
    """List the images of a data set in the order of their patients.

    Args:
        kind: One of `READERS`, but `acdc`, whose images `shortaxis.datasets.acdc.list_images` lists.
        path: Where it lies.

    Raises:
        InputError: The data set cannot be read, or holds no image.
    """
    path = path.expanduser()
    if kind in _LISTERS:
        return _LISTERS[kind](path)
    return [
        ImageRef(
            ref.name,
            path,
            Subject(ref.patient, ref.group),
            end_diastole=0 if ref.phase == "ED" else None,
            end_systole=0 if ref.phase == "ES" else None,
            load=ref.load,
        )
        for ref in READERS[kind](path).refs
    ]


def _of_mnms(root: Path) -> list[ImageRef]:
    return [
        ImageRef(path.name.removesuffix(".nii.gz"), path, known.subject, known.end_diastole, known.end_systole, table)
        for path, known, table in mnms_images(root)
    ]


def _of_nnunet(root: Path) -> list[ImageRef]:
    return [
        ImageRef(
            case.name,
            case.image,
            Subject(case.patient, case.group),
            end_diastole=0 if case.phase == "ED" else None,
            end_systole=0 if case.phase == "ES" else None,
        )
        for case in nnunet_images(root)
    ]


_LISTERS: Final[dict[str, Callable[[Path], list[ImageRef]]]] = {"mnms": _of_mnms, "nnunet": _of_nnunet}
"""Data sets whose images lie in files of their own: these are read as they are, with their orientation."""
