"""Exact masks: a voxel belongs to the structure that holds its centre."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shortaxis.labels import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.phantom.geometry import Heart, State
    from shortaxis.phantom.scan import Scan


def draw_masks(heart: Heart, scan: Scan, states: Sequence[State]) -> NDArray[np.uint8]:
    """Label every voxel whose centre lies in a ventricle below the valve plane; papillary muscles count as LV cavity, as in ACDC.

    Args:
        heart: The shapes.
        scan: The voxel grid.
        states: The heart at each phase.

    Returns:
        uint8 (T, D, H, W), values of `shortaxis.labels.Structure`.
    """
    labels = np.zeros((len(states), *scan.shape), np.uint8)
    up, down, left, right = heart.extent()
    window = scan.window(*(side + 4 for side in (up, down, left, right)))
    y, x = scan.y[window[0]], scan.x[:, window[1]]
    distance, angular = np.hypot(y, x), heart.angular(np.arctan2(y, x))
    z = scan.z - heart.slope[0] * y - heart.slope[1] * x
    for phase, state in enumerate(states):
        endocardium, epicardium, right_wall = heart.surfaces(state, angular, z)
        part = labels[(phase, slice(None), *window)]
        part[distance < right_wall] = Structure.RV
        part[distance < epicardium] = Structure.MYO
        part[distance < endocardium] = Structure.LV
        part[z < state.base] = Structure.BACKGROUND
    return labels
