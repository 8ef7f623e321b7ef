from __future__ import annotations

import json

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality import TrustModel
from shortaxis.quality.appearance import APPEARANCE
from shortaxis.quality.calibration import Calibration, calibration_path, load_calibration
from shortaxis.quality.domain import learn_domain
from shortaxis.quality.forest import Forest
from shortaxis.quality.intervals import Ends, IntervalModel

CALIBRATION = Calibration(
    "0" * 64,
    TrustModel(
        features=("softness", "depth_in_both"),
        forest=Forest((0,), (1, -1, -1), (0.6, 0, 0), (1, 0, 0), (2, 0, 0), (0, 0.1, 0.9)),
        slope=1.25,
        intercept=-0.5,
        threshold=0.4,
        typical=(0.1, 2.0),
        provenance={"data": "made", "patients": ["p1", "p2"], "end_slices": {"as they are": {"auroc": None}}},
    ),
    IntervalModel({"lv_edv": (0.1, 0.2, 0.3, 0.4, 0.5)}, {"lv_edv": Ends(-1.5, 2.5, 20)}, {}),
    learn_domain(np.random.default_rng(0).normal(size=(20, len(APPEARANCE)))),
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "c.json"
    CALIBRATION.save(path)
    return path


def test_a_calibration_is_read_back_as_it_was_saved(file):
    assert load_calibration(file) == CALIBRATION


def test_a_list_of_the_file_stands_on_one_line(file):
    assert len(file.read_text().splitlines()) < 80


def test_it_lies_beside_the_model(tmp_path):
    assert calibration_path(tmp_path / "m.safetensors") == tmp_path / "m.calibration.json"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 3, "trust": 3}', '{"format": 3, "trust": {}, "intervals": {}, "domain": {}}', "null", "\x00"],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(InputError, match=r"c\.json") as caught:
        load_calibration(tmp_path / "c.json")
    assert "\n" not in str(caught.value)


def change(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("version", [1, 2, 99, None, "3"])
def test_another_format_is_refused_by_name(file, version):
    change(file, format=version)
    with pytest.raises(InputError, match=r"c\.json.*another format.*shortaxis calibrate"):
        load_calibration(file)


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json"):
        load_calibration(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("trust", "features", ["softness", "nonsense"]),
        ("trust", "typical", [1.0]),
        ("trust", "forest", None),
        ("intervals", "inside", {"lv_edv": {"low": 1}}),
        ("intervals", "weights", None),
        ("intervals", "surplus", 1),
        ("domain", "figures", ["pixel"]),
        ("domain", "precision", 3),
        ("domain", "mean", None),
        ("domain", "mean", [1.0]),
        ("domain", "deviation", ["a"] * len(APPEARANCE)),
        ("domain", "limit", "far"),
        ("intervals", "weights", {"lv_edv": [1.0]}),
        ("intervals", "weights", {"lv_edv": "heavy"}),
        ("intervals", "level", 90),
        ("intervals", "outside", {"lv_ef": {"low": None, "high": 1.0, "patients": 20}}),
    ],
)
def test_a_file_with_a_damaged_part_is_refused_by_name(file, part, field, value):
    change(file, **{part: json.loads(file.read_text())[part] | {field: value}})
    with pytest.raises(InputError, match=r"c\.json"):
        load_calibration(file)
