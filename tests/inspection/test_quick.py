"""An inspection answers at once: what it does not need is not loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

import shortaxis.segmenting


def test_an_inspection_loads_neither_networks_nor_figures():
    code = "import sys, shortaxis.inspection; print(sorted({'torch', 'matplotlib', 'shortaxis.segmenting.run'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout == "[]\n"


@pytest.mark.parametrize("name", shortaxis.segmenting.__all__)
def test_every_name_of_segmenting_is_there_when_it_is_asked_for(name):
    assert getattr(shortaxis.segmenting, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segmnet_inputs'"):
        _ = shortaxis.segmenting.segmnet_inputs
