"""From files to files: finding the images, segmenting them, and writing labels, maps and indices beside each other.

What runs a segmentation loads when it is first used: whoever only plans one, as `shortaxis doctor` does, is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shortaxis.segmenting.plan import PlannedImage, PlannedStudy, plan_studies, refuse_collisions
from shortaxis.segmenting.wishes import Wishes

if TYPE_CHECKING:
    from shortaxis.segmenting.run import Failure, Outcome, StudyEnd, segment_inputs

__all__ = [
    "Failure",
    "Outcome",
    "PlannedImage",
    "PlannedStudy",
    "StudyEnd",
    "Wishes",
    "plan_studies",
    "refuse_collisions",
    "segment_inputs",
]

if not TYPE_CHECKING:  # pragma: no branch (a type checker reads the imports above)

    def __getattr__(name: str) -> Any:
        """Import a name of `run` from there."""
        if name not in __all__:
            msg = f"module '{__name__}' has no attribute '{name}'"
            raise AttributeError(msg)
        from shortaxis.segmenting import run  # noqa: PLC0415 (see above)

        return getattr(run, name)
