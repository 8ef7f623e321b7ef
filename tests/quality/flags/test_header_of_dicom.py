from __future__ import annotations

from pathlib import Path

import numpy as np

from shortaxis.io.dicom import DicomSource
from shortaxis.quality.flags import study_flags


def test_slices_that_could_not_be_used_are_flagged_and_ordinary_notes_are_not(healthy, with_labels):
    notes = (
        "series 3 is taken, and series 4 left out for its technique",
        "2 slices of series 3, turned by 20°, cannot be used and are left out",
        "slice 4 is left out, with 3 of 20 phases",
    )
    positions = np.arange(healthy.study.n_slices)[:, None] * healthy.study.affine[:3, 0]
    source = DicomSource(Path("study"), (), positions, (3,), "TriggerTime", None, notes)
    flags = [flag for flag in study_flags(with_labels(healthy, source=source)) if flag.name == "images_left_out"]
    assert [flag.message for flag in flags] == list(notes[1:])
