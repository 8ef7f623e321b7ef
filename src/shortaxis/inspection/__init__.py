"""What an input is, what was found in it and what is wrong with it, from headers and a few voxels: no network runs, no torch is loaded."""

from __future__ import annotations

from shortaxis.inspection.inspect import inspect_input, inspect_pieces
from shortaxis.inspection.report import Finding, Inspection

__all__ = ["Finding", "Inspection", "inspect_input", "inspect_pieces"]
