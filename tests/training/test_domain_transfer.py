"""Iterative back-propagation on a toy classifier, which knows two scanners by the contrast of their images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from shortaxis.datasets.dataset import Dataset
from shortaxis.errors import InputError
from shortaxis.training import train
from shortaxis.training.domain_transfer import train_classifier, transfer
from shortaxis.training.policies import build_policy


class Corner(nn.Module):
    """Takes a slice for domain 1 by how bright its first quarter is."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(4.0))

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        bright = self.gain * slices[:, 0, :4, :4].mean(dim=(1, 2))
        return torch.stack([-bright, bright], dim=1)


@pytest.fixture
def slices() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(6, 8, 8)


def test_slices_reach_their_target_and_those_already_there_are_left_alone(slices) -> None:
    classifier = Corner().eval().requires_grad_(requires_grad=False)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(3, 1)
    moved = transfer(slices, classifier, target, rate=0.9, threshold=0.1, steps=250)
    assert ((torch.softmax(classifier(moved[:, None]), dim=1) - target).abs() <= 0.11).all()
    again = transfer(moved, classifier, target, threshold=0.2)
    torch.testing.assert_close(again, moved, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(moved.mean(dim=(1, 2)), torch.zeros(6), atol=1e-5, rtol=0)


def test_without_steps_a_slice_is_only_normalised(slices) -> None:
    classifier = Corner().eval()
    expected = (slices - slices.mean(dim=(1, 2), keepdim=True)) / slices.std(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(transfer(slices, classifier, torch.full((6, 2), 0.5), steps=0), expected)


def test_classifier_learns_from_domains_of_unequal_size() -> None:
    torch.manual_seed(0)
    images = torch.rand(20, 8, 8)
    images[16:, :4, :4] += 2
    domains = torch.tensor([0] * 16 + [1] * 4)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    train_classifier(classifier, images, domains, steps=40, batch=8, rate=1e-2)
    assert (classifier(images[:, None]).argmax(dim=1) == domains).all()
    assert not classifier.training
    assert not any(value.requires_grad for value in classifier.parameters())


def test_policy_shows_moved_images_with_the_labels_that_they_have(recipe, discs, tmp_path, monkeypatch) -> None:
    from dataclasses import replace  # noqa: PLC0415

    from shortaxis.training import transfer_run  # noqa: PLC0415

    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    step = transfer_run.Run._tuned_step

    def watched(run, *arguments):
        seen.append((run.data.images, run.data.labels))
        return step(run, *arguments)

    monkeypatch.setattr(transfer_run.Run, "_tuned_step", watched)
    monkeypatch.setattr(transfer_run, "transfer", lambda images, _classifier, _target: images + 1)
    scanners = Dataset("scanners", tuple(replace(ref, vendor="AB"[int(ref.patient[1]) % 2]) for ref in discs.refs))
    made = recipe(
        schedule={"epochs": None, "steps": 12, "warmup_epochs": 0.0},
        members=[{"network": "unet", "options": {"widths": [4, 8]}}],
        policy={"kind": "iterative", "classifier_steps": 1},
    )
    assert train(made, scanners, tmp_path, device="cpu").complete
    assert {bool(torch.equal(images, seen[0][0])) for images, _ in seen} == {True, False}
    assert all(torch.equal(labels, seen[0][1]) for _, labels in seen)


@pytest.mark.parametrize("options", [{"share": 1.5}, {"classifier_steps": 2.5}, {"by": "age"}])
def test_option_that_does_not_fit_is_refused(options) -> None:
    with pytest.raises(InputError, match=str(next(iter(options.values())))):
        build_policy({"kind": "iterative"} | options)
