"""Reading an image of a planned study with its patient, and with ED and ES where somebody names them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shortaxis.datasets.acdc import INFO, read_image
from shortaxis.errors import DataWarning, InputError
from shortaxis.io import read, read_dicom
from shortaxis.io.nifti import outline_nifti
from shortaxis.segmenting.wishes import LV_FRAMES, RV_FRAMES

if TYPE_CHECKING:
    from shortaxis.datasets.acdc import AcdcImage
    from shortaxis.segmenting.planned import PlannedImage
    from shortaxis.segmenting.wishes import Wishes
    from shortaxis.study import Study


def read_planned(image: PlannedImage, wishes: Wishes, *, paired: bool = False) -> Study:
    """Read an image.

    ED and ES are those of the data set or of `Info.cfg`, else those that the name of a 3D frame says. Those that the user names go before
    all.

    Args:
        image: The image.
        wishes: Name the ED and ES frames of a plain file, and the series of a DICOM study.
        paired: Whether the image is one of several of its study.

    Raises:
        InputError: The image is not fit for use, or has not the frames that are named.

    Warns:
        DataWarning: The user names other frames than `Info.cfg` does.
    """
    if image.ref is not None:
        return image.ref.read()
    if image.acdc is not None:
        study = _read_with_info(image.acdc)
    elif image.dicom:
        study = read_dicom(image.path, series=wishes.series)
    else:
        study = read(image.path)
    return _with_wished_frames(_with_phase_of_name(study, image, paired=paired), image, wishes)


def _read_with_info(image: AcdcImage) -> Study:
    """Read an image of ACDC, or one that lies beside an `Info.cfg`: of a frame with a name of its own only the patient is known."""
    if image.frame is not None:
        return read_image(image)
    if outline_nifti(image.path).shape[0] == 1:
        return replace(read(image.path), subject=image.patient.subject)
    study = read_image(image)
    if image.patient.n_frames not in {None, study.n_phases}:
        msg = (
            f"{image.path}: has {study.n_phases} frames, but {INFO} beside it speaks of {image.patient.n_frames}; "
            "check that ED and ES are those of this cine"
        )
        warnings.warn(msg, DataWarning, stacklevel=2)
    return study


def _with_phase_of_name(study: Study, image: PlannedImage, *, paired: bool) -> Study:
    if image.phase is None or (study.n_phases > 1 and not paired):
        return study
    if study.n_phases > 1:
        msg = (
            f"{image.path}: holds {study.n_phases} phases where its name says the one frame of {image.phase}; rename it, or give the frame"
        )
        raise InputError(msg)
    return replace(study, end_diastole=0 if image.phase == "ED" else None, end_systole=0 if image.phase == "ES" else None)


def _with_wished_frames(study: Study, image: PlannedImage, wishes: Wishes) -> Study:
    requested, own = (wishes.frames(options) for options in (LV_FRAMES, RV_FRAMES))
    for option, frame in (requested | own).items():
        if frame > study.n_phases:
            msg = f"{option} {frame}: {image.path} has {study.n_phases} frames, counted from 1; give one of them"
            raise InputError(msg)
    given = {LV_FRAMES[option]: frame - 1 for option, frame in requested.items()}
    known = {name: getattr(study, name) for name in LV_FRAMES.values()}
    for option, frame in requested.items():
        was = known[LV_FRAMES[option]]
        if was is not None and was != frame - 1:
            msg = f"{image.path}: {option} {frame} is taken, though {INFO if image.acdc else 'its name'} says frame {was + 1}"
            warnings.warn(msg, DataWarning, stacklevel=2)
    named: dict[str, Any] = known | given
    if named["end_diastole"] == named["end_systole"]:
        named = dict.fromkeys(known) | given
    named |= {RV_FRAMES[option]: frame - 1 for option, frame in own.items()}
    return replace(study, **named)
