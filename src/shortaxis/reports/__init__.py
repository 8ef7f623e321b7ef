"""What people look at: pictures."""

from __future__ import annotations
