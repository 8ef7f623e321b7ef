"""Deep supervision: the loss of the coarser maps that a network gives besides its logits while it is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch

from shortaxis.losses import MapsLoss, TotalLoss
from shortaxis.losses.partial import merge_unannotated
from shortaxis.losses.terms import SMALLEST
from shortaxis.training.map_supervision import MapSupervision

if TYPE_CHECKING:
    from torch import Tensor, nn

    from shortaxis.ensemble import StreamingEnsemble


@dataclass(frozen=True)
class DeepSupervision(TotalLoss):
    """The total loss, plus that of each network's auxiliary maps: ½ L for the finest, ¼ L for the next, and so on; mean over the networks.

    Labels of a map that is s times coarser are every s-th label.

    Attributes:
        networks: Those with an attribute `auxiliary`: a list of logits (B, C, H / s, W / s), the finest last, which is emptied here.
        count: Number of members of the ensemble.
    """

    networks: tuple[nn.Module, ...] = ()
    count: int = 1

    def __call__(self, probabilities: Tensor, members: Tensor, labels: Tensor, valid: Tensor, ends: Tensor) -> Tensor:
        """Return a scalar; the arguments are those of `TotalLoss`."""
        total = super().__call__(probabilities, members, labels, valid, ends)
        weight = self.slice_weights(valid, ends)
        for network in self.networks:
            maps, network.auxiliary = list(network.auxiliary), []  # type: ignore[arg-type, assignment]
            for step, logits in enumerate(reversed(maps), start=1):
                stride = labels.shape[-1] // logits.shape[-1]
                said = torch.softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
                total = total + self.loss(said, labels[:, ::stride, ::stride], weight) / (2**step * self.count)
        return total

    def leave_out(self, labels: Tensor, annotated: Tensor) -> None:
        """Replace the auxiliary maps by the logarithm of their probabilities without what is not annotated; see `merge_unannotated`."""
        for network in self.networks:
            maps = []
            for logits in network.auxiliary:  # type: ignore[union-attr]
                stride = labels.shape[-1] // logits.shape[-1]
                said = torch.softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
                maps.append(merge_unannotated(said, labels[:, ::stride, ::stride], annotated).clamp(min=SMALLEST).log())
            network.auxiliary = maps  # type: ignore[assignment]


def with_deep_supervision(loss: TotalLoss, ensemble: StreamingEnsemble) -> TotalLoss:
    """The loss that takes in the further maps of the ensemble's members; the loss itself where it knows none, or none has any."""
    own = {field.name: getattr(loss, field.name) for field in fields(loss)}
    if isinstance(loss.loss, MapsLoss):
        return MapSupervision(**own, maps_loss=loss.loss, networks=tuple(ensemble.members))
    networks = tuple(member for member in ensemble.members if hasattr(member, "auxiliary"))
    if not networks:
        return loss
    return DeepSupervision(**own, networks=networks, count=len(ensemble.members))
