"""Segment planned studies one after the other. A study's files appear all together, or, when something is wrong with it, not at all."""

from __future__ import annotations

import errno
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shortaxis import __version__
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.staging import staged
from shortaxis.plugins import loaded_plugins
from shortaxis.segmenting.checksums import checksums, edited
from shortaxis.segmenting.folder import working_in
from shortaxis.segmenting.inputs import state_of
from shortaxis.segmenting.journal import DONE, FAILED, Journal
from shortaxis.segmenting.naming import shown_message, shown_path
from shortaxis.segmenting.opening import open_model
from shortaxis.segmenting.plan import JOURNAL, MANIFEST, SUMMARY, PlannedStudy, files_there, plan_studies, refuse_collisions
from shortaxis.segmenting.single import Task, UnfitError, outputs_of, segment_study
from shortaxis.segmenting.summary import write_summary
from shortaxis.segmenting.wishes import Wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    OnProgress = Callable[[float, int, str], None]
    OnStudy = Callable[["StudyEnd"], None]

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


class StudyEnd(NamedTuple):
    """How one study of a run ended.

    Attributes:
        number: Its place among all, counted from 1.
        total: Number of studies of the run.
        row: What `segment.json` holds of it.
        failure: Why it was left out, or None.
        skipped: Whether an earlier run had done it.
    """

    number: int
    total: int
    row: dict[str, Any]
    failure: Failure | None = None
    skipped: bool = False


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
        n_empty: Number of studies that were segmented now and in which nothing was found.
        n_edited: Number of studies that were skipped and whose outputs were edited since.
    """

    segmented: int = 0
    skipped: int = 0
    images: int = 0
    seconds: float = 0.0
    manifest: Path | None = None
    first: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    n_empty: int = 0
    n_edited: int = 0


def segment_inputs(
    inputs: Sequence[Path | str],
    out: Path | str,
    *,
    model: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    wishes: Wishes | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: Sequence[str] | None = None,
    raise_errors: bool = False,
    on_progress: OnProgress = lambda _done, _total, _name: None,
    on_study: OnStudy = lambda _end: None,
) -> Outcome:
    """Segment files and folders, and write labels, indices, reports and a manifest of the run: what `shortaxis segment` does.

    Args:
        inputs: Files, folders and data sets `KIND:PATH`; see `shortaxis.segmenting.plan`.
        out: The output folder.
        model: A model file; None is the released model.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; None leaves it to torch (`OMP_NUM_THREADS`, or all cores).
        wishes: What to write.
        resume: Skip what an earlier run into `out` has segmented, with the same model and wishes, from inputs that have not changed.
        overwrite: Replace files in `out` that were edited since a run wrote them, or that no run wrote. Otherwise a study whose outputs
            would replace them is left out.
        command: Words of the command line without the inputs, to be told in the reports; the first two are the program and the command.
        raise_errors: Let an error that is a fault of the program through, and do not go on with the other studies.
        on_progress: Called with the number of images done, in fractions, the number of all, and the name of the study at work.
        on_study: Called when a study is done, left out or skipped.

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
    task = Task(open_model(model, device, threads, views=wishes.views, endocardium=wishes.endocardium), wishes, command)
    total = sum(len(study.images) for study in studies)
    return segment_studies(
        studies,
        out,
        task,
        resume=resume,
        overwrite=overwrite,
        raise_errors=raise_errors,
        on_progress=lambda done, name: on_progress(done, total, name),
        on_study=on_study,
    )


