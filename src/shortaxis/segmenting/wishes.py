"""What a user may wish of a segmentation run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from shortaxis.endocardium import Endocardium, as_endocardium
from shortaxis.errors import InputError
from shortaxis.labels import ACDC, LabelScheme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shortaxis.segmenting.plan import PlannedStudy

LV_FRAMES: Final = {"--ed": "end_diastole", "--es": "end_systole"}
"""Options that name ED and ES, and their attributes of `Wishes` and `shortaxis.Study`."""
RV_FRAMES: Final = {"--rv-ed": "rv_end_diastole", "--rv-es": "rv_end_systole"}
"""The same of the RV's own ED and ES."""

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
        endocardium: Where the border of the LV cavity is drawn; see `shortaxis.endocardium.Endocardium`.
        views: Ask about each frame in so many views and take the mean; see `shortaxis.inference.load_model`.
        end_diastole: ED frame of plain files, counted from 1, or None where it is not known.
        end_systole: ES frame of plain files, counted from 1, or None.
        rv_end_diastole: The RV's own ED frame of plain files, counted from 1, or None where it is not known.
        rv_end_systole: The RV's own ES frame of plain files, counted from 1, or None.
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
    endocardium: Endocardium = Endocardium.TRABECULAE
    views: int = 1
    end_diastole: int | None = None
    end_systole: int | None = None
    rv_end_diastole: int | None = None
    rv_end_systole: int | None = None
    cine: bool = False
    report: bool = True
    dicom_seg: str | None = None
    dicom_sr: bool = False
    dicom_pdf: bool = False
    pdf: bool = False
    keep_identifiers: bool = False
    series: str | None = None

    def __post_init__(self) -> None:
        for options in (LV_FRAMES, RV_FRAMES):
            frames = self.frames(options)
            for option, frame in frames.items():
                if frame < 1:
                    msg = f"{option} {frame}: frames are counted from 1; give the number of a frame"
                    raise InputError(msg)
            if len(frames) > len(set(frames.values())):
                msg = f"{' and '.join(frames)} are both {next(iter(frames.values()))}; give two different frames"
                raise InputError(msg)
        if self.dicom_seg not in {None, *DICOM_SEG}:
            msg = f"--dicom-seg {self.dicom_seg}: no such choice of phases; known are {', '.join(DICOM_SEG)}"
            raise InputError(msg)
        object.__setattr__(self, "endocardium", as_endocardium(self.endocardium))  # a plain name will do

    def frames(self, options: Mapping[str, str]) -> dict[str, int]:
        """The frames that are named, counted from 1, by option: `LV_FRAMES` or `RV_FRAMES`."""
        return {option: frame for option, name in options.items() if (frame := getattr(self, name)) is not None}

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
        return {name: _as_plain(value) for name, value in changed.items()}

    def refuse_misuse(self, studies: Sequence[PlannedStudy]) -> None:
        """Refuse what a study has no place for.

        That is `--ed` and `--es` where `Info.cfg` names the frames, `--rv-ed` and `--rv-es` where more than one image is given, or a
        DICOM-SEG of NIfTI files.

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
        for study in studies:
            if self.frames(LV_FRAMES):
                _refuse_frames(study)
            if self.frames(RV_FRAMES):
                _refuse_rv_frames(study)
            for image in study.images:
                if refer is not None and not image.dicom:
                    options = "--dicom-seg, --dicom-sr and --dicom-pdf"
                    msg = f"{study.source}: {refer} refers to DICOM images and this is NIfTI; leave {options} out, or give DICOM only"
                    raise InputError(msg)
                if self.series is not None and not image.dicom:
                    msg = f"{study.source}: --series {self.series} names a DICOM series, and this is no DICOM study; leave --series out"
                    raise InputError(msg)


def _as_plain(value: object) -> Any:
    """An option as a plain JSON type."""
    if isinstance(value, LabelScheme):
        return value.name
    return value.value if isinstance(value, Endocardium) else value


def shown_series(series: str) -> str:
    """A series as outputs may name it: by its number; a UID names the study, so it is not printed."""
    return series if series.isdecimal() else "UID"


def _refuse_frames(study: PlannedStudy) -> None:
    """Refuse `--ed` and `--es` for a study whose ED and ES are known, unless it is one image that was given by itself."""
    alone = _is_alone(study)
    for image in study.images:
        if image.acdc is not None and not alone:
            msg = f"{study.source}: its Info.cfg names ED and ES; leave --ed and --es out, or give the files themselves"
            raise InputError(msg)
        if image.ref is not None or (image.phase is not None and not alone):
            what = "the data set names its" if image.ref is not None else "file names say which is"
            msg = f"{study.source}: {what} ED and ES; leave --ed and --es out"
            raise InputError(msg)


def _refuse_rv_frames(study: PlannedStudy) -> None:
    """Refuse `--rv-ed` and `--rv-es` unless they name frames of one image that was given by itself."""
    alone = _is_alone(study)
    if any(image.ref is not None or (not alone and (image.acdc is not None or image.phase is not None)) for image in study.images):
        msg = f"{study.source}: --rv-ed and --rv-es name frames of a cine that is given by itself; give its file, or leave them out"
        raise InputError(msg)


def _is_alone(study: PlannedStudy) -> bool:
    return len(study.images) == 1 and study.images[0].path == study.source
