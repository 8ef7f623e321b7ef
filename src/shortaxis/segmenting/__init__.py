"""From files to files: finding the images, segmenting them, and writing labels, maps and indices beside each other."""

from __future__ import annotations

from shortaxis.segmenting.plan import MANIFEST, PlannedImage, PlannedStudy, plan_studies, refuse_collisions

__all__ = ["MANIFEST", "PlannedImage", "PlannedStudy", "plan_studies", "refuse_collisions"]
