"""DICOM out: labels as DICOM Segmentation objects, one object a phase.

Why one object a phase: frames of several phases lie at the same place in the patient, and the programs that read segmentations put frames
together by their place. One object with all phases is refused by highdicom and may be shown with one phase's masks on all images.
The objects of a study form one series; the instance number is that of the phase, and each frame refers to its source image.

Source: DICOM PS3.3, A.51 (Segmentation IOD), C.8.20.2 (Segmentation Image module).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis import __version__
from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.io.dicom.sources import as_single_frame, dicom_source, patient_and_study, source_frames
from shortaxis.io.staging import staged
from shortaxis.labels import FOREGROUND, Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    from shortaxis.endocardium import Endocardium
    from shortaxis.io.dicom.sources import SourceFrame
    from shortaxis.study import Study


@dataclass(frozen=True)
class Segment:
    """How a structure is written.

    Attributes:
        label: Name that a viewer shows.
        code: SNOMED CT code of the property type.
        keyword: pydicom's keyword of that code.
        colour: Recommended display colour, CIELab (L*, a*, b*).
    """

    label: str
    code: str
    keyword: str
    colour: tuple[float, float, float]


SEGMENTS: Final = {
    Structure.RV: Segment("RV cavity", "53085002", "RightVentricle", (69.8, -12.0, -34.8)),
    Structure.MYO: Segment("LV myocardium", "49848007", "LeftVentricleMyocardium", (89.1, -13.3, 75.5)),
    Structure.LV: Segment("LV cavity", "87878005", "LeftVentricle", (54.2, 43.3, 63.3)),
}
"""The segments, each with the number of its structure. Colours are those of the reports: #56B4E9, #F0E442, #D55E00."""
_SERIES_OFFSET: Final = 1000
"""Added to the number of the source series."""
_LONG_STRING: Final = 64


def write_dicom_seg(
    labels: NDArray[np.uint8],
    study: Study,
    out: Path | str,
    *,
    model_name: str,
    model_sha256: str | None = None,
    phases: Sequence[int] | None = None,
    series_description: str = "shortaxis RV, LV myocardium, LV",
    endocardium: Endocardium | None = None,
) -> list[Path]:
    """Write labels as DICOM Segmentation objects: `phase01.dcm`, `phase02.dcm` and so on, all of them or none.

    Each object is of the type BINARY and holds the three structures in every slice, also where a structure is empty. It belongs to the
    patient and the study of the source images, which it names, and has new UIDs. It refers to each source image (and frame of a multi-frame
    file); a phase that stands in for a missing one refers to the image that it stands for.

    Args:
        labels: uint8 (T, D, H, W), values of `shortaxis.labels.Structure`.
        study: The study that was segmented, read by `shortaxis.io.dicom.read_dicom`; its files are still in place.
        out: The folder to write to; objects of other phases that stand there from an earlier call stay.
        model_name: Name of the model that segmented.
        model_sha256: Hash of the model file.
        phases: Numbers of the phases to write, counted from 0, such as ED and ES; None writes all.
        series_description: Description of the new series.
        endocardium: Where the border of the LV cavity is drawn, to be named among the parameters of the algorithm; None names nothing.

    Returns:
        The files, in the order of `phases`.

    Raises:
        InputError: The study was not read from DICOM, a source file is gone or cannot be referred to, there is no such phase, highdicom is
            not installed, or the folder cannot be written.
        ValueError: `labels` have another shape than the study.
    """
    source, out = dicom_source(study, "DICOM-SEG"), Path(out)
    wanted = list(range(study.n_phases) if phases is None else dict.fromkeys(phases))
    if labels.shape != study.pixels.shape:
        msg = f"labels of shape {labels.shape} do not fit the study's {study.pixels.shape}"
        raise ValueError(msg)
    if not wanted or not all(0 <= phase < study.n_phases for phase in wanted):
        msg = f"{source.path}: has the phases 0 to {study.n_phases - 1}, so DICOM-SEG cannot hold {wanted}; choose among them"
        raise InputError(msg)
    _check_highdicom()
    instances = [source.instances[phase] for phase in wanted]
    frames = [
        [_on_grid(image, study, d) if instance.resampled else image for d, (image, instance) in enumerate(zip(*of, strict=True))]
        for of in zip(source_frames(instances), instances, strict=True)
    ]
    series = _Series.of(study, frames[0], model_name, model_sha256, series_description, endocardium)
    digits = max(2, len(str(study.n_phases)))
    names = [f"phase{phase + 1:0{digits}d}.dcm" for phase in wanted]
    with staged(out) as stage, lenient_pydicom(source.path):
        for phase, name, images in zip(wanted, names, frames, strict=True):
            series.segmentation(labels[phase], phase, images).save_as(stage / name, enforce_file_format=True)
    return [out / name for name in names]