def segment_studies(
    studies: Sequence[PlannedStudy],
    out: Path,
    task: Task,
    *,
    resume: bool = False,
    overwrite: bool = False,
    raise_errors: bool = False,
    on_progress: Callable[[float, str], None],
    on_study: OnStudy = lambda _end: None,
) -> Outcome:
    """Segment every planned study that is fit, and write what was found with a manifest and a table of the run.

    Args:
        studies: What `plan_studies` found; see `refuse_collisions`.
        out: The output folder.
        task: The model and the wishes.
        resume: As `segment_inputs`.
        overwrite: As `segment_inputs`.
        raise_errors: As `segment_inputs`.
        on_progress: Called with the number of images done, in fractions, and the name of the study at work.
        on_study: As `segment_inputs`.

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
            for number, study in enumerate(studies, start=1):
                row = _finished(study, journal, task, overwrite=overwrite)
                if row is not None:
                    outcome.skipped += 1
                    outcome.n_edited += bool(row.get("edited"))
                    on_study(StudyEnd(number, len(studies), row, skipped=True))
                else:
                    share_done = partial(_report_share, on_progress, done, study.name)
                    share_done(0.0)
                    row = _attempt(study, journal, task, outcome, share_done, overwrite=overwrite, raise_errors=raise_errors)
                    attempted.append((study, row))
                    if journal.is_open or row["status"] == DONE:  # else nothing is known to succeed, and all stays as it was
                        _remove_outdated(journal, attempted, overwrite=overwrite)
                        attempted.clear()
                    journal.append(row)
                    on_study(StudyEnd(number, len(studies), row, outcome.failures[-1] if row["status"] == FAILED else None))
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


def _finished(study: PlannedStudy, journal: Journal, task: Task, *, overwrite: bool) -> dict[str, Any] | None:
    """The row of a study that an earlier run segmented from inputs that have not changed, and whose outputs are still there, or None.

    Outputs that were edited since are said aloud and listed in the row. With `overwrite` such a study does not count as finished.
    """
    row = journal.finished(study.indices.as_posix())
    if row is None or study.problem is not None:
        return None
    try:
        if row["state"] != state_of(study, task.wishes.series) or not all((journal.out / path).is_file() for path in outputs_of(row)):
            return None
        changed = edited(journal.out, row.get("sha256", {}))
    except OSError:
        return None
    if changed and overwrite:
        return None
    if changed != row.get("edited", []):
        row = {key: value for key, value in row.items() if key != "edited"} | ({"edited": changed} if changed else {})
        journal.append(row)
    if changed:
        msg = (
            f"{study.name}: {' and '.join(changed)} in {journal.out} was edited after this study was segmented, so its labels, indices and "
            "report may disagree; the edited file is kept; give --overwrite to segment the study again and replace it"
        )
        warnings.warn(msg, DataWarning, stacklevel=3)
    return row


def _refuse_overwriting(study: PlannedStudy, journal: Journal) -> None:
    """Refuse to segment a study whose outputs would replace files that are not as a run wrote them.

    Raises:
        UnfitError: Names the file and what to do.
    """
    for path in files_there(study, journal.out):
        if not journal.written.is_own(path):
            was = "was edited after a run wrote it" if journal.written.is_recorded(path) else "was not written by a run recorded there"
            msg = f"{journal.out / path}: {was}, so it is kept and {study.source} is left out; give --overwrite to replace it"
            raise UnfitError(InputError(f"{msg}, or choose another --out folder"))


def _attempt(
    study: PlannedStudy,
    journal: Journal,
    task: Task,
    outcome: Outcome,
    on_share: Callable[[float], None],
    *,
    overwrite: bool,
    raise_errors: bool,
) -> dict[str, Any]:
    """Segment a study and count it; whatever goes wrong with it is recorded and does not hinder the others."""
    since = time.perf_counter()
    keep = task.wishes.keep_identifiers
    row: dict[str, Any] = {"study": study.name, "source": shown_path(study.source, keep=keep), "status": DONE}
    failure = None if study.problem is None else Failure(str(study.problem))
    try:
        if failure is None:
            if not overwrite:
                _refuse_overwriting(study, journal)
            with staged(journal.out) as stage:
                row |= segment_study(study, stage, task, on_share)
                row["sha256"] = checksums(stage, outputs_of(row))
                journal.announce(row)
    except UnfitError as unfit:
        failure = Failure(str(unfit.reason))
    except InputError as error:
        if not _is_long_name(error):  # an output cannot be written, which hinders all
            raise
        failure = Failure(f"{study.source}: its name is too long for the names of its outputs on this disk; give it a shorter name")
    except Exception as error:
        if raise_errors:
            raise
        # What an error of a library says may be a value of a header: it is told nowhere but under --debug.
        message = f"{study.source}: internal error ({type(error).__name__}); segment it alone with --debug and send all that it prints"
        failure = Failure(message, internal=True)
    if "nothing_found_in" in row:
        where = " and ".join(row["nothing_found_in"])
        msg = f"{study.source}: nothing was found in {where}; check that it is a short-axis cine of the heart, and use none of its indices"
        warnings.warn(msg, DataWarning, stacklevel=3)
    if failure is None:
        outcome.segmented += 1
        outcome.images += len(study.images)
        outcome.n_empty += "nothing_found_in" in row
        outcome.first += [row] * (len(outcome.first) < MOST_SHOWN)
    else:
        outcome.failures.append(failure)
        named = {"indices": study.indices.as_posix()} if study.indices.name else {}
        row |= {"status": FAILED, **named, "error": shown_message(failure.message, study, keep=keep)}
    row["seconds"] = round(time.perf_counter() - since, 3)
    return row


def _is_long_name(error: BaseException | None) -> bool:
    """Whether an error comes of a file name that the disk does not take."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return True
        error = error.__cause__
    return False


def _remove_outdated(journal: Journal, attempted: Iterable[tuple[PlannedStudy, dict[str, Any]]], *, overwrite: bool) -> None:
    """Remove what an earlier run wrote of studies and their new rows do not list, such as a report that is not wanted any more.

    Nothing goes but what the plan of the study would write, and no file that was edited since; of a study that was left out and has such a
    file, nothing goes. Of one whose images are not known, nothing goes.
    """
    out = journal.out
    for study, row in attempted:
        done = row["status"] == DONE
        outdated = set(files_there(study, out)) - (set(outputs_of(row)) if done else set())
        own = {path for path in outdated if journal.written.is_own(path)}
        for path in outdated if done and overwrite else own if done or own == outdated else ():
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
