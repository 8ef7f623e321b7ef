"""What a request to segment comes to: which images are read, which belong to one study, and where each output goes.

An input is one of these:

* a file: a 3D frame or a 4D cine; labels go to `NAME.nii.gz`, indices to `NAME.indices.json`, the report to `NAME.report.json` and
  `NAME.report.html`;
* a folder of NIfTI files: every one that lies in the folder itself, except labels (`_gt`);
* a folder with the DICOM files of a study, in any nesting, or a folder of such folders; or one multi-frame DICOM file: labels go to
  `NAME.nii.gz`, where NAME is the folder's or the file's, and the rest beside it as above; a DICOM-SEG, where asked for, to the folder
  `NAME.seg`;
* an ACDC patient folder, or a folder of them: labels go to `PATIENT/PATIENT_frame01.nii.gz`, indices and report to `PATIENT/indices.json`,
  `PATIENT/report.json` and `PATIENT/report.html`. The cine is taken when it is asked for, or when the ED and ES frames are not both there
  as files of their own.

Nothing takes longer than in proportion to the number of studies: a cohort may have 100,000.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.datasets.acdc import INFO, list_images, read_patient
from shortaxis.errors import InputError
from shortaxis.io.archives import archive_kind
from shortaxis.io.dicom import find_studies, is_dicom
from shortaxis.segmenting.encoding import as_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shortaxis.datasets.acdc import AcdcImage

MANIFEST: Final = "segment.json"
JOURNAL: Final = "segment.jsonl"
SUMMARY: Final = "summary.csv"
MAPS: Final = ("probabilities", "sigma", "omega")
REPORTS: Final = ("json", "html")
_NIFTI: Final = re.compile(r"(?P<stem>.+?)(?P<ending>\.nii|\.nii\.gz|\.hdr|\.img|\.img\.gz)", re.IGNORECASE)
_IN_FOLDER: Final = (".nii", ".nii.gz")
_DICOM_ENDING: Final = re.compile(r"\.(dcm|dicom|ima)$", re.IGNORECASE)
_ACDC: Final = re.compile(r"(?P<patient>.+?)_(frame\d+|4d)(_gt)?\.nii(\.gz)?")


@dataclass(frozen=True)
class PlannedImage:
    """One image of a study.

    Attributes:
        path: The image; of a DICOM study the folder.
        labels: Where its labels go, relative to the output folder.
        acdc: What ACDC says of it, or None for a plain file.
        dicom: Whether it is a DICOM study.
    """

    path: Path
    labels: Path
    acdc: AcdcImage | None = None
    dicom: bool = False

    def map_path(self, kind: str) -> Path:
        """Where a map of `MAPS` goes, relative to the output folder."""
        return self.labels.with_name(f"{stem_of(self.labels)}.{kind}.nii.gz")

    @property
    def dicom_seg(self) -> Path:
        """The folder where its DICOM-SEG goes, relative to the output folder."""
        return self.labels.with_name(f"{stem_of(self.labels)}.seg")


@dataclass(frozen=True)
class PlannedStudy:
    """The images of one patient, one plain file, or one DICOM study.

    Attributes:
        name: The name of the patient's or DICOM folder, or the file's without its ending.
        source: The folder or file.
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


def plan_studies(inputs: Sequence[Path | str], *, cine: bool = False) -> list[PlannedStudy]:
    """Find the studies that the inputs stand for; nothing is read but the names of files, `Info.cfg` and the study UID in DICOM files.

    Args:
        inputs: Files and folders, as the module says.
        cine: Take the cines of ACDC patients besides the frames.

    Returns:
        The studies in the order of the inputs; one that is known to be unfit carries its `problem`.
    """
    studies: list[PlannedStudy] = []
    for source in map(Path, inputs):
        try:
            studies += _studies(source, cine)
        except OSError as error:
            studies.append(_unfit(source, f"{source}: cannot be read ({error.strerror}); check its permissions"))
    return [_tellable(study) for study in studies]


