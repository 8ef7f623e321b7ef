from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from shortaxis.errors import InputError
from shortaxis.labels import Structure
from shortaxis.reports.picture import MOST_SLICES, OUTLINES, save_picture
from shortaxis.study import Segmentation, Study


def disc(labels, radius, value):
    rows, columns = np.mgrid[: labels.shape[-2], : labels.shape[-1]]
    labels[..., np.hypot(rows - 30, columns - 25) < radius] = value


def segmentation(n_phases=2, n_slices=3):
    labels = np.zeros((n_phases, n_slices, 60, 50), np.uint8)
    disc(labels, 14, Structure.MYO)
    disc(labels, 8, Structure.LV)
    labels[..., 28:34, 5:10] = Structure.RV
    pixels = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    return Segmentation(Study(pixels, (8.0, 1.5, 1.5), end_diastole=0, end_systole=1 if n_phases > 1 else None), labels)


def share(path, colour):
    """Share of pixels near a colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), float) / 255
    return float((np.abs(pixels - to_rgb(colour)).max(axis=-1) < 0.05).mean())


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_every_structure_is_outlined_in_its_colour(tmp_path):
    whole = segmentation()
    save_picture(whole, tmp_path / "with.png")
    save_picture(replace(whole, labels=np.zeros_like(whole.labels)), tmp_path / "without.png")
    for _, _, colour in OUTLINES:
        assert share(tmp_path / "with.png", colour) > share(tmp_path / "without.png", colour) + 1e-4


def test_the_page_grows_with_the_phases_and_not_beyond_the_slices_it_can_hold(tmp_path):
    for name, phases, slices in (("two", 2, 3), ("most", 1, MOST_SLICES), ("more", 1, MOST_SLICES + 5)):
        save_picture(segmentation(phases, slices), tmp_path / f"{name}.png")
    assert size(tmp_path / "two.png")[1] > size(tmp_path / "most.png")[1]
    assert size(tmp_path / "two.png")[0] < size(tmp_path / "most.png")[0] == size(tmp_path / "more.png")[0]


@pytest.mark.parametrize("n_slices", [1, 2])
def test_few_slices_and_unknown_phases_can_be_shown(tmp_path, n_slices):
    few = segmentation(1, n_slices)
    save_picture(replace(few, study=replace(few.study, end_diastole=None)), tmp_path / "few.png", title="A title", remark="A remark")
    assert size(tmp_path / "few.png")[0] > 800


def test_labels_at_the_border_are_closed(tmp_path):
    whole = segmentation()
    labels = np.full_like(whole.labels, Structure.LV)
    save_picture(replace(whole, labels=labels), tmp_path / "border.png")
    assert share(tmp_path / "border.png", OUTLINES[-1][2]) > 1e-3


def test_a_picture_that_cannot_be_written_is_an_input_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_picture(segmentation(), tmp_path / "file" / "picture.png")
