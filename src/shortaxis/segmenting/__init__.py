"""From files to files: finding the images, segmenting them, and writing labels, maps and indices beside each other."""

from __future__ import annotations

from shortaxis.segmenting.plan import PlannedImage, PlannedStudy, plan_studies, refuse_collisions
from shortaxis.segmenting.run import Failure, Outcome, segment_inputs
from shortaxis.segmenting.wishes import Wishes

__all__ = ["Failure", "Outcome", "PlannedImage", "PlannedStudy", "Wishes", "plan_studies", "refuse_collisions", "segment_inputs"]
