"""Headers of MR images: one `Plane` for each two-dimensional image, whether it has a file of its own or is a frame among many.

Only the tags in `WANTED` are read, and no pixel. The patient's name and number are not among them.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shortaxis.io.dicom.dimensions import phase_indices
from shortaxis.io.dicom.values import days, flat_groups, many, number, numbers, numbers_of, seconds, texts, whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydicom import Dataset

CLOCKS: Final = (
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "ActualCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "TemporalPositionIndex",
    "DimensionIndexValues",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
"""What may order the phases, the most telling first."""
IN_MS: Final = frozenset(CLOCKS[:3])
"""Clocks that show ms."""
HEART_CLOCKS: Final = CLOCKS[:6]
"""Clocks that show a place in the heart cycle, not a time of day or a place in the file."""

# fmt: off
WANTED: Final = frozenset(
    [
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription",
        "ProtocolName", "FrameOfReferenceUID", "Modality", "Manufacturer", "ImageType", "FrameType", "ComplexImageComponent",
        "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PixelSpacing", "ImageOrientationPatient",
        "ImagePositionPatient", "SliceThickness", "TriggerTime", "NominalCardiacTriggerDelayTime",
        "ActualCardiacTriggerDelayTime", "NominalPercentageOfCardiacPhase", "TemporalPositionIndex", "TemporalPositionIdentifier",
        "TemporalResolution", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "FrameAcquisitionDateTime",
        "ContentDate", "ContentTime", "AcquisitionNumber", "FrameAcquisitionNumber", "InstanceNumber", "NominalInterval",
        "RRIntervalTimeNominal", "HeartRate", "ScanningSequence", "SequenceName", "EchoTime", "EffectiveEchoTime",
        "InversionTime", "InversionTimes", "PhaseContrast", "RescaleSlope", "RescaleIntercept", "PatientSize", "PatientWeight",
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence", "DimensionIndexValues",
        "PulseSequenceName", "SequenceVariant", "ContrastBolusAgent", "Tagging", "InversionRecovery", "MagneticFieldStrength",
    ]
)
# fmt: on
"""Keywords of the tags that are read."""
_PHASE_TOKENS: Final = frozenset(
    {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "VELOCITY_MAP", "PCA", "R", "REAL", "I", "IMAGINARY"}
)
_FLOW_TOKENS: Final = frozenset({"FLOW_ENCODED", "PHASE CONTRAST M", "M_PCA"})
_FLOW_NAME: Final = re.compile(r"_v\d")
"""Velocity encoding in the name of a Siemens sequence, such as fl2d1_v150in."""


NO_PLACE: Final = "has no position in the patient (ImagePositionPatient, ImageOrientationPatient)"
NO_SPACING: Final = "does not say the size of its pixels (PixelSpacing)"
CLASSIC_MULTI_FRAME: Final = "holds several frames without a place for each (classic multi-frame)"


class Geometry(NamedTuple):
    """The grid of one image: matrix (rows, columns), pixel spacing (row, column) in mm, direction cosines and position (LPS, mm)."""

    shape: tuple[int, int]
    spacing: tuple[float, ...]
    orientation: tuple[float, ...]
    position: tuple[float, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One image plane and what its header says; None where it says nothing.

    Attributes:
        path: Its file.
        frame: Number of the frame in the file, counted from 0.
        sop_class_uid: SOP class of the file.
        sop_instance_uid: SOP instance of the file.
        study_uid: Study that it belongs to.
        series_uid: Series that it belongs to.
        series_number: Number of the series as the scanner counts.
        frame_of_reference: Frame of reference UID; positions of different frames of reference do not compare.
        description: Series description in lower case, or the protocol name where there is none: a hint, never shown.
        image_type: Values of ImageType and FrameType, upper case.
        shape: (rows, columns).
        spacing: (row, column) distance of the pixels in mm.
        orientation: Direction cosines (LPS) of a row, then of a column.
        position: Centre of the first pixel in mm (LPS).
        thickness: Slice thickness in mm.
        clocks: What the header says for each of `CLOCKS`; times of day in s, counted from a fixed day where the date is known.
        acquired: Day and time of acquisition in s, only good for comparing; -inf where unknown.
        acquisition_number: Number of the acquisition.
        sequence: Kind of pulse sequence (ScanningSequence).
        echo_time: Echo time in ms.
        inversion_time: Inversion time in ms.
        is_phase: Whether it shows the phase of the signal: a velocity.
        is_flow: Whether it belongs to a flow measurement.
        rescale: (slope, intercept).
        rr_interval: RR interval in ms.
        temporal_resolution: Time between phases in ms.
        height_m: Body height in m.
        weight_kg: Body weight in kg.
        manufacturer: Maker of the scanner.
        sequence_name: Name and variant of the pulse sequence in lower case: a hint, like the description.
        has_contrast: Whether a contrast agent was given.
        is_tagged: Whether the magnetisation was tagged.
        protocol: Protocol name in lower case; some makers give one to the whole examination.
        stored: The grid of the image itself, where the plane lies on the grid of its stack and the pixels are to be resampled.
    """

    path: Path
    frame: int
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    series_number: int | None
    frame_of_reference: str
    description: str
    image_type: tuple[str, ...]
    shape: tuple[int, int]
    spacing: tuple[float, ...]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    thickness: float | None
    clocks: dict[str, float]
    acquired: float
    acquisition_number: int | None
    sequence: str
    echo_time: float | None
    inversion_time: float | None
    is_phase: bool
    is_flow: bool
    rescale: tuple[float, float]
    rr_interval: float | None
    temporal_resolution: float | None
    height_m: float | None
    weight_kg: float | None
    manufacturer: str | None
    sequence_name: str = ""
    has_contrast: bool = False
    is_tagged: bool = False
    stored: Geometry | None = None
    field_strength_t: float | None = None
    protocol: str = ""