def refuse_collisions(studies: Sequence[PlannedStudy], out: Path) -> None:
    """Refuse a plan in which one file would be written twice, an input would be overwritten, or outputs would lie in a DICOM study.

    Every file below its folder belongs to a DICOM study, so that outputs there would change the study from run to run.

    Raises:
        InputError: Names the two inputs, or the input.
    """
    owners: dict[str, Path] = {name: Path(name) for name in (MANIFEST, JOURNAL, SUMMARY)}
    inputs = {identity: image.path for study in studies for image in study.images if (identity := _identity(image.path))}
    there = _Listing(out)
    full = out.resolve()
    for folder in (full, *full.parents):
        if (identity := _identity(folder)) in inputs:
            msg = f"{out}: lies in the DICOM study {inputs[identity]}, all files of which are its own; choose an --out folder beside it"
            raise InputError(msg)
    for study in studies:
        for source, output in _outputs(study):
            if output in owners:
                msg = f"{owners[output]} and {source} would both be written to {out / output}; segment them into two --out folders"
                raise InputError(msg)
            owners[output] = source
            if there.may_hold(output) and (identity := _identity(out / output)) in inputs:
                msg = f"{inputs[identity]}: would be overwritten by the output {out / output}; choose another --out folder"
                raise InputError(msg)


class _Listing:
    """What lies in the folders of the outputs, each looked at once: asking for every file by itself takes long in a large cohort."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._folders: dict[str, set[str]] = {}

    def may_hold(self, output: str) -> bool:
        """Whether a file stands where an output goes, also on a disk that takes `A` and `a` for one name."""
        folder, _, name = output.rpartition("/")
        if folder not in self._folders:
            try:
                self._folders[folder] = {other.casefold() for other in os.listdir(self._out / folder)}  # noqa: PTH208 (names are enough)
            except OSError:
                self._folders[folder] = set()
        return name.casefold() in self._folders[folder]


def planned_files(study: PlannedStudy) -> Iterator[str]:
    """The files that a run may write of a study, relative to the output folder, but the phases in `PlannedImage.dicom_seg`."""
    folders = {image.dicom_seg.as_posix() for image in study.images if image.dicom}
    yield from (output for _, output in _outputs(study) if output not in folders)


def stem_of(path: Path) -> str:
    """The name of a NIfTI file without its ending."""
    match = _NIFTI.fullmatch(path.name)
    return match["stem"] if match else path.stem


def is_nifti_name(path: Path) -> bool:
    """Whether a file's name has an ending of NIfTI."""
    return _NIFTI.fullmatch(path.name) is not None


