"""A seeded virtual patient: 4D short-axis cine pictures, exact masks, and volumes known without counting voxels."""

from __future__ import annotations

from shortaxis.phantom.groups import GROUPS
from shortaxis.phantom.phantom import Phantom, make_phantom
from shortaxis.phantom.truth import Truth

__all__ = ["GROUPS", "Phantom", "Truth", "make_phantom"]
