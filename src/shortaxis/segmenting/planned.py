"""A study that is to be segmented: its images, and the files that a run writes for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.datasets.acdc import AcdcImage
    from shortaxis.datasets.images import ImageRef

MANIFEST: Final = "segment.json"
JOURNAL: Final = "segment.jsonl"
SUMMARY: Final = "summary.csv"
MAPS: Final = ("probabilities", "sigma", "omega")
REPORTS: Final = ("json", "html", "pdf", "pdf.dcm", "sr.dcm")
"""Endings of the files that say what was found: `NAME.report.json` and so on."""
WRITTEN_ENDINGS: Final = (".nii", ".nii.gz")
"""Endings that labels may have; an image with another one has labels that end in `.nii.gz`."""

_NIFTI: Final = re.compile(r"(?P<stem>.+?)(?P<ending>\.nii|\.nii\.gz|\.hdr|\.img|\.img\.gz)", re.IGNORECASE)


@dataclass(frozen=True)
class PlannedImage:
    """One image of a study.

    Attributes:
        path: The image; of a DICOM study the folder.
        labels: Where its labels go, relative to the output folder.
        acdc: What ACDC says of it, or None for a plain file.
        dicom: Whether it is a DICOM study.
        phase: `ED` or `ES` where the name of the file says so, else None.
        ref: The entry of a data set that it is, or None.
    """

    path: Path
    labels: Path
    acdc: AcdcImage | None = None
    dicom: bool = False
    phase: str | None = None
    ref: ImageRef | None = None

    def map_path(self, kind: str) -> Path:
        """Where a map of `MAPS` goes, relative to the output folder."""
        return self.labels.with_name(f"{stem_of(self.labels)}.{kind}.nii.gz")

    @property
    def dicom_seg(self) -> Path:
        """The folder where its DICOM-SEG goes, relative to the output folder."""
        return self.labels.with_name(f"{stem_of(self.labels)}.seg")

    @property
    def shown(self) -> Path:
        """The path to name in outputs; a frame within a file is named after it, such as `FILE.zip/FRAME`."""
        return self.path if self.ref is None or self.ref.load is None else self.path / self.ref.name


@dataclass(frozen=True)
class PlannedStudy:
    """The images of one patient, one plain file, or one DICOM study.

    Attributes:
        name: The name of the patient's or DICOM folder, or the file's without its ending.
        source: The folder or file; of a pair of ED and ES the file of ED.
        images: Frames first, then the cine.
        indices: Where the indices go, relative to the output folder.
        problem: Why it cannot be segmented, where that is known already.
    """

    name: str
    source: Path
    images: tuple[PlannedImage, ...] = ()
    indices: Path = Path()
    problem: InputError | None = None

    def report(self, ending: str) -> Path:
        """Where its report goes, relative to the output folder, such as `NAME.report.html` for the ending `html`."""
        return self.indices.with_name(self.indices.name.replace("indices.json", f"report.{ending}"))

    @property
    def inputs(self) -> tuple[Path, ...]:
        """What the command line of this study alone would name."""
        files = tuple(image.path for image in self.images)
        return files if self.source in files else (self.source,)


def outputs_by_input(study: PlannedStudy) -> Iterator[tuple[Path, str]]:
    """Each output of a study, relative to the output folder, with the input that it comes from."""
    for image in study.images:
        yield image.path, image.labels.as_posix()
        yield from ((image.path, image.map_path(kind).as_posix()) for kind in MAPS)
        if image.dicom:
            yield image.path, image.dicom_seg.as_posix()
    if study.images:
        yield study.source, study.indices.as_posix()
        yield from ((study.source, study.report(ending).as_posix()) for ending in REPORTS)


def planned_files(study: PlannedStudy) -> Iterator[str]:
    """The files that a run may write of a study, relative to the output folder, but the phases in `PlannedImage.dicom_seg`."""
    folders = {image.dicom_seg.as_posix() for image in study.images if image.dicom}
    yield from (output for _, output in outputs_by_input(study) if output not in folders)


def files_there(study: PlannedStudy, out: Path) -> Iterator[str]:
    """Those files of a study that a run may write and that stand in the output folder, relative to it, with the phases of a DICOM-SEG."""
    yield from (path for path in planned_files(study) if (out / path).is_file())
    for image in study.images:
        if image.dicom:
            yield from (path.relative_to(out).as_posix() for path in sorted((out / image.dicom_seg).glob("phase*.dcm")))


def stem_of(path: Path) -> str:
    """The name of a NIfTI file without its ending."""
    match = _NIFTI.fullmatch(path.name)
    return match["stem"] if match else path.stem


def labels_ending(path: Path) -> str:
    """The ending of the labels of an image: its own, in small letters, where labels may have it."""
    match = _NIFTI.fullmatch(path.name)
    ending = match["ending"].lower() if match else ""
    return ending if ending in WRITTEN_ENDINGS else ".nii.gz"


def is_nifti_name(path: Path) -> bool:
    """Whether a file's name has an ending of NIfTI."""
    return _NIFTI.fullmatch(path.name) is not None


def unfit(source: Path, message: str) -> PlannedStudy:
    """A study that cannot be segmented, with the reason."""
    return PlannedStudy(source.name, source, problem=InputError(message))
