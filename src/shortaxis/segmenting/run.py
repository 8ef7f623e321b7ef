"""Segment planned studies one after the other. A study's files appear all together, or, when something is wrong with it, not at all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shortaxis import __version__
from shortaxis.datasets.acdc import read_image
from shortaxis.errors import InputError
from shortaxis.io import read, refuse_constant, write_like
from shortaxis.io.atomic import write_json
from shortaxis.io.nifti_maps import write_maps
from shortaxis.io.staging import staged
from shortaxis.segmenting.findings import Findings
from shortaxis.segmenting.opening import OpenModel, open_model
from shortaxis.segmenting.plan import MANIFEST, PlannedImage, PlannedStudy, plan_studies, refuse_collisions
from shortaxis.segmenting.trusting import Judged, segment_judged
from shortaxis.segmenting.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from shortaxis.study import Segmentation, Study

    OnProgress = Callable[[float, int, str], None]

SCHEMA_VERSION: Final = 1
"""Version of `segment.json`; it rises when a reader of the old one would break."""


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        manifest: What `segment.json` holds.
        failures: The error of each study that could not be segmented.
    """

    manifest: dict[str, Any]
    failures: list[InputError] = field(default_factory=list)


def segment_inputs(
    inputs: Sequence[Path | str],
    out: Path | str,
    *,
    model: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    cine: bool = False,
    wishes: Wishes | None = None,
    on_progress: OnProgress = lambda _done, _total, _name: None,
) -> Outcome:
    """Segment files and folders, and write labels, indices and a manifest of the run: what `shortaxis segment` does.

    Args:
        inputs: Files and folders; see `shortaxis.segmenting.plan`.
        out: The output folder.
        model: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves it to torch (`OMP_NUM_THREADS`, or all cores).
        cine: Segment the cines of ACDC patients besides the frames.
        wishes: What to write.
        on_progress: Called with the number of images done, in fractions, the number of all, and the name of the study at work.

    Returns:
        The outcome. When no study could be segmented nothing is written.

    Raises:
        InputError: Two outputs, or an output and an input, are one file; the model or the device is unfit; or `out` cannot be written
            (studies that were finished before stay).
    """
    out, wishes = Path(out), wishes or Wishes()
    studies = plan_studies(inputs, cine=cine)
    wishes.refuse_misuse(studies)
    refuse_collisions(studies, out)
    problems = [study.problem for study in studies if study.problem is not None]
    if len(problems) == len(studies):
        return Outcome({}, problems)
    opened = open_model(model, device, threads)
    total = sum(len(study.images) for study in studies)
    return segment_studies(studies, out, opened, wishes=wishes, on_progress=lambda done, name: on_progress(done, total, name))


def segment_studies(
    studies: Sequence[PlannedStudy],
    out: Path,
    opened: OpenModel,
    *,
    wishes: Wishes,
    on_progress: Callable[[float, str], None],
) -> Outcome:
    """Segment every planned study that is fit, and write what was found with a manifest of the run.

    Args:
        studies: What `plan_studies` found; see `refuse_collisions`.
        out: The output folder.
        opened: The model.
        wishes: What to write.
        on_progress: Called with the number of images done, in fractions, and the name of the study at work.

    Returns:
        The outcome. When no study was segmented nothing is written.

    Raises:
        InputError: `out` cannot be written; studies that were finished before stay.
    """
    begun = time.perf_counter()
    rows: list[dict[str, Any]] = []
    failures: list[InputError] = []
    done = 0
    for study in studies:
        since = time.perf_counter()
        row: dict[str, Any] = {"study": study.name, "source": str(study.source)}

        def on_share(share: float, before: int = done, name: str = study.name) -> None:
            on_progress(before + share, name)

        problem = study.problem
        if problem is None:
            try:
                with staged(out) as stage:
                    row |= _segment_study(study, stage, opened, wishes, on_share)
            except _UnfitError as unfit:
                problem = unfit.reason
        if problem is not None:
            row["error"] = str(problem)
            failures.append(problem)
        rows.append(row | {"seconds": round(time.perf_counter() - since, 3)})
        done += len(study.images)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "shortaxis_version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": opened.provenance,
        "device": str(opened.model.device),
        "label_scheme": {part.name: value for part, value in wishes.scheme.values.items()},
        "seconds": round(time.perf_counter() - begun, 3),
        "segmented": len(rows) - len(failures),
        "failed": len(failures),
        "studies": rows,
    }
    if len(failures) < len(rows):
        write_json(out / MANIFEST, manifest)
    return Outcome(manifest, failures)


