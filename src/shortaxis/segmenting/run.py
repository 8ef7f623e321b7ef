"""Segment planned studies one after the other. A study's files appear all together, or, when something is wrong with it, not at all."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shortaxis import __version__
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.staging import staged
from shortaxis.plugins import loaded_plugins
from shortaxis.quality.flags.frames import NOTHING_FOUND
from shortaxis.segmenting.folder import working_in
from shortaxis.segmenting.inputs import state_of
from shortaxis.segmenting.journal import DONE, FAILED, Journal
from shortaxis.segmenting.naming import shown_message, shown_path
from shortaxis.segmenting.opening import open_model
from shortaxis.segmenting.plan import JOURNAL, MANIFEST, SUMMARY, PlannedStudy, plan_studies, planned_files, refuse_collisions
from shortaxis.segmenting.single import Task, UnfitError, outputs_of, segment_study
from shortaxis.segmenting.summary import write_summary
from shortaxis.segmenting.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    OnProgress = Callable[[float, int, str], None]

SCHEMA_VERSION: Final = 1
"""Version of `segment.json`; it rises when a reader of the old one would break."""

MOST_SHOWN: Final = 100
"""Studies whose indices an outcome holds, to be shown; all stand in the table."""


@dataclass(frozen=True)
class Failure:
    """A study that could not be segmented.

    Attributes:
        message: What is wrong, in one sentence.
        internal: Whether it is the program that failed, and not the input that is unfit.
    """

    message: str
    internal: bool = False


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        segmented: Number of studies that were segmented now.
        skipped: Number of studies that an earlier run had segmented, whose inputs have not changed.
        images: Number of images that were segmented now.
        seconds: Wall time.
        manifest: `segment.json`, or None where no study could be segmented and nothing was written.
        first: The rows of the first studies that were segmented now, at most `MOST_SHOWN`.
        failures: The studies that could not be segmented.
        empty: The inputs of the studies that were segmented now, but in which nothing was found.
    """

    segmented: int = 0
    skipped: int = 0
    images: int = 0
    seconds: float = 0.0
    manifest: Path | None = None
    first: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)


def segment_inputs(
    inputs: Sequence[Path | str],
    out: Path | str,
    *,
    model: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    wishes: Wishes | None = None,
    resume: bool = False,
    command: Sequence[str] | None = None,
    raise_errors: bool = False,
    on_progress: OnProgress = lambda _done, _total, _name: None,
) -> Outcome:
    """Segment files and folders, and write labels, indices, reports and a manifest of the run: what `shortaxis segment` does.

    Args:
        inputs: Files and folders; see `shortaxis.segmenting.plan`.
        out: The output folder.
        model: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves it to torch (`OMP_NUM_THREADS`, or all cores).
        wishes: What to write.
        resume: Skip what an earlier run into `out` has segmented, with the same model and wishes, from inputs that have not changed.
        command: Words of the command line without the inputs, to be told in the reports; the first two are the program and the command.
        raise_errors: Let an error that is a fault of the program through, and do not go on with the other studies.
        on_progress: Called with the number of images done, in fractions, the number of all, and the name of the study at work.

    Returns:
        The outcome. When no study could be segmented nothing is written.

    Raises:
        InputError: Two outputs, or an output and an input, are one file; the model or the device is unfit; another run is at work in `out`;
            the run to resume had another model or other wishes; or `out` cannot be written (studies that were finished before stay).
    """
    out, wishes = Path(out), wishes or Wishes()
    studies = plan_studies(inputs, cine=wishes.cine)
    wishes.refuse_misuse(studies)
    refuse_collisions(studies, out)
    if all(study.problem is not None for study in studies):
        return Outcome(failures=[Failure(str(study.problem)) for study in studies])
    task = Task(open_model(model, device, threads, views=wishes.views), wishes, command)
    total = sum(len(study.images) for study in studies)
    return segment_studies(
        studies, out, task, resume=resume, raise_errors=raise_errors, on_progress=lambda done, name: on_progress(done, total, name)
    )


def segment_studies(
    studies: Sequence[PlannedStudy],
    out: Path,
    task: Task,
    *,
    resume: bool = False,
    raise_errors: bool = False,
    on_progress: Callable[[float, str], None],
) -> Outcome:
    """Segment every planned study that is fit, and write what was found with a manifest and a table of the run.

    Args:
        studies: What `plan_studies` found; see `refuse_collisions`.
        out: The output folder.
        task: The model and the wishes.
        resume: As `segment_inputs`.
        raise_errors: As `segment_inputs`.
        on_progress: Called with the number of images done, in fractions, and the name of the study at work.

    Returns:
        The outcome. When no study was segmented nothing is written.

    Raises:
        InputError: As `segment_inputs`; studies that were finished before stay, and a run with `resume` goes on from them.
    """
    begun = time.perf_counter()
    outcome = Outcome()
    with working_in(out):
        if not resume and (out / JOURNAL).exists():
            warnings.warn(f"{out}: holds what an interrupted run had done; it starts anew without --resume", DataWarning, stacklevel=2)
        journal = Journal(out, _head(task), resume=resume)
        try:
            done = 0
            attempted: list[tuple[PlannedStudy, dict[str, Any]]] = []
            for study in studies:
                if _is_finished(study, out, journal):
                    outcome.skipped += 1
                else:
                    share_done = partial(_report_share, on_progress, done, study.name)
                    share_done(0.0)
                    row = _attempt(study, journal, task, outcome, share_done, raise_errors)
                    attempted.append((study, row))
                    if journal.is_open or row["status"] == DONE:  # else nothing is known to succeed, and all stays as it was
                        _remove_outdated(out, attempted)
                        attempted.clear()
                    journal.append(row)
                done += len(study.images)
            outcome.seconds = round(time.perf_counter() - begun, 3)
            if journal.is_open:
                _conclude(journal, outcome, task)
        finally:
            journal.close()
    return outcome


