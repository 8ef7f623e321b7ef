"""Flags on all frames of a study together: nothing was found in any of them, or they do not lie on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.study import Study


NOTHING_FOUND: Final = "nothing_found"
"""Name of the flag on a study in which no voxel has a label."""


def nothing_found() -> QualityFlag:
    """No structure was found in any slice of any frame."""
    return QualityFlag(
        NOTHING_FOUND,
        "warning",
        "no part of the heart was found in any slice of any frame, so there are no indices",
        "check that this is a short-axis cine of the heart, and its spacing and orientation",
    )


def frames_on_other_grids(frames: Sequence[tuple[str, Study]]) -> QualityFlag | None:
    """ED and ES, or other frames of a study, differ in their slices, rows, columns or spacing.

    Args:
        frames: The name of each file, and what was read from it.
    """
    for name, study in frames[1:]:
        first_name, first = frames[0]
        same = study.pixels.shape[1:] == first.pixels.shape[1:]
        if same and np.allclose(study.spacing, first.spacing, rtol=1e-3, atol=0.0):
            continue
        shapes = [f"{other} has {_in_words(each)}" for other, each in ((first_name, first), (name, study))]
        return QualityFlag(
            "frames_differ",
            "warning",
            f"{' and '.join(shapes)}, so that volumes of the two may not show the same part of the heart",
            "check that no slice of one of the frames was left out",
        )
    return None


def _in_words(study: Study) -> str:
    _, slices, rows, columns = study.pixels.shape
    z, y, x = study.spacing
    return f"{slices} slices of {rows} × {columns} pixels, {z:.3g} × {y:.3g} × {x:.3g} mm"
