"""What a report says: the content of `report.json`, whose JSON Schema is made from these types.

Slices, frames and segments are counted from 1, as a reader counts them. Volumes are in ml, lengths in mm, times in ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shortaxis.study import Spacing

SCHEMA_VERSION: Final = 1
"""Version of `report.json`; it rises when a reader of the old one would break."""

Counted = Annotated[int, msgspec.Meta(ge=1)]
"""A number of a slice, frame or segment, or a count of at least one."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Millilitres = Annotated[float, msgspec.Meta(ge=0)]
Length = Annotated[float, msgspec.Meta(gt=0)]
"""A length in mm that is not zero."""
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a report."""


class IndexRow(_Part, frozen=True):
    """A clinical index.

    Attributes:
        value: The index, or None when it cannot be known.
        unit: Unit of the value.
        definition: How it is computed, in words.
        source: Where the definition comes from.
        reason: Why there is no value, in words; None when there is one.
        interval: Conformal interval, or None.
        interval_level: Its level, such as 0.9, or None.
        interval_note: What the interval does not cover, in words, or None.
        lower_bound: Whether the true value is at least this, since slices are missing.
    """

    value: float | None
    unit: str
    definition: str
    source: str
    reason: str | None = None
    interval: tuple[float, float] | None = None
    interval_level: Share | None = None
    interval_note: str | None = None
    lower_bound: bool = False


class EndSlice(_Part, frozen=True):
    """The verdict on one slice of one frame: an end slice of the heart, or one between them that is to be checked.

    Attributes:
        slice: Number of the slice, counted from 1.
        level: Where it lies.
        verdict: Whether a human should look.
        probability: Calibrated probability that its mean DSC is below 0.8.
        reasons: Why it is to be checked, in words; empty for a trusted slice.
    """

    slice: Counted
    level: Literal["basal", "middle", "apical"]
    verdict: Literal["trust", "check"]
    probability: Share
    reasons: list[str]


class FrameRow(_Part, frozen=True):
    """One frame.

    Attributes:
        image: File name of the image that it is of.
        frame: Its number in that image, counted from 1 (of an ACDC frame: its number in the cine).
        phase: Whether it is the ED or ES frame that the indices rest on.
        time_ms: Trigger time, or None.
        rv_ml: Volume of the RV cavity.
        myo_ml: Volume of the LV myocardium.
        lv_ml: Volume of the LV cavity.
        end_slices: Verdicts; empty where the model has no calibration.
        slice_risk: Of each slice, the probability that its mean DSC is below 0.8: calibrated on the end slices of the heart; empty where
            the model has no calibration.
        rv_phase: Whether it is the RV's own ED or ES frame, at which the indices whose names end in `_own` are measured.
    """

    image: str
    frame: Counted
    phase: Literal["ED", "ES"] | None
    time_ms: float | None
    rv_ml: Millilitres
    myo_ml: Millilitres
    lv_ml: Millilitres
    end_slices: list[EndSlice]
    slice_risk: list[Share] = []
    rv_phase: Literal["ED", "ES"] | None = None


class Flag(_Part, frozen=True):
    """Something about the whole study that a reader of its indices should know.

    Attributes:
        name: Short name, such as `base_not_covered`.
        severity: A `warning` may spoil an index; a `note` only says how things are.
        message: What it is, in one sentence.
        remedy: What to do about it, in one sentence.
        value: The figure behind it, or None.
        limit: What the figure was held against, or None.
        unit: Unit of both, or empty.
    """

    name: str
    severity: Literal["warning", "note"]
    message: str
    remedy: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""


class WallSegment(_Part, frozen=True):
    """One AHA segment of the LV wall.

    Attributes:
        number: 1 to 16.
        name: Such as `basal anterior`.
        thickness_ed_mm: Thickness at ED, or None.
        thickness_es_mm: Thickness at ES, or None.
        thickening_percent: 100 × (ES − ED) ÷ ED, or None.
    """

    number: Annotated[int, msgspec.Meta(ge=1, le=16)]
    name: str
    thickness_ed_mm: float | None
    thickness_es_mm: float | None
    thickening_percent: float | None


class RepairRow(_Part, frozen=True):
    """A place that contradicted its neighbours in time and was decided anew.

    Attributes:
        image: File name of the image that it is in.
        frame: Number of the frame in that image, counted from 1.
        slice: Number of the slice, counted from 1.
        structure: What was amiss there.
        before_mm2: Its area in mm² as the networks had it, with the endocardium as they draw it.
        after_mm2: Its area as it is now, with the same endocardium.
    """

    image: str
    frame: Counted
    slice: Counted
    structure: Literal["RV", "MYO", "LV"]
    before_mm2: float
    after_mm2: float


class ImageFacts(_Part, frozen=True):
    """One image as it was read.

    Attributes:
        file: Name of the file, or of the folder of a DICOM series.
        format: `NIfTI` or `DICOM`.
        sha256: Of the file; of a DICOM series, of its pixel values and geometry.
        phases: Number of phases T.
        slices: Number of slices D.
        rows: Number of rows H.
        columns: Number of columns W.
        spacing_mm: Distance between voxel centres (slice, row, column).
        notes: What was said aloud when it was read.
    """

    file: str
    format: Literal["NIfTI", "DICOM"]
    sha256: Sha256
    phases: Counted
    slices: Counted
    rows: Counted
    columns: Counted
    spacing_mm: tuple[Length, Length, Length]
    notes: list[str]


class Patient(_Part, frozen=True):
    """Who was scanned: only in a report that was asked to keep identifiers.

    Attributes:
        identifier: Patient ID, or None.
        name: Patient's name, or None.
        birth_date: ISO date, or None.
        sex: As DICOM writes it, or None.
        study_date: ISO date, or None.
    """

    identifier: str | None = None
    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    study_date: str | None = None


class ScanRow(_Part, frozen=True):
    """Whether the scan looks like those that verdicts and intervals were learnt from.

    Attributes:
        known: Whether it does.
        distance: How far it lies from their middle (Mahalanobis), or None where too little of the heart was found to say.
        limit: Distance up to which 95 of 100 of them lie.
        unlike: What differs most, in words; empty where it is known, or where no figure alone is far off.
    """

    known: bool
    distance: float | None
    limit: float
    unlike: list[str]


class Provenance(_Part, frozen=True):
    """How the report came about.

    Attributes:
        shortaxis_version: Version of this package.
        date: When, ISO 8601 in UTC.
        command: The command line for this study, paths reduced to names unless identifiers are kept; None when it was called from Python.
        model: Name of the model.
        model_sha256: Of the model file.
        calibrated: Whether the model had a calibration: without it there are no verdicts and no intervals.
        device: Where the networks ran.
        seconds: Wall time for this study.
        options: What was wished for beyond the defaults, such as `{"clean": false}`.
        notice: What a reader must know of the model, such as that it was made with a published mistake, or None.
    """

    shortaxis_version: str
    date: str
    command: str | None
    model: str
    model_sha256: Sha256
    calibrated: bool
    device: str
    seconds: float
    options: dict[str, str | float | bool | None]
    notice: str | None = None


class StudyReport(_Part, frozen=True):
    """All that a report says of one study; `report.json`.

    Attributes:
        schema_version: Version of this format.
        study: Name of the study: of its file or folder.
        patient: Who was scanned, or None.
        images: The images that it consists of.
        phases: How ED and ES came about: `named` by the study or the user, `found` on the LV volume curve, or `unknown`.
        indices: By name.
        segments: The AHA segments 1 to 16; empty where they could not be told.
        segments_reason: Why there are none, in words, or None.
        frames: One row a frame, in the order of the images.
        flags: What a reader should know, the gravest first.
        provenance: How it came about.
        repairs: Places of a cine that were decided anew for the sake of consistency in time.
        scan: Whether the scan looks like those of the calibration; None without one, or where ED is not known.
        endocardium: Where the border of the LV cavity is drawn: on the inner side of the `trabeculae`, or at the `compact` myocardium with
            the trabeculae in the cavity; None where it is not known.
    """

    schema_version: int
    study: str
    patient: Patient | None
    images: list[ImageFacts]
    phases: Literal["named", "found", "unknown"]
    indices: dict[str, IndexRow]
    segments: list[WallSegment]
    segments_reason: str | None
    frames: list[FrameRow]
    flags: list[Flag]
    provenance: Provenance
    repairs: list[RepairRow] = []
    scan: ScanRow | None = None
    endocardium: Literal["trabeculae", "compact"] | None = None


@dataclass(frozen=True, eq=False)
class ReportPixels:
    """What the viewer of a report shows; the frames in the order of `StudyReport.frames`.

    Attributes:
        image: float32 (T, D, H, W), the scan.
        labels: uint8 (T, D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (z, y, x) in mm.
        basal_first: Whether slice 1 lies at the base.
        entropy: uint8 (T, D, H, W): pixel-wise entropy of the pooled probabilities, 0 to 255 for 0 to ln 4, or None.
        sigma: float32 (T, N, H, W): σ of each member (Eq. 3), or (T, N, D, H, W) of a pooling rule that weighs every slice on its own, or
            None for a pooling rule without it.
        omega: float32, of the shape of sigma: weight ω̄ of each member, or None.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]
    spacing: Spacing
    basal_first: bool = True
    entropy: NDArray[np.uint8] | None = None
    sigma: NDArray[np.float32] | None = None
    omega: NDArray[np.float32] | None = None
