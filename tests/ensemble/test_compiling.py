"""The ensemble for the compiler and for the device: one graph, and no value that the host would wait for."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from shortaxis.ensemble import Entropy, Fixed, LearnedTemperature, MutualInformation, StreamingEnsemble, Uncertainty
from shortaxis.losses import DIVERSITIES, LOSSES, TotalLoss
from shortaxis.networks import DepthUNet

RULES = [Fixed(), Uncertainty(), Uncertainty(radius=1), Entropy(radius=0), MutualInformation(), LearnedTemperature(Uncertainty())]
OWNER, VALID = torch.tensor([0, 0, 1, 1, 0]), torch.arange(5) < 4
ENDS = torch.tensor([True, False, True, True, False])


def ensemble_of(rule) -> StreamingEnsemble:
    torch.manual_seed(0)
    return StreamingEnsemble([nn.Conv2d(1, 4, 1), DepthUNet((2, 4), heads=2)], rule)


@pytest.mark.slow
def test_ensemble_is_one_graph() -> None:
    """`fullgraph` raises where the graph breaks."""
    for rule in (Uncertainty(), Uncertainty(radius=1), LearnedTemperature(Entropy())):
        torch.compiler.reset()
        ensemble = ensemble_of(rule).eval()
        compiled = torch.compile(ensemble, fullgraph=True, backend="eager")
        slices = torch.randn(5, 1, 8, 8)
        found = compiled(slices, OWNER, n_frames=2, valid=VALID)
        torch.testing.assert_close(found.probabilities, ensemble(slices, OWNER, n_frames=2, valid=VALID).probabilities)


class Waiting(TorchDispatchMode):
    """Collects the operations whose result the host needs before it can go on: they stall a GPU."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "repeat_interleave", "equal", "lift_fresh")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masked = name in {"index", "index_put_"} and any(part is not None and part.dtype == torch.bool for part in args[1])
        if name in self.WAITS or masked:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def test_a_wait_is_noticed() -> None:
    with Waiting() as waiting:
        values = torch.arange(3)
        _ = values[values > 1]
        _ = float(values[0])
    assert waiting.found == ["index", "_local_scalar_dense"]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_forward_and_backward_never_wait_for_the_device(rule) -> None:
    ensemble, labels = ensemble_of(rule), torch.randint(0, 4, (5, 8, 8))
    losses = [TotalLoss(loss, 0.5, term, 0.1, 3.0) for loss in LOSSES.values() for term in DIVERSITIES.values()]
    with Waiting() as waiting:
        output = ensemble(torch.randn(5, 1, 8, 8), OWNER, n_frames=2, valid=VALID)
        torch.stack([loss(output.probabilities, output.members, labels, VALID, ENDS) for loss in losses]).sum().backward()
    assert waiting.found == []
