"""Iterative back-propagation (Parreño et al., M&Ms, STACOM 2020): change an image until a classifier takes it for another scanner's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from shortaxis.training.domains import domain_loss

if TYPE_CHECKING:
    from torch import nn

RATE: Final = 0.95
THRESHOLD: Final = 0.1
STEPS: Final = 100
_SMALLEST: Final = 1e-6


def train_classifier(
    classifier: nn.Module, images: Tensor, domains: Tensor, *, steps: int, batch: int = 32, rate: float = 1e-3, seed: int = 0
) -> None:
    """Teach a network to tell domains apart, in place; it is left in evaluation mode, its weights fixed.

    Args:
        classifier: From slices (B, 1, H, W) to logits (B, D), on the device of the images.
        images: float (S, H, W), normalised.
        domains: int64 (S,).
        steps: Of Adam.
        batch: Slices in a batch, drawn so that every domain is as likely as any other.
        rate: Learning rate.
        seed: Draws the batches.
    """
    classifier.train()
    optimizer = torch.optim.Adam(classifier.parameters(), lr=rate)
    draw = torch.Generator(images.device).manual_seed(seed)
    shares = 1 / torch.bincount(domains)[domains].float()
    for _ in range(steps):
        chosen = torch.multinomial(shares, batch, replacement=True, generator=draw)
        optimizer.zero_grad(set_to_none=True)
        loss = domain_loss(classifier(images[chosen, None].float()), domains[chosen], torch.ones(batch, device=images.device))
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    classifier.eval().requires_grad_(requires_grad=False)


def transfer(
    images: Tensor, classifier: nn.Module, target: Tensor, *, rate: float = RATE, threshold: float = THRESHOLD, steps: int = STEPS
) -> Tensor:
    """Move slices to another domain.

    Each step normalises a slice, takes the gradient of the classifier's cross-entropy to the target, and goes against it; grey values stay
    above the slice's darkest. A slice is left alone as soon as the classifier gives the target to within the threshold.

    Args:
        images: float (B, H, W).
        classifier: From slices (B, 1, H, W) to logits (B, D), in evaluation mode.
        target: float (B, D), the probabilities to be reached, such as one-hot rows, or 1 / D everywhere for no domain at all.
        rate: λ, the length of a step relative to the gradient.
        threshold: Largest difference of any probability from its target at which a slice is done.
        steps: Most steps.

    Returns:
        float32 (B, H, W), each slice of mean 0 and standard deviation 1.
    """
    values = images.float() - images.float().amin(dim=(1, 2), keepdim=True)
    for _ in range(steps):
        values = values.detach().requires_grad_()
        logits = classifier(_normalised(values)[:, None])
        wrong = (torch.softmax(logits, dim=1) - target).abs().amax(dim=1) > threshold
        if not wrong.any():
            break
        loss = -(target * torch.log_softmax(logits, dim=1)).sum(dim=1)[wrong].sum()
        (gradient,) = torch.autograd.grad(loss, values)
        values = torch.where(wrong[:, None, None], (values - rate * gradient).clamp(min=0), values)
    return _normalised(values.detach())


def _normalised(values: Tensor) -> Tensor:
    mean = values.mean(dim=(1, 2), keepdim=True)
    return (values - mean) / values.std(dim=(1, 2), keepdim=True).clamp(min=_SMALLEST)