@cache
def wanted_tags() -> dict[int, str]:
    """Keyword of each tag that is read."""
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415 (an optional package)
    from pydicom.tag import BaseTag  # noqa: PLC0415

    return {BaseTag(tag): name for name in WANTED if (tag := tag_for_keyword(name)) is not None}


def planes_of(path: Path, dataset: Dataset, top: dict[str, Any]) -> list[Plane] | str:
    """Give the planes of a file.

    Args:
        path: The file.
        dataset: Its header.
        top: The wanted values of the header's top level.

    Returns:
        The planes, or why it has none that can be used.
    """
    wanted, groups = wanted_tags(), dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        if whole(top.get("NumberOfFrames")) not in {None, 1}:
            return CLASSIC_MULTI_FRAME
        one = _plane(path, 0, top)
        return one if isinstance(one, str) else [one]
    claimed = whole(top.get("NumberOfFrames"))
    if claimed is not None and claimed != len(groups):
        return f"describes {len(groups)} frames but claims {claimed}"
    shared = dataset.get("SharedFunctionalGroupsSequence")
    common = flat_groups(shared[0], wanted) if shared else {}
    headers = [ChainMap(flat_groups(group, wanted), common, top) for group in groups]
    found = [_plane(path, number, header) for number, header in enumerate(headers)]
    reason = next((one for one in found if isinstance(one, str)), None)
    if reason is not None:
        return reason
    planes = [plane for plane in found if not isinstance(plane, str)]
    indices = [numbers_of(header.get("DimensionIndexValues")) for header in headers]
    for plane, index in zip(planes, phase_indices(dataset, [plane.position for plane in planes], indices), strict=True):
        if index is not None:
            plane.clocks["DimensionIndexValues"] = index
    return planes


def _misplaced(header: Mapping[str, Any]) -> str | None:
    """Why an image cannot be put in its place, or None."""
    orientation, spacing = numbers(header.get("ImageOrientationPatient"), 6), numbers(header.get("PixelSpacing"), 2)
    if orientation is None or numbers(header.get("ImagePositionPatient"), 3) is None or _spanned(orientation) < 0.5:
        return NO_PLACE
    return NO_SPACING if spacing is None or min(spacing) <= 0 else None


