"""A phantom as a DICOM study, in the manner of three makers, with the accidents that real studies bring.

The makers' habits, as far as they bear on reading: GE and Philips keep the stack in one series, Siemens makes one series a slice; GE and
Siemens write the trigger time, Philips the temporal position (and rescales); GE stores signed pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.phantom.dicom_beside import write_beside
from shortaxis.phantom.dicom_file import ENHANCED, Place, Series, decimals, item, new_dataset, save

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pydicom import Dataset

    from shortaxis.study import Study

_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
CLOCKS: Final = ("trigger", "percentage", "temporal", "time", "number")


@dataclass(frozen=True)
class Maker:
    """How a maker writes a cine.

    Attributes:
        name: Value of Manufacturer.
        clock: What tells the phases apart, one of `CLOCKS`.
        series_per_slice: Whether each slice is a series of its own.
        slope: Rescale slope.
        intercept: Rescale intercept.
        signed: Whether pixels are signed.
        image_type: Last value of ImageType.
    """

    name: str
    clock: str
    series_per_slice: bool
    slope: float = 1.0
    intercept: float = 0.0
    signed: bool = False
    image_type: str = "M"


MAKERS: Final = {
    "GE": Maker("GE MEDICAL SYSTEMS", "trigger", series_per_slice=False, signed=True, image_type="OTHER"),
    "SIEMENS": Maker("SIEMENS", "trigger", series_per_slice=True),
    "PHILIPS": Maker("Philips Medical Systems", "temporal", series_per_slice=False, slope=0.5, intercept=-16.0, image_type="M_FFE"),
}


@dataclass(frozen=True)
class Accidents:
    """What went wrong at the scanner or on the way; slices and phases are counted from 0.

    Attributes:
        drop: (slice, phase) of images that are missing.
        drop_slices: Slices that are missing.
        copy: (slice, phase) of images whose file is there twice.
        repeat: Slices that were acquired again, later; the first try shows noise. Siemens makes another series of it.
        offsets: mm by which a slice lies off its place, towards the apex.
        shuffle: Seed that shuffles the file names; None keeps them in order.
        reverse: Whether the slices are numbered from the last to the first.
    """

    drop: Collection[tuple[int, int]] = ()
    drop_slices: Collection[int] = ()
    copy: Collection[tuple[int, int]] = ()
    repeat: Collection[int] = ()
    offsets: Mapping[int, float] | None = None
    shuffle: int | None = None
    reverse: bool = False


@dataclass(frozen=True, eq=False)
class _Image:
    """One image of the cine, before it is put into a file."""

    slice: int
    phase: int
    turn: int
    pixels: Any
    place: Place


def write_dicom(
    root: Path | str,
    study: Study,
    *,
    vendor: str = "GE",
    clock: str | None = None,
    enhanced: bool = False,
    beside: bool = False,
    inverted: bool = False,
    transfer_syntax: str | None = None,
    accidents: Accidents | None = None,
) -> list[Path]:
    """Write a study as DICOM files.

    Every tag that names a person or place holds `CANARY`. The same arguments give the same bytes.

    Args:
        root: The folder to fill.
        study: A cine with whole-numbered pixels below 2000, such as a phantom's.
        vendor: GE, SIEMENS or PHILIPS.
        clock: What tells the phases apart: `trigger`, `percentage` (of the RR interval), `temporal` (position), `time` (of acquisition) or
            `number` (of the instance); None takes the maker's.
        enhanced: Whether to write multi-frame files, one a series, rather than one file an image.
        beside: Whether to write what else is in a study: localizer, long-axis cines, late enhancement, T1 map, perfusion, flow, a report.
        inverted: Whether large values are dark (MONOCHROME1).
        transfer_syntax: UID of a compression that pydicom can write, such as RLE Lossless; None leaves the pixels plain.
        accidents: What shall be wrong.

    Returns:
        The files of the cine.

    Raises:
        InputError: The maker or clock is unknown, or a file cannot be written.
    """
    if vendor not in MAKERS or clock not in {None, *CLOCKS}:
        msg = f"vendor must be one of {', '.join(MAKERS)} and clock one of {', '.join(CLOCKS)}, not '{vendor}' and '{clock}'"
        raise InputError(msg)
    root, maker, accidents = Path(root), MAKERS[vendor], accidents or Accidents()
    maker = replace(maker, clock=clock or maker.clock)
    images = _images(study, accidents)
    by_series: dict[int, list[_Image]] = {}
    for image in images:
        number = 20 + 2 * image.slice + image.turn if maker.series_per_slice else 5
        by_series.setdefault(number, []).append(image)
    datasets = []
    for number, of in by_series.items():
        series = _series(study, maker, number, inverted)
        datasets += [_enhanced(study, maker, series, of)] if enhanced else _classic(study, maker, series, of)
    names = np.arange(len(datasets) + len(accidents.copy))
    if accidents.shuffle is not None:
        np.random.default_rng(accidents.shuffle).shuffle(names)
    files = [
        save(dataset, root / f"series{dataset.SeriesNumber:03d}" / f"IM{name:05d}.dcm", transfer_syntax)
        for name, dataset in zip(names, datasets, strict=False)
    ]
    if not enhanced:
        files += _copies(root, accidents, images, files, names[len(datasets) :].tolist())
    if beside:
        write_beside(root, study, maker.name)
    return files


def places(study: Study, offsets: Mapping[int, float] | None = None) -> list[Place]:
    """Where each slice of a study lies, in DICOM's terms.

    Args:
        study: The study.
        offsets: mm by which a slice is moved along the stack.
    """
    affine = _TO_LPS @ study.affine
    thickness, row, column = study.spacing
    step, down, along = (affine[:3, axis] for axis in range(3))
    along, down = along / np.linalg.norm(along), down / np.linalg.norm(down)
    step_unit = step / np.linalg.norm(step)
    return [
        Place(affine[:3, 3] + step * number + step_unit * (offsets or {}).get(number, 0.0), along, down, (row, column), thickness)
        for number in range(study.n_slices)
    ]


def _images(study: Study, accidents: Accidents) -> list[_Image]:
    rng = np.random.default_rng(0)
    where = places(study, accidents.offsets)
    images = []
    order = [number for number in range(study.n_slices) if number not in accidents.drop_slices]
    for d in reversed(order) if accidents.reverse else order:
        again = d in accidents.repeat
        for turn in range(1 + again):
            for t in range(study.n_phases):
                pixels = study.pixels[t, d]
                spoilt = again and turn == 0
                if (d, t) not in accidents.drop:
                    images.append(_Image(d, t, turn, rng.integers(0, 100, pixels.shape) if spoilt else pixels, where[d]))
    # The scanner repeats a slice after all others.
    return sorted(images, key=lambda image: image.turn)


def _series(study: Study, maker: Maker, number: int, inverted: bool) -> Series:
    tags: dict[str, Any] = {
        "ScanningSequence": "GR",
        "SequenceVariant": "SS",
        "EchoTime": "1.5",
        "RepetitionTime": "3.0",
        "InversionTime": "0",
    }
    tags["ImageType"] = ["ORIGINAL", "PRIMARY", maker.image_type]
    beat = _beat(study)
    if maker.clock in {"trigger", "percentage"}:
        tags |= {"NominalInterval": round(beat), "HeartRate": round(60000 / beat)}
    if maker.clock == "temporal":
        tags |= {"TemporalResolution": decimals(np.array([beat / study.n_phases]))[0], "NumberOfTemporalPositions": study.n_phases}
    subject = study.subject
    if subject.height_cm:
        tags["PatientSize"] = decimals(np.array([subject.height_cm / 100]))[0]
    if subject.weight_kg:
        tags["PatientWeight"] = decimals(np.array([subject.weight_kg]))[0]
    name = subject.identifier or "phantom"
    return Series(name, number, "cine_sax", maker.name, tags, maker.slope, maker.intercept, inverted, maker.signed)


def _classic(study: Study, maker: Maker, series: Series, images: list[_Image]) -> list[Dataset]:
    datasets = []
    for instance, image in enumerate(images, start=1):
        dataset = new_dataset(series, instance, image.pixels)
        start = 36000 + 20 * image.slice + 600 * image.turn
        seconds = start + (_time(study, image.phase) / 1000 if maker.clock == "time" else 0)
        tags = {**image.place.tags(), "AcquisitionTime": _clock_time(seconds), "ContentTime": _clock_time(start), "AcquisitionNumber": 1}
        if maker.clock == "trigger":
            tags["TriggerTime"] = decimals(np.array([_time(study, image.phase)]))[0]
        elif maker.clock == "temporal":
            tags["TemporalPositionIdentifier"] = image.phase + 1
        elif maker.clock == "percentage":
            tags["NominalPercentageOfCardiacPhase"] = 100 * _time(study, image.phase) / _beat(study)
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        datasets.append(dataset)
    return datasets


def _enhanced(study: Study, maker: Maker, series: Series, images: list[_Image]) -> Dataset:
    dataset = new_dataset(series, 1, np.stack([image.pixels for image in images]), sop_class=ENHANCED)
    place = images[0].place.tags()
    orientation = item(ImageOrientationPatient=place["ImageOrientationPatient"])
    measures = item(PixelSpacing=place["PixelSpacing"], SliceThickness=place["SliceThickness"])
    scale = dict(zip(("RescaleSlope", "RescaleIntercept"), decimals(np.array([series.slope, series.intercept])), strict=True))
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[orientation],
            PixelMeasuresSequence=[measures],
            PixelValueTransformationSequence=[item(**scale, RescaleType="US")],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(study, maker, image) for image in images]
    return dataset


def _frame(study: Study, maker: Maker, image: _Image) -> Dataset:
    time = _time(study, image.phase)
    start = 36000 + 20 * image.slice + 600 * image.turn
    content = item(
        FrameAcquisitionDateTime=f"20200101{_clock_time(start + (time / 1000 if maker.clock == 'time' else 0))}",
        StackID="1",
        InStackPositionNumber=image.slice + 1,
    )
    groups: dict[str, Any] = {"PlanePositionSequence": [item(ImagePositionPatient=image.place.tags()["ImagePositionPatient"])]}
    if maker.clock == "temporal":
        content.TemporalPositionIndex = image.phase + 1
    elif maker.clock in {"trigger", "percentage"}:
        known = {"NominalCardiacTriggerDelayTime": time} if maker.clock == "trigger" else {}
        percentage = 100 * time / _beat(study)
        groups["CardiacSynchronizationSequence"] = [
            item(**known, NominalPercentageOfCardiacPhase=percentage, RRIntervalTimeNominal=_beat(study))
        ]
    return item(FrameContentSequence=[content], **groups)


def _copies(root: Path, accidents: Accidents, images: list[_Image], files: list[Path], names: list[int]) -> list[Path]:
    numbers = [number for number, image in enumerate(images) if (image.slice, image.phase) in accidents.copy]
    copies = []
    for number, name in zip(numbers, names, strict=False):
        copy = root / "copies" / f"IM{name:05d}.dcm"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(files[number].read_bytes())
        copies.append(copy)
    return copies


def _time(study: Study, phase: int) -> float:
    return float(phase) * 40 if study.phase_times is None else study.phase_times[phase]


def _beat(study: Study) -> float:
    """Length of the heartbeat in ms: the phases are taken to fill it evenly."""
    times = [_time(study, phase) for phase in range(study.n_phases)]
    steps = [later - sooner for sooner, later in pairwise(times)]
    return times[-1] + (float(np.median(steps)) if steps else 1000.0)


def _clock_time(seconds: float) -> str:
    whole, rest = divmod(seconds, 1)
    return f"{int(whole) // 3600:02d}{int(whole) // 60 % 60:02d}{int(whole) % 60:02d}.{int(rest * 1e6):06d}"
