"""ED and ES as two files are one study of two frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shortaxis.segmenting.measuring import SegmentedImage, flags_of, measured
from shortaxis.segmenting.plan import PlannedImage
from shortaxis.segmenting.trusting import Judged
from shortaxis.study import Segmentation


def check(index):
    return {"slice": index, "level": "basal", "verdict": "check", "probability": 0.9, "reasons": []}


def image(heart, *phases, verdicts=(), spacing=None):
    """Some phases of the phantom as an image of their own."""
    study = heart.study
    named = {name: phases.index(phase) if (phase := getattr(study, name)) in phases else None for name in ("end_diastole", "end_systole")}
    alone = replace(study, pixels=study.pixels[list(phases)], phase_times=None, spacing=spacing or study.spacing, **named)
    judged = Judged(Segmentation(alone, heart.labels[list(phases)]), verdicts=list(verdicts))
    return SegmentedImage(PlannedImage(Path("a.nii"), Path("a.nii")), judged)


@pytest.fixture
def ends(heart):
    return heart.study.end_diastole, heart.study.end_systole


def test_frames_of_one_grid_are_joined_with_their_phases(heart, ends):
    ed, es = ends
    joined = measured([image(heart, es, verdicts=[[check(1)]]), image(heart, ed, verdicts=[[check(2)]])])
    assert (joined.study.end_systole, joined.study.end_diastole) == (0, 1)
    assert np.array_equal(joined.study.pixels, heart.study.pixels[[es, ed]])
    assert np.array_equal(joined.judged.segmentation.labels, heart.labels[[es, ed]])
    assert joined.judged.verdicts == [[check(1)], [check(2)]]


def test_a_single_image_is_itself(heart, ends):
    alone = image(heart, ends[0])
    assert measured([alone]) is alone


def test_a_cine_goes_before_the_frames(heart, ends):
    cine = image(heart, *range(6))
    assert measured([image(heart, ends[0]), image(heart, ends[1]), cine]) is cine


def test_a_frame_on_another_grid_is_left_out(heart, ends):
    first = image(heart, ends[0])
    assert measured([first, image(heart, ends[1], spacing=(8.0, 3.0, 3.0))]) is first


def test_flags_know_how_many_end_slices_of_ed_and_es_are_to_be_checked(heart, monkeypatch):
    asked = []
    monkeypatch.setattr("shortaxis.segmenting.measuring.study_flags", lambda *_, **options: asked.append(options["end_slices"]) or [])
    trusted = check(2) | {"verdict": "trust"}
    flags_of(image(heart, *range(6), verdicts=[[check(1), trusted]] * 6))
    flags_of(image(heart, *range(6)))
    assert asked == [(2, 4), None]
