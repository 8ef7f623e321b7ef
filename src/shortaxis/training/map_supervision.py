"""Training on a loss of all output maps of each network, in place of one of the pooled output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from shortaxis.errors import InputError
from shortaxis.losses import MapsLoss, TotalLoss, member_loss, mutation
from shortaxis.losses.terms import SMALLEST

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class MapSupervision(TotalLoss):
    """Mean over the networks of the loss of their maps, plus what a recipe adds to it.

    Attributes:
        maps_loss: Loss of the maps.
        networks: All members. One with an attribute `output_maps` has there the logits of the slices last seen in training, a map of full
            size first; the list is emptied here. The map of any other is its own probabilities.
    """

    maps_loss: MapsLoss = MapsLoss(mutation)  # noqa: RUF009 - frozen
    networks: tuple[nn.Module, ...] = ()

    def leave_out(self, labels: Tensor, annotated: Tensor) -> None:  # noqa: ARG002
        """Refuse labels that are not whole.

        Raises:
            InputError: Always.
        """
        msg = "a loss of several output maps needs frames in which everything is annotated; choose another loss, or leave such frames out"
        raise InputError(msg)

    def __call__(self, probabilities: Tensor, members: Tensor, labels: Tensor, valid: Tensor, ends: Tensor) -> Tensor:  # noqa: ARG002
        """Return a scalar; the arguments are those of `TotalLoss`."""
        weight = self.slice_weights(valid, ends)
        losses = []
        for network, own in zip(self.networks, members, strict=True):
            maps = list(getattr(network, "output_maps", ())) or [own.clamp(min=SMALLEST).log()]
            losses.append(self.maps_loss.of_maps(maps, labels, weight))
            if hasattr(network, "output_maps"):
                network.output_maps = []  # type: ignore[assignment]
        total = torch.stack(losses).mean()
        if self.member_weight:
            total = total + self.member_weight * member_loss(self.loss, members, labels, weight)
        if self.diversity is not None:
            total = total + self.diversity_weight * self.diversity(members, labels, weight)
        return total
