from __future__ import annotations

import pytest
import torch

from shortaxis.errors import InputError
from shortaxis.inference.device import choose_device, device_in_words


@pytest.mark.parametrize(("name", "reason"), [("tpu9", "no such kind"), ("meta", "no such kind"), ("cuda:97", "CUDA devices")])
def test_a_device_that_is_not_there_is_refused(name, reason):
    with pytest.raises(InputError, match=rf"--device {name}: .*{reason}"):
        choose_device(name)


def test_auto_takes_what_is_there():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_cpu_is_named_with_its_threads():
    assert f"{torch.get_num_threads()} threads" in device_in_words(torch.device("cpu"))
