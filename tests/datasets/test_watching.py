from __future__ import annotations

import numpy as np

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.watching import watched
from shortaxis.study import Frame


def test_each_reading_is_told_and_the_frames_are_the_same():
    frames = [
        Frame(f"p{n}_ED", f"p{n}", "ED", None, np.full((1, 2, 2), n), np.zeros((1, 2, 2), np.uint8), (1.0, 1.0, 1.0)) for n in range(2)
    ]
    dataset = Dataset("x", tuple(FrameRef(frame.name, frame.patient, "ED", None, lambda frame=frame: frame) for frame in frames))
    told = []
    assert list(watched(dataset, told.append)) == frames
    assert told == ["p0_ED", "p1_ED"]
    assert watched(dataset, told.append).select(["p1"]).patients == ("p1",)