def _plane(path: Path, frame: int, header: Mapping[str, Any]) -> Plane | str:
    reason = _misplaced(header)
    if reason is not None:
        return reason
    orientation, position = numbers(header.get("ImageOrientationPatient"), 6) or (), numbers(header.get("ImagePositionPatient"), 3) or ()
    spacing = numbers(header.get("PixelSpacing"), 2) or ()
    tokens = tuple(token.upper() for key in ("ImageType", "FrameType", "ComplexImageComponent") for token in texts(header.get(key)))
    instance = number(header.get("InstanceNumber"))
    rate, interval = number(header.get("HeartRate")), number(header.get("RRIntervalTimeNominal") or header.get("NominalInterval"))
    return Plane(
        path=path,
        frame=frame,
        sop_class_uid=str(header.get("SOPClassUID") or ""),
        sop_instance_uid=str(header.get("SOPInstanceUID") or ""),
        study_uid=str(header.get("StudyInstanceUID") or ""),
        series_uid=str(header.get("SeriesInstanceUID") or ""),
        series_number=whole(header.get("SeriesNumber")),
        frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
        description=_named(header, "SeriesDescription") or _named(header, "ProtocolName"),
        protocol=_named(header, "ProtocolName"),
        image_type=tokens,
        shape=(int(header["Rows"]), int(header["Columns"])),
        spacing=spacing,
        orientation=orientation,
        position=position,
        thickness=number(header.get("SliceThickness")),
        clocks=_clocks(header, None if instance is None else instance * 1e5 + frame),
        acquired=_acquired(header),
        acquisition_number=whole(header.get("FrameAcquisitionNumber", header.get("AcquisitionNumber"))),
        sequence=" ".join([*texts(header.get("ScanningSequence")), *["IR"] * (header.get("InversionRecovery") == "YES")]),
        echo_time=number(header.get("EffectiveEchoTime") or header.get("EchoTime")),
        inversion_time=number(next(iter(many(header.get("InversionTimes"))), header.get("InversionTime"))),
        is_phase=not _PHASE_TOKENS.isdisjoint(tokens),
        is_flow=header.get("PhaseContrast") == "YES"
        or not _FLOW_TOKENS.isdisjoint(tokens)
        or _FLOW_NAME.search(str(header.get("SequenceName") or "")) is not None,
        rescale=(number(header.get("RescaleSlope", 1.0)) or 1.0, number(header.get("RescaleIntercept")) or 0.0),
        rr_interval=interval or (60000 / rate if rate else None),
        temporal_resolution=number(header.get("TemporalResolution")),
        height_m=number(header.get("PatientSize")) or None,
        weight_kg=number(header.get("PatientWeight")) or None,
        manufacturer=str(header.get("Manufacturer") or "") or None,
        sequence_name=" ".join(
            " ".join(texts(header.get(key))) for key in ("SequenceName", "PulseSequenceName", "SequenceVariant")
        ).lower(),
        has_contrast=bool(header.get("ContrastBolusAgent")),
        is_tagged=header.get("Tagging") not in {None, "", "NONE"},
        field_strength_t=_tesla(number(header.get("MagneticFieldStrength"))),
    )


def _named(header: Mapping[str, Any], key: str) -> str:
    return " ".join(texts(header.get(key))).strip().lower()


def _tesla(strength: float | None) -> float | None:
    """A field strength in tesla; some scanners write gauss. None for what is no strength."""
    if strength is None or not 0 < strength < math.inf:
        return None
    return strength / 10_000 if strength > 100 else strength


def _spanned(orientation: tuple[float, ...]) -> float:
    """Area that the directions of a row and a column span: 1 for a right angle. In plain numbers: NumPy takes longer for six of them."""
    a, b, c, x, y, z = orientation
    return math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)


def _clocks(header: Mapping[str, Any], instance: float | None) -> dict[str, float]:
    said = {name: number(header.get(name)) for name in CLOCKS[:5]}
    if said["TemporalPositionIndex"] is None:
        said["TemporalPositionIndex"] = number(header.get("TemporalPositionIdentifier"))
    acquired, content = _times_of_day(header)
    said |= {"AcquisitionTime": acquired, "ContentTime": content, "InstanceNumber": instance}
    return {name: value for name, value in said.items() if value is not None}


def _times_of_day(header: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Times of acquisition and of content in s, each counted from a fixed day where its date is known."""
    moment = str(header.get("FrameAcquisitionDateTime") or header.get("AcquisitionDateTime") or "")
    acquired = _instant(moment[:8], moment[8:])
    if acquired is None:
        acquired = _instant(header.get("AcquisitionDate"), header.get("AcquisitionTime"))
    return acquired, _instant(header.get("ContentDate"), header.get("ContentTime"))


def _instant(day: Any, clock: Any) -> float | None:
    time = seconds(clock)
    return None if time is None else (days(day) or 0.0) * 86400 + time


def _acquired(header: Mapping[str, Any]) -> float:
    return next((time for time in _times_of_day(header) if time is not None), -math.inf)
