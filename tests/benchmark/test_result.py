"""The JSON file of a job."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shortaxis.benchmark.result import read_result, read_results, write_result
from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import Resampling
from shortaxis.metrics.protocols import PROTOCOLS


def test_a_result_reads_back_as_it_was(make_result, tmp_path, twins):
    result = make_result(held_out={"a": 0, "b": 1}, test={"c": 2}, shared=twins)
    write_result(tmp_path / "result.json", result)
    assert read_result(tmp_path / "result.json") == result


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_every_figure_can_be_computed_again_from_the_file(make_result, squares, tmp_path, protocol):
    write_result(tmp_path / "result.json", make_result(held_out={"a": 0, "b": 1}))
    scores = read_result(tmp_path / "result.json").held_out.protocols[protocol].scores()
    cases = [squares(patient, shift, phase) for patient, shift in (("a", 0), ("b", 1)) for phase in ("ED", "ES")]
    expected = PROTOCOLS[protocol].summarise([PROTOCOLS[protocol].score(case) for case in cases], Resampling(rounds=20))
    found = PROTOCOLS[protocol].summarise(scores, Resampling(rounds=20))
    for name, figure in expected.items():
        np.testing.assert_equal((found[name].value, found[name].low, found[name].high), (figure.value, figure.low, figure.high))


def test_a_case_stands_on_one_line(make_result, tmp_path):
    write_result(tmp_path / "result.json", make_result(held_out={"a": 0}))
    lines = [line for line in (tmp_path / "result.json").read_text().splitlines() if '"name": "a_ED"' in line]
    assert len(lines) == 3  # one a protocol
    assert json.loads(lines[0].strip().rstrip(","))["confusion"]


def test_results_are_found_below_a_folder_and_other_files_passed_over(make_result, tmp_path):
    write_result(tmp_path / "rows" / "unet" / "seed-0" / "result.json", make_result())
    write_result(tmp_path / "gathered.json", make_result(seed=1))
    (tmp_path / "other.json").write_text('{"schema_version": 1, "protocols": []}')
    (tmp_path / "list.json").write_text("[1, 2]")
    assert sorted(result.seed for result in read_results(tmp_path)) == [0, 1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{}", "is no result of a benchmark job"),
        (b"no json", "is no result"),
        (b'{"schema_version": 1, "row": "\xff"}', "is no result"),
        (b'{"schema_version": 99}', "results of format 99 are not known"),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, content, problem):
    (tmp_path / "result.json").write_bytes(content)
    (tmp_path / "other.json").write_bytes(b'{"schema_version": 1, "row": "\xff"}')
    with pytest.raises(InputError, match=problem):
        read_results(tmp_path)


def test_an_absent_file_or_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        read_result(tmp_path / "result.json")
    with pytest.raises(InputError, match="no such folder"):
        read_results(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no result of a benchmark job; run"):
        read_results(tmp_path)