class _UnfitError(Exception):
    """The study at hand is unfit, which does not hinder the others; an output that cannot be written hinders them all."""

    def __init__(self, reason: InputError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _segment_study(
    planned: PlannedStudy,
    stage: Path,
    opened: OpenModel,
    wishes: Wishes,
    on_share: Callable[[float], None],
) -> dict[str, Any]:
    findings = Findings(planned.name)
    images: list[dict[str, Any]] = []
    for index, image in enumerate(planned.images):

        def on_part(share: float, before: int = index) -> None:
            on_share(before + share)

        try:
            judged = _segment_image(image, opened, wishes, on_part)
            findings.add(judged.segmentation, image.path.name, (image.acdc.frame if image.acdc else None) or 1, judged.verdicts)
        except InputError as error:
            raise _UnfitError(error) from error
        written = _write(judged.segmentation, image, stage, wishes)
        images.append({"input": str(image.path), "frames": judged.segmentation.study.n_phases, **written})
    # The intervals were learnt on cleaned labels.
    content = findings.to_dict(opened.provenance, opened.calibration if wishes.clean else None)
    write_json(stage / planned.indices, content)
    values = {name: index["value"] for name, index in content["indices"].items() if index["value"] is not None}
    return {"images": images, "indices": planned.indices.as_posix(), "values": values}


def _segment_image(image: PlannedImage, opened: OpenModel, wishes: Wishes, on_share: Callable[[float], None]) -> Judged:
    study = read_image(image.acdc) if image.acdc is not None else _read_plain(image.path, wishes)
    refuse_constant(study, image.path)
    return segment_judged(
        opened,
        study,
        lambda phase: on_share((phase + 1) / study.n_phases),
        keep_probabilities=wishes.probabilities,
        keep_uncertainty=wishes.uncertainty,
        clean=wishes.clean,
    )


def _read_plain(path: Path, wishes: Wishes) -> Study:
    study = read(path)
    for option, frame in (("--ed", wishes.end_diastole), ("--es", wishes.end_systole)):
        if frame is not None and frame > study.n_phases:
            msg = f"{option} {frame}: {path} has {study.n_phases} frames, counted from 1; give one of them"
            raise InputError(msg)
    end_diastole, end_systole = (None if frame is None else frame - 1 for frame in (wishes.end_diastole, wishes.end_systole))
    return replace(study, end_diastole=end_diastole, end_systole=end_systole)


def _write(segmentation: Segmentation, image: PlannedImage, stage: Path, wishes: Wishes) -> dict[str, str]:
    """Write labels and maps; give their paths relative to the output folder by kind."""
    study = segmentation.study
    write_like(wishes.scheme.from_canonical(segmentation.labels), study, stage / image.labels)
    written = {"labels": image.labels.as_posix()}
    maps = {
        "probabilities": segmentation.probabilities,
        "sigma": _with_slices(segmentation.sigma),
        "omega": _with_slices(segmentation.omega),
    }
    for kind, values in maps.items():
        if values is not None:
            path = image.map_path(kind)
            write_maps(values, study, stage / path)
            written[kind] = path.as_posix()
    return written


def _with_slices(values: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """Bring maps (T, N, H, W) that hold for all slices to (T, N, 1, H, W); those with one map a slice stay as they are."""
    return values[:, :, None] if values is not None and values.ndim == 4 else values