def _on_grid(image: SourceFrame, study: Study, d: int) -> SourceFrame:
    """Put an image whose pixels were resampled where the study has it: its labels lie on the grid of the study."""
    row, column = (study.affine[:3, axis] / np.linalg.norm(study.affine[:3, axis]) * (-1, -1, 1) for axis in (2, 1))
    plane = replace(
        image.plane,
        shape=(study.pixels.shape[2], study.pixels.shape[3]),
        spacing=study.spacing[1:],
        orientation=tuple(float(cosine) for cosine in (*row, *column)),
        position=tuple(float(mm) for mm in study.source.positions[d] * (-1, -1, 1)),
    )
    return replace(image, plane=plane, resampled=True)


def _check_highdicom() -> None:
    try:
        import highdicom.seg  # noqa: F401, PLC0415 (an optional package)
    except ImportError as error:
        msg = "writing DICOM-SEG needs a package that is not installed; run: pip install 'shortaxis[dicom]'"
        raise InputError(msg) from error


@dataclass(frozen=True, eq=False)
class _Series:
    """What the objects of one series share."""

    study: Study
    header: Dataset
    frame_of_reference: str
    orientation: tuple[float, ...]
    uid: str
    number: int
    description: str
    model_name: str
    model_sha256: str | None
    segments: Sequence[Any]

    @classmethod
    def of(
        cls,
        study: Study,
        images: Sequence[SourceFrame],
        model_name: str,
        model_sha256: str | None,
        description: str,
        endocardium: Endocardium | None,
    ) -> _Series:
        import highdicom  # noqa: PLC0415

        first = images[0].plane
        model_name = _long_string(model_name)
        return cls(
            study=study,
            header=patient_and_study(first.path),
            # An image without frame of reference gets one: without it, DICOM knows no place in the patient.
            frame_of_reference=first.frame_of_reference or highdicom.UID(),
            orientation=next((image.plane for image in images if not image.resampled), first).orientation,
            uid=highdicom.UID(),
            number=_SERIES_OFFSET + max(0, first.series_number or 0),
            description=_long_string(description),
            model_name=model_name,
            model_sha256=model_sha256,
            segments=_segments(_parameters(model_name, model_sha256, endocardium)),
        )

    def segmentation(self, labels: NDArray[np.uint8], phase: int, images: Sequence[SourceFrame]) -> Any:
        """Make the object of one phase from labels (D, H, W)."""
        import highdicom  # noqa: PLC0415
        from pydicom import Dataset  # noqa: PLC0415

        names = [f"2.{number}" for number in range(len(images))]
        descriptions = [
            as_single_frame(
                image,
                Dataset() if number else self.header,
                frame_of_reference=self.frame_of_reference,
                orientation=self.orientation,
                thickness=self.study.spacing[0],
                name=name,
            )
            for number, (image, name) in enumerate(zip(images, names, strict=True))
        ]
        segmentation = highdicom.seg.Segmentation(
            source_images=descriptions,
            pixel_array=labels,
            segmentation_type="BINARY",
            segment_descriptions=self.segments,
            series_instance_uid=self.uid,
            series_number=self.number,
            sop_instance_uid=highdicom.UID(),
            instance_number=phase + 1,
            manufacturer="shortaxis",
            manufacturer_model_name=self.model_name,
            software_versions=__version__,
            device_serial_number=self.model_sha256 or "unknown",
            content_label=f"PHASE_{phase + 1}",
            content_description=self._say_phase(phase),
            # A structure that is absent from a slice was looked for there: and all structures keep the grid of the study.
            omit_empty_frames=False,
            series_description=self.description,
        )
        segmentation.SpecificCharacterSet = "ISO_IR 192"
        _refer(segmentation, dict(zip(names, images, strict=True)), phase)
        return segmentation

    def _say_phase(self, phase: int) -> str:
        names = {self.study.end_diastole: ", end-diastole", self.study.end_systole: ", end-systole"}
        times = self.study.phase_times
        time = "" if times is None else f", {times[phase]:.0f} ms"
        return f"Phase {phase + 1} of {self.study.n_phases}{time}{names.get(phase, '')}"


