"""Segment short-axis cine cardiac MR with end-to-end trained ensembles that know where they are unsure."""

from __future__ import annotations

__version__ = "0.1.0"
