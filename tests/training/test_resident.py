from __future__ import annotations

import numpy as np
import pytest
import torch

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.errors import DataWarning, InputError
from shortaxis.preprocessing import PhysicalGrid, StretchedGrid
from shortaxis.study import Frame
from shortaxis.training.resident import frame_on_grid, load_resident

CPU = torch.device("cpu")


def test_slices_of_all_frames_stand_one_after_another(discs):
    data = load_resident(discs, PhysicalGrid(2.0, 32), CPU)
    assert data.depths == (3, 3, 4, 4, 5, 5, 3, 3)
    assert data.images.shape == data.labels.shape == (30, 32, 32)
    assert data.images.dtype == torch.float16
    frame = list(discs)[2]
    assert torch.equal(data.labels[6:10], torch.from_numpy(frame.labels))
    assert float(data.images[6:10].float().mean()) == pytest.approx(0, abs=0.01)


def test_the_centre_is_that_of_the_annotated_heart():
    labels = np.zeros((2, 9, 9), np.uint8)
    labels[:, 2, 6] = 3
    frame = Frame("f", "p", "ED", None, np.random.default_rng(0).random((2, 9, 9)), labels, (8.0, 1.0, 1.0))
    empty = Frame("g", "q", "ED", None, frame.image, np.zeros_like(labels), (8.0, 1.0, 1.0))
    with pytest.warns(DataWarning, match="g;"):
        data = load_resident(_dataset(frame, empty), PhysicalGrid(1.0, 9), CPU)
    # Column 6 and row 2 of 9 lie at +0.5 and -0.5 of [-1, 1]; without a heart it is the middle.
    assert data.centres.tolist() == [[0.5, -0.5], [0.0, 0.0]]


def test_a_pixel_of_the_stretched_grid_has_the_mean_of_both_edges():
    frame = Frame("f", "p", None, None, np.random.default_rng(0).random((1, 10, 20)), np.ones((1, 10, 20), np.uint8), (8.0, 2.0, 1.5))
    # 10 * 2 mm and 20 * 1.5 mm over 5 pixels: 4 mm and 6 mm.
    assert load_resident(_dataset(frame), StretchedGrid(5), CPU).pixel_mm.tolist() == [5.0]


def test_labels_on_a_coarser_grid_go_to_the_larger_share():
    labels = np.zeros((1, 6, 6), np.uint8)
    labels[0, :, :4] = 2
    frame = Frame("f", "p", None, None, np.zeros((1, 6, 6), np.float32), labels, (8.0, 1.0, 1.0))
    # Pixels of 2 mm are centred on columns 0.5, 2.5 and 4.5; the edge lies at 3.5.
    assert frame_on_grid(frame, PhysicalGrid(2.0, 3))[1].tolist() == [[[2, 2, 0]] * 3]


def a_frame(name: str, *, grey: float | None = None, annotated: bool = True) -> Frame:
    image = np.random.default_rng(0).random((2, 9, 9), np.float32)
    labels = np.zeros((2, 9, 9), np.uint8)
    labels[:, 3:6, 3:6] = 3 * annotated
    return Frame(name, "p", "ED", None, image if grey is None else np.full_like(image, grey), labels, (8.0, 1.0, 1.0))


@pytest.mark.parametrize("grey", [0.0, 7.0])
def test_a_constant_image_is_refused_by_the_name_of_its_frame(grey):
    with pytest.raises(InputError, match=r"^p2_ES: .*single grey value"):
        load_resident(_dataset(a_frame("p1_ED"), a_frame("p2_ES", grey=grey)), PhysicalGrid(1.0, 9), CPU)


def test_frames_without_an_annotated_structure_are_named():
    with pytest.warns(DataWarning, match=r"^1 of 2 .*'made' .* p2_ES;"):
        data = load_resident(_dataset(a_frame("p1_ED"), a_frame("p2_ES", annotated=False)), PhysicalGrid(1.0, 9), CPU)
    assert data.depths == (2, 2)


def test_a_training_set_without_any_annotated_structure_is_refused():
    with pytest.raises(InputError, match=r"^2 of 2 .* p1_ED, p2_ES;"):
        load_resident(_dataset(*(a_frame(name, annotated=False) for name in ("p1_ED", "p2_ES"))), PhysicalGrid(1.0, 9), CPU)


def test_an_empty_data_set_is_refused():
    with pytest.raises(InputError, match="no annotated frame"):
        load_resident(Dataset("none", ()), PhysicalGrid(), CPU)


def _dataset(*frames: Frame) -> Dataset:
    return Dataset("made", tuple(FrameRef(f.name, f.patient, f.phase, f.group, lambda f=f: f) for f in frames))