def _report_share(on_progress: Callable[[float, str], None], before: int, name: str, share: float) -> None:
    on_progress(before + share, name)


def _head(task: Task) -> dict[str, Any]:
    """What is true of all studies of a run; a run that resumes must have the same model and options."""
    opened = task.opened
    return {
        "schema_version": SCHEMA_VERSION,
        "shortaxis_version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {**opened.provenance, "calibration_sha256": opened.calibration_sha256},
        "device": str(opened.model.device),
        "label_scheme": {part.name: value for part, value in task.wishes.scheme.values.items()},
        "options": task.wishes.beyond_defaults(),
    } | ({"plugins": plugins} if (plugins := loaded_plugins()) else {})


def _is_finished(study: PlannedStudy, out: Path, journal: Journal) -> bool:
    """Whether an earlier run has segmented a study, from inputs that have not changed, and its outputs are still there."""
    row = journal.finished(study.indices.as_posix())
    if row is None or study.problem is not None:
        return False
    try:
        return bool(row["state"] == state_of(study)) and all((out / path).is_file() for path in outputs_of(row))
    except OSError:
        return False


def _attempt(
    study: PlannedStudy, journal: Journal, task: Task, outcome: Outcome, on_share: Callable[[float], None], raise_errors: bool
) -> dict[str, Any]:
    """Segment a study and count it; whatever goes wrong with it is recorded and does not hinder the others."""
    since = time.perf_counter()
    keep = task.wishes.keep_identifiers
    row: dict[str, Any] = {"study": study.name, "source": shown_path(study.source, keep=keep), "status": DONE}
    failure = None if study.problem is None else Failure(str(study.problem))
    try:
        if failure is None:
            with staged(journal.out) as stage:
                row |= segment_study(study, stage, task, on_share)
                journal.begin()
    except UnfitError as unfit:
        failure = Failure(str(unfit.reason))
    except InputError:  # an output cannot be written, which hinders all
        raise
    except Exception as error:
        if raise_errors:
            raise
        # What an error of a library says may be a value of a header: it is told nowhere but under --debug.
        message = f"{study.source}: internal error ({type(error).__name__}); segment it alone with --debug and send all that it prints"
        failure = Failure(message, internal=True)
    if failure is None:
        outcome.segmented += 1
        outcome.images += len(study.images)
        outcome.empty += [study.source] * (NOTHING_FOUND in row["flags"])
        outcome.first += [row] * (len(outcome.first) < MOST_SHOWN)
    else:
        outcome.failures.append(failure)
        named = {"indices": study.indices.as_posix()} if study.indices.name else {}
        row |= {"status": FAILED, **named, "error": shown_message(failure.message, study, keep=keep)}
    row["seconds"] = round(time.perf_counter() - since, 3)
    return row


def _remove_outdated(out: Path, attempted: Iterable[tuple[PlannedStudy, dict[str, Any]]]) -> None:
    """Remove what an earlier run wrote of studies and their new rows do not list, such as a report that is not wanted any more.

    Nothing goes but what the plan of the study would write. Of one whose images are not known, nothing goes.
    """
    for study, row in attempted:
        listed = set(outputs_of(row)) if row["status"] == DONE else set()
        phases = {
            path.relative_to(out).as_posix() for image in study.images if image.dicom for path in (out / image.dicom_seg).glob("phase*.dcm")
        }
        for path in {*planned_files(study), *phases} - listed:
            with suppress(OSError):
                (out / path).unlink()
        for image in study.images:
            if image.dicom:
                with suppress(OSError):
                    (out / image.dicom_seg).rmdir()  # only where it is empty


def _conclude(journal: Journal, outcome: Outcome, task: Task) -> None:
    """Write the table and the manifest."""
    write_summary(journal.out / SUMMARY, journal.rows(), task.opened.provenance["sha256"])
    status = Counter(row["status"] for row in journal.rows())
    journal.fold({"seconds": outcome.seconds, "segmented": status[DONE], "failed": status[FAILED], "skipped": outcome.skipped})
    outcome.manifest = journal.out / MANIFEST
