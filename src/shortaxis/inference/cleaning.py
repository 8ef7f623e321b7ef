"""Removing stray islands: each structure of the heart is one connected body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from shortaxis.labels import FOREGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray


def keep_largest(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the largest connected part (26 neighbours) of each structure; what falls away becomes background.

    Args:
        labels: uint8 (D, H, W).

    Returns:
        A new array of the same shape.
    """
    neighbours = np.ones((3, 3, 3), bool)
    cleaned = np.zeros_like(labels)
    # The heart is a small part of the picture: each structure is looked for in its own box only.
    boxes = ndimage.find_objects(labels, max_label=max(FOREGROUND))
    for structure in FOREGROUND:
        box = boxes[structure - 1]
        if box is not None:
            parts, _ = ndimage.label(labels[box] == structure, structure=neighbours)
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            cleaned[box][parts == sizes.argmax()] = structure
    return cleaned