def _outputs(study: PlannedStudy) -> Iterator[tuple[Path, str]]:
    """Each output of a study, relative to the output folder, with the input that it comes from."""
    for image in study.images:
        yield image.path, image.labels.as_posix()
        yield from ((image.path, image.map_path(kind).as_posix()) for kind in MAPS)
        if image.dicom:
            yield image.path, image.dicom_seg.as_posix()
    if study.images:
        yield study.source, study.indices.as_posix()
        yield from ((study.source, study.report(ending).as_posix()) for ending in REPORTS)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell two names of one file from two files: links and spellings do not deceive it."""
    try:
        status = os.stat(path)  # noqa: PTH116 (Path.stat says the same, but this reads as what it is)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _studies(source: Path, cine: bool) -> list[PlannedStudy]:
    if not source.exists():
        return [_unfit(source, f"{source}: no such file or folder; check the path")]
    if source.is_file():
        return [_dicom(source, _DICOM_ENDING.sub("", source.name)) if _is_dicom_file(source) else _plain(source)]
    return [_patient(source, cine)] if _is_patient(source) else _in_folder(source, cine)


def _in_folder(source: Path, cine: bool) -> list[PlannedStudy]:
    children = sorted(source.iterdir())
    files = [path for path in children if path.is_file() and path.name.lower().endswith(_IN_FOLDER) and not path.name.startswith(".")]
    images = [path for path in files if not stem_of(path).endswith("_gt")]
    if images:
        return [_plain(path) for path in images]
    patients = [path for path in children if path.is_dir() and _is_patient(path)]
    if patients:
        return [_patient(path, cine) for path in patients]
    if not files and (folders := _dicom_folders(source)):
        return folders
    what = "only labels (_gt)" if files else "no NIfTI files, no DICOM files and no ACDC patient folders"
    return [_unfit(source, f"{source}: holds {what}; give a NIfTI file, a folder of them, a DICOM study, or a folder of ACDC patients")]


def _is_dicom_file(path: Path) -> bool:
    return not is_nifti_name(path) and is_dicom(path)


def _dicom_folders(source: Path) -> list[PlannedStudy]:
    """Plan the DICOM studies under a folder; a name that two of them share grows by the folders above."""
    try:
        folders = find_studies(source)
    except InputError as error:
        return [PlannedStudy(source.name, source, problem=error)]
    names = [folder.resolve().name for folder in folders]
    count = Counter(names)
    full = ["_".join(folder.relative_to(source).parts) for folder in folders]
    return [_dicom(folder, name if count[name] == 1 else longer) for folder, name, longer in zip(folders, names, full, strict=True)]


def _dicom(path: Path, name: str) -> PlannedStudy:
    return PlannedStudy(name, path, (PlannedImage(path, Path(f"{name}.nii.gz"), dicom=True),), Path(f"{name}.indices.json"))


def _plain(path: Path) -> PlannedStudy:
    match = _NIFTI.fullmatch(path.name)
    if match is None:
        kind = archive_kind(path)
        if kind is not None:
            return _unfit(path, f"{path}: is a {kind} archive; unpack it and give the folder")
        return _unfit(path, f"{path}: is neither a NIfTI file (.nii or .nii.gz) nor a DICOM file; convert it, or give a folder")
    stem, ending = match["stem"], match["ending"].lower()
    labels = Path(stem + (ending if ending in _IN_FOLDER else ".nii.gz"))
    return PlannedStudy(stem, path, (PlannedImage(path, labels),), Path(f"{stem}.indices.json"))


def _is_patient(folder: Path) -> bool:
    """Whether a folder is an ACDC patient's: by `Info.cfg`, or by images that bear the folder's name (then `Info.cfg` is missed)."""
    if (folder / INFO).is_file():
        return True
    names = (_ACDC.fullmatch(path.name) for path in folder.iterdir())
    return any(match is not None and match["patient"] == folder.absolute().name for match in names)


def _patient(folder: Path, cine: bool) -> PlannedStudy:
    name = folder.absolute().name
    indices = Path(name) / "indices.json"
    try:
        read_patient(folder)
        images = _chosen(folder, list_images(folder), cine)
    except InputError as error:
        return PlannedStudy(name, folder, indices=indices, problem=error)
    planned = tuple(PlannedImage(image.path, Path(name) / image.path.name, image) for image in images)
    return PlannedStudy(name, folder, planned, indices)


def _chosen(folder: Path, images: list[AcdcImage], cine: bool) -> list[AcdcImage]:
    frames = [image for image in images if image.frame is not None]
    cines = [image for image in images if image.frame is None]
    if not images:
        msg = f"{folder}: holds no images; an ACDC patient folder needs {folder.absolute().name}_frame01.nii.gz and the like"
        raise InputError(msg)
    patient = images[0].patient
    numbers = {image.frame for image in frames}
    absent = [(phase, n) for phase, n in (("ED", patient.end_diastole), ("ES", patient.end_systole)) if n not in numbers]
    if absent and not cines:
        phase, number = absent[0]
        msg = f"{folder}: {INFO} names frame {number} as {phase}, but there is no {folder.absolute().name}_frame{number:02d}.nii.gz; add it"
        raise InputError(msg)
    return [*frames, *(cines if cine or absent else [])]


def _tellable(study: PlannedStudy) -> PlannedStudy:
    """A study as it is, or, where its name is not UTF-8, as one that cannot be told of in any output, with `?` for what cannot be read."""
    name, source = as_utf8(study.name), as_utf8(str(study.source))
    if name == study.name and as_utf8(study.source.name) == study.source.name:
        return study
    msg = f"{source}: its name is not UTF-8, which outputs could not tell; rename the file or folder"
    return PlannedStudy(name, Path(source), problem=InputError(msg))


def _unfit(source: Path, message: str) -> PlannedStudy:
    return PlannedStudy(source.name, source, problem=InputError(message))
