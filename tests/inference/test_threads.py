"""Where networks run on the CPU, OpenBLAS does not take the cores from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from shortaxis.ensemble import ModelSpec
from shortaxis.inference import Model
from shortaxis.inference.threads import cores_for


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["internal_api"] == "openblas"}


@pytest.fixture
def two_threads():
    """As on a machine of two cores; the tests themselves run with one."""
    if not threads():
        pytest.skip("NumPy multiplies without OpenBLAS here")
    with threadpool_limits(2, user_api="blas"):
        yield
        assert threads() == {2}, "as many as before"


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("device", "expected"), [("cpu", {1}), ("cuda", {2})])
def test_openblas_has_one_thread_while_networks_run_on_the_cpu(device, expected):
    with cores_for(torch.device(device)):
        assert threads() == expected


@pytest.mark.usefixtures("two_threads")
def test_threads_come_back_after_an_error():
    with pytest.raises(KeyError), cores_for(torch.device("cpu")):
        raise KeyError


@pytest.mark.usefixtures("two_threads")
def test_of_blocks_that_overlap_the_last_one_brings_them_back():
    first, second = cores_for(torch.device("cpu")), cores_for(torch.device("cpu"))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert threads() == {1}
    second.__exit__(None, None, None)
    assert threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_a_model_runs_its_networks_so():
    spec = ModelSpec(
        "tiny", [{"network": "unet", "options": {"widths": [4]}}], {"rule": "fixed"}, {"kind": "physical", "spacing_mm": 2.0, "size": 16}
    )
    model, seen = Model(spec.build(), spec), []
    model.ensemble.register_forward_hook(lambda *_: seen.append(threads()))
    model.segment_frame(np.random.default_rng(0).normal(size=(2, 16, 16)), (2.0, 2.0))
    assert seen == [{1}]
