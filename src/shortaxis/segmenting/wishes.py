"""What a user may wish of a segmentation run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
from shortaxis.labels import ACDC, LabelScheme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.segmenting.plan import PlannedStudy

DICOM_SEG: Final = ("ed-es", "all")
"""Phases that a DICOM-SEG may hold."""


@dataclass(frozen=True)
class Wishes:
    """What to write, and how.

    Attributes:
        scheme: Integers of the labels.
        probabilities: Write the pooled probabilities.
        uncertainty: Write σ and ω̄.
        clean: Keep the largest connected part of each structure only.
        temporal: In a cine, decide anew what contradicts its neighbours in time.
        views: Ask about each frame in so many views and take the mean; see `shortaxis.inference.load_model`.
        end_diastole: ED frame of plain files, counted from 1, or None where it is not known.
        end_systole: ES frame of plain files, counted from 1, or None.
        cine: Segment the cines of ACDC patients besides the frames.
        report: Write `report.json` and `report.html`.
        dicom_seg: Write a DICOM-SEG of DICOM studies, one of `DICOM_SEG`, or None. It holds the patient's module, as every DICOM object of
            the patient's study does.
        dicom_sr: Write the indices of DICOM studies as a measurement report (DICOM SR), which refers to the DICOM-SEG of ED and ES: these
            are then written too.
        dicom_pdf: Write the report of DICOM studies as encapsulated PDF.
        pdf: Write the report as PDF.
        keep_identifiers: Let reports name the patient, and outputs name the full paths of the inputs.
        series: Number or UID of the series to take of DICOM studies; None finds it.
    """

    scheme: LabelScheme = ACDC
    probabilities: bool = False
    uncertainty: bool = False
    clean: bool = True
    temporal: bool = True
    views: int = 1
    end_diastole: int | None = None
    end_systole: int | None = None
    cine: bool = False
    report: bool = True
    dicom_seg: str | None = None
    dicom_sr: bool = False
    dicom_pdf: bool = False
    pdf: bool = False
    keep_identifiers: bool = False
    series: str | None = None

    def __post_init__(self) -> None:
        for option, frame in (("--ed", self.end_diastole), ("--es", self.end_systole)):
            if frame is not None and frame < 1:
                msg = f"{option} {frame}: frames are counted from 1; give the number of a frame"
                raise InputError(msg)
        if self.end_diastole is not None and self.end_diastole == self.end_systole:
            msg = f"--ed and --es are both {self.end_diastole}; give two different frames"
            raise InputError(msg)
        if self.dicom_seg not in {None, *DICOM_SEG}:
            msg = f"--dicom-seg {self.dicom_seg}: no such choice of phases; known are {', '.join(DICOM_SEG)}"
            raise InputError(msg)

    @property
    def seg_phases(self) -> str | None:
        """Which phases of a DICOM study become DICOM-SEG: those asked for, and ED and ES where an SR is to refer to them."""
        return self.dicom_seg or ("ed-es" if self.dicom_sr else None)

    def beyond_defaults(self) -> dict[str, str | float | bool | None]:
        """The wishes that differ from the defaults, in plain JSON types."""
        default = Wishes()
        changed = {
            field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name) != getattr(default, field.name)
        }
        if self.series is not None and not self.keep_identifiers:
            changed["series"] = shown_series(self.series)
        return {name: value.name if isinstance(value, LabelScheme) else value for name, value in changed.items()}

    def refuse_misuse(self, studies: Sequence[PlannedStudy]) -> None:
        """Refuse what a study has no place for: `--ed` and `--es` where `Info.cfg` names the frames, a DICOM-SEG of NIfTI files.

        Raises:
            InputError: Names the patient or the file, or the package that is not installed.
        """
        needed = {"DICOM-SEG": self.seg_phases is not None, "encapsulated PDF": self.dicom_pdf}
        refer = next((kind for kind, wanted in needed.items() if wanted), None)
        if refer is not None and find_spec("highdicom") is None:
            msg = f"writing {refer} needs a package that is not installed; run: pip install 'shortaxis[dicom]'"
            raise InputError(msg)
        if (self.pdf or self.dicom_pdf) and find_spec("fpdf") is None:
            msg = "writing a PDF needs a package that is not installed; run: pip install 'shortaxis[hospital]'"
            raise InputError(msg)
        frames_given = not (self.end_diastole is None and self.end_systole is None)
        for study in studies:
            if frames_given:
                _refuse_frames(study)
            for image in study.images:
                if refer is not None and not image.dicom:
                    options = "--dicom-seg, --dicom-sr and --dicom-pdf"
                    msg = f"{study.source}: {refer} refers to DICOM images and this is NIfTI; leave {options} out, or give DICOM only"
                    raise InputError(msg)
                if self.series is not None and not image.dicom:
                    msg = f"{study.source}: --series {self.series} names a DICOM series, and this is no DICOM study; leave --series out"
                    raise InputError(msg)


def shown_series(series: str) -> str:
    """A series as outputs may name it: by its number; a UID names the study, so it is not printed."""
    return series if series.isdecimal() else "UID"


def _refuse_frames(study: PlannedStudy) -> None:
    """Refuse `--ed` and `--es` for a study whose ED and ES are known, unless it is one image that was given by itself."""
    alone = len(study.images) == 1 and study.images[0].path == study.source
    for image in study.images:
        if image.acdc is not None and not alone:
            msg = f"{study.source}: its Info.cfg names ED and ES; leave --ed and --es out, or give the files themselves"
            raise InputError(msg)
        if image.ref is not None or (image.phase is not None and not alone):
            what = "the data set names its" if image.ref is not None else "file names say which is"
            msg = f"{study.source}: {what} ED and ES; leave --ed and --es out"
            raise InputError(msg)
