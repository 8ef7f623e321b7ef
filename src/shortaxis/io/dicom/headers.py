"""Headers of MR images: one `Plane` for each two-dimensional image, whether it has a file of its own or is a frame among many.

Only the tags in `WANTED` are read, and no pixel. The patient's name and number are not among them.
"""

from __future__ import annotations

import math
import re
from collections import ChainMap
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from shortaxis.io.dicom.values import flat_groups, many, number, numbers, seconds, texts, whole

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
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)
"""What may order the phases, the most telling first."""

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
        "MagneticFieldStrength",
        "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
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
        description: Series description and protocol name in lower case: a hint, never shown.
        image_type: Values of ImageType and FrameType, upper case.
        shape: (rows, columns).
        spacing: (row, column) distance of the pixels in mm.
        orientation: Direction cosines (LPS) of a row, then of a column.
        position: Centre of the first pixel in mm (LPS).
        thickness: Slice thickness in mm.
        clocks: What the header says for each of `CLOCKS`; times of day in s.
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
    field_strength_t: float | None = None


@cache
def wanted_tags() -> dict[int, str]:
    """Keyword of each tag that is read."""
    from pydicom.datadict import tag_for_keyword  # noqa: PLC0415 (an optional package)
    from pydicom.tag import BaseTag  # noqa: PLC0415

    return {BaseTag(tag): name for name in WANTED if (tag := tag_for_keyword(name)) is not None}


def planes_of(path: Path, dataset: Dataset, top: dict[str, Any]) -> list[Plane] | None:
    """Give the planes of a file.

    Args:
        path: The file.
        dataset: Its header.
        top: The wanted values of the header's top level.

    Returns:
        The planes, or None where they have no place in the patient.
    """
    wanted, groups = wanted_tags(), dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        one = _plane(path, 0, top) if whole(top.get("NumberOfFrames")) in {None, 1} else None
        return None if one is None else [one]
    shared = dataset.get("SharedFunctionalGroupsSequence")
    common = flat_groups(shared[0], wanted) if shared else {}
    planes = [_plane(path, number, ChainMap(flat_groups(group, wanted), common, top)) for number, group in enumerate(groups)]
    return None if None in planes else [plane for plane in planes if plane is not None]


def _plane(path: Path, frame: int, header: Mapping[str, Any]) -> Plane | None:
    orientation, position = numbers(header.get("ImageOrientationPatient"), 6), numbers(header.get("ImagePositionPatient"), 3)
    spacing = numbers(header.get("PixelSpacing"), 2)
    if orientation is None or position is None or spacing is None or min(spacing) <= 0:
        return None
    if _spanned(orientation) < 0.5:
        return None
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
        description=f"{header.get('SeriesDescription') or ''} {header.get('ProtocolName') or ''}".lower(),
        image_type=tokens,
        shape=(int(header["Rows"]), int(header["Columns"])),
        spacing=spacing,
        orientation=orientation,
        position=position,
        thickness=number(header.get("SliceThickness")),
        clocks=_clocks(header, None if instance is None else instance * 1e5 + frame),
        acquired=_acquired(header),
        acquisition_number=whole(header.get("FrameAcquisitionNumber", header.get("AcquisitionNumber"))),
        sequence=" ".join(texts(header.get("ScanningSequence"))),
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
        field_strength_t=_tesla(number(header.get("MagneticFieldStrength"))),
    )


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
    moment = str(header.get("FrameAcquisitionDateTime") or header.get("AcquisitionDateTime") or "")
    said["AcquisitionTime"] = seconds(moment[8:] or header.get("AcquisitionTime"))
    said["ContentTime"] = seconds(header.get("ContentTime"))
    said["InstanceNumber"] = instance
    return {name: value for name, value in said.items() if value is not None}


def _acquired(header: Mapping[str, Any]) -> float:
    moment = str(header.get("FrameAcquisitionDateTime") or header.get("AcquisitionDateTime") or "")
    for day, clock in (
        (moment[:8], moment[8:]),
        (header.get("AcquisitionDate"), header.get("AcquisitionTime")),
        (header.get("ContentDate"), header.get("ContentTime")),
    ):
        time = seconds(clock)
        if time is not None:
            # An anonymised day such as 20120000 is none, but it still comes before the next one.
            return (number(day) or 0.0) * 86400 + time
    return -math.inf
