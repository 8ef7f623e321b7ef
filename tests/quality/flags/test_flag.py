from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import msgspec
import numpy as np

from shortaxis.io.dicom import DicomSource
from shortaxis.io.layout import Layout
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.labels import Structure
from shortaxis.preprocessing import HeartPose
from shortaxis.quality.flags import CHECKS, QualityFlag, study_flags
from shortaxis.study import Repair, Subject


def damaged(healthy, with_labels, es):
    """A heart damaged in so many ways that every check has one to flag."""
    labels = healthy.labels
    uneven = tuple(45.0 * phase + 200 * (phase > 9) for phase in range(20))
    gap = np.delete(np.arange(healthy.study.n_slices), 4)
    positions = gap[:, None] * healthy.study.affine[:3, 0]
    shifted, holed, thin, still = (labels.copy() for _ in range(4))
    shifted[:, 4] = np.roll(shifted[:, 4], 8, axis=-1)
    holed[:, 4] = 0
    thin[es][thin[es] == Structure.MYO] = 0
    thin[es, 3:5] = Structure.MYO
    still[es][labels[0] == Structure.RV] = Structure.RV
    yield with_labels(healthy, np.zeros_like(labels))
    yield with_labels(healthy, labels[:, 3:6])
    yield with_labels(healthy, spacing=(60.0, 1.8, 1.8))
    lost = ("1 slice of series 3, turned by 20°, cannot be used and is left out",)
    yield with_labels(healthy, labels[:, gap], source=DicomSource(Path("study"), (), positions, (), "TriggerTime", None, lost))
    yield with_labels(healthy, shifted)
    yield with_labels(healthy, holed)
    yield with_labels(healthy, thin)
    yield with_labels(healthy, still, end_diastole=0, end_systole=es)
    yield with_labels(healthy, end_diastole=es, end_systole=0)
    yield with_labels(healthy, phase_times=uneven)
    yield with_labels(healthy, labels[:11], phase_times=None)
    yield replace(healthy, pose=HeartPose((0.0, 0.0), 195.0, certainty=0.1))
    yield with_labels(healthy, subject=Subject(height_cm=70, weight_kg=170))
    layout = Layout(healthy.study.pixels.shape[:0:-1])
    yield with_labels(
        healthy, source=NiftiSource(Path("in.nii"), None, layout.shape, layout, None, ("its pixels are odd",), None, "it is turned")
    )
    mirrored, upside_down = (healthy.study.affine @ np.diag(signs) for signs in ((1.0, 1, -1, 1), (-1.0, 1, 1, 1)))
    yield with_labels(healthy, affine=mirrored)
    yield with_labels(healthy, affine=upside_down)
    yield replace(healthy, repairs=[Repair(0, 0, Structure.RV, 0.0, 1.0)] * 1000)


def test_every_flag_of_every_check_can_be_written_as_json(healthy, with_labels, es, monkeypatch):
    fired = set()

    def watched(check):
        def run(seen):
            found = check(seen)
            flags = [] if found is None else [found] if isinstance(found, QualityFlag) else list(found)
            fired.update([check] if flags else [])
            return iter(flags)

        return run

    monkeypatch.setattr("shortaxis.quality.flags.CHECKS", tuple(map(watched, CHECKS)))
    for study in damaged(healthy, with_labels, es):
        for flag in study_flags(study, end_slices=(8, 8)):
            fields = asdict(flag)
            assert json.loads(json.dumps(fields)) == json.loads(msgspec.json.encode(fields)) == fields
    assert {check.__name__ for check in CHECKS} - {check.__name__ for check in fired} == set()


def test_figures_are_plain_floats_and_may_be_missing():
    flag = QualityFlag("name", "note", "message", "remedy", np.float64(3), 5)
    assert (type(flag.value), type(flag.limit)) == (float, float)
    assert (QualityFlag("name", "note", "message", "remedy").value, flag.value, flag.limit) == (None, 3, 5)