def _parameters(model_name: str, model_sha256: str | None, endocardium: Endocardium | None) -> dict[str, str]:
    """The parameters of the algorithm that are known."""
    known = {"model": model_name, "model_sha256": model_sha256, "endocardium": None if endocardium is None else endocardium.value}
    return {name: value for name, value in known.items() if value is not None}


def _segments(parameters: dict[str, str]) -> list[Any]:
    """Describe the segments; the tracking UIDs say that all phases show the same three structures."""
    import highdicom  # noqa: PLC0415
    from pydicom.sr.codedict import codes  # noqa: PLC0415

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="shortaxis",
        family=codes.cid7162.ArtificialIntelligence,
        version=__version__,
        parameters=parameters,
    )
    return [
        highdicom.seg.SegmentDescription(
            segment_number=int(structure),
            segment_label=SEGMENTS[structure].label,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=getattr(codes.SCT, SEGMENTS[structure].keyword),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            tracking_uid=highdicom.UID(),
            tracking_id=SEGMENTS[structure].label,
            display_color=highdicom.color.CIELabColor(*SEGMENTS[structure].colour),
        )
        for structure in FOREGROUND
    ]


def _refer(segmentation: Dataset, images: dict[str, SourceFrame], phase: int) -> None:
    """Let a segmentation refer to the images themselves, not to their descriptions, and say its phase in each frame."""
    from pydicom import Dataset  # noqa: PLC0415

    for group in segmentation.PerFrameFunctionalGroupsSequence:
        group.FrameContentSequence[0].TemporalPositionIndex = phase + 1
        for reference in group.DerivationImageSequence[0].SourceImageSequence:
            # The frames of the three segments share one reference.
            if (image := images.get(reference.ReferencedSOPInstanceUID)) is not None:
                _point(reference, image.plane.sop_class_uid, image.plane.sop_instance_uid, [image.number])
                if image.resampled:
                    reference.SpatialLocationsPreserved = "NO"
    numbers: dict[tuple[str, str, str], list[int | None]] = defaultdict(list)
    for image in images.values():
        numbers[image.plane.series_uid, image.plane.sop_class_uid, image.plane.sop_instance_uid].append(image.number)
    by_series: dict[str, list[Dataset]] = defaultdict(list)
    segmentation.SourceImageSequence = [
        _point(Dataset(), sop_class, sop_instance, frames) for (_, sop_class, sop_instance), frames in numbers.items()
    ]
    for series, sop_class, sop_instance in numbers:
        by_series[series].append(_point(Dataset(), sop_class, sop_instance, [None]))
    segmentation.ReferencedSeriesSequence = [_referenced_series(uid, instances) for uid, instances in by_series.items()]


def _point(reference: Dataset, sop_class: str, sop_instance: str, frames: Sequence[int | None]) -> Dataset:
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, sop_instance
    if frames[0] is not None:
        reference.ReferencedFrameNumber = frames[0] if len(frames) == 1 else list(frames)
    return reference


def _referenced_series(uid: str, instances: list[Dataset]) -> Dataset:
    from pydicom import Dataset  # noqa: PLC0415

    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = uid, instances
    return series


def _long_string(text: str) -> str:
    """Bring a text into the form of a DICOM long string: 1 to 64 characters, none of them a backslash."""
    return text.replace("\\", "/").strip()[:_LONG_STRING] or "unknown"
