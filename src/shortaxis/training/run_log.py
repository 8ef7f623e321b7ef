"""The log of a run: JSON lines for programs, TensorBoard events for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from shortaxis.io.atomic import atomic_path

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from shortaxis.training.loop import Progress


class RunLog:
    """Writes `log.jsonl`, and TensorBoard events where TensorBoard is installed.

    Args:
        out: The run's folder.
        resume_at: Step that the run goes on from; later lines of an earlier sitting, which the run will repeat, are dropped.
    """

    def __init__(self, out: Path, *, resume_at: int = 0) -> None:
        path = out / "log.jsonl"
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= resume_at] if resume_at else []
        with atomic_path(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
        self._stream = path.open("a", encoding="utf-8")
        self._events = _event_writer(out / "tensorboard", resume_at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._stream.close()
        if self._events is not None:
            self._events.close()

    def write(self, progress: Progress) -> None:
        """Add one report."""
        self._stream.write(json.dumps(asdict(progress)) + "\n")
        self._stream.flush()
        if self._events is not None:
            for name in ("loss", "learning_rate", "slices_per_second"):
                self._events.add_scalar(name, getattr(progress, name), progress.step)


def _lines(path: Path) -> list[str]:
    """Whole lines only: the last one may be half-written when a run was killed."""
    if not path.is_file():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("}\n")]


def _event_writer(folder: Path, resume_at: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=resume_at or None)
