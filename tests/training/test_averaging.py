from __future__ import annotations

import pytest
import torch
from torch import nn

from shortaxis.training.averaging import AveragedWeights


def test_average_follows_the_formula_worked_by_hand():
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 0.0)
    average = AveragedWeights(module, decay=0.5)
    nn.init.constant_(module.weight, 1.0)
    average.update(module, step=0)  # decay (1 + 0) / (10 + 0) = 0.1: 0.1 * 0 + 0.9 * 1
    assert average.module.weight.item() == pytest.approx(0.9)
    average.update(module, step=1000)  # decay 0.5: 0.5 * 0.9 + 0.5 * 1
    assert average.module.weight.item() == pytest.approx(0.95)


def test_decay_zero_keeps_the_last_weights_and_buffers():
    module = nn.BatchNorm1d(2)
    average = AveragedWeights(module, decay=0.0)
    module.train()(torch.randn(8, 2))
    average.update(module, step=3)
    for name, value in module.state_dict().items():
        assert torch.equal(average.module.state_dict()[name], value)


def test_the_average_takes_no_gradient_and_stays_in_evaluation_mode():
    average = AveragedWeights(nn.Dropout(), decay=0.9)
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in AveragedWeights(nn.Linear(1, 1), 0.9).module.parameters())


def test_plain_average_follows_until_its_first_step_and_weighs_all_from_there_alike():
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 0.0)
    average = AveragedWeights(module, decay=0.0, first=2)
    found = []
    for step, value in enumerate((9.0, 7.0, 1.0, 4.0, 4.0)):
        nn.init.constant_(module.weight, value)
        average.update(module, step)
        found.append(average.module.weight.item())
    assert found == pytest.approx([9.0, 7.0, 1.0, (1 + 4) / 2, (1 + 4 + 4) / 3])
