"""Checks on a study that a reader does not make, since a data set may hold such images but nobody should segment them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.study import Study


def refuse_constant(study: Study, name: Path | str) -> None:
    """Refuse a study in which some phase shows nothing.

    Args:
        study: The study to look at.
        name: What to name in the error, usually the file.

    Raises:
        InputError: All voxels of a phase have one value.
    """
    flat = study.pixels.reshape(study.n_phases, -1)
    constant = (flat.min(axis=1) == flat.max(axis=1)).nonzero()[0]
    if constant.size:
        where = f" in phase {constant[0] + 1}" if study.n_phases > 1 else ""
        msg = f"{name}: all voxels{where} have the value {flat[constant[0], 0]:g}; give an image that shows a heart"
        raise InputError(msg)
