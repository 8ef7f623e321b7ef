"""Augmenting: asking a trained ensemble about several views of one frame, and pooling the answers where they belong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import torch

from shortaxis.ensemble.streaming import EnsembleOutput
from shortaxis.ensemble.transforms import build_transform
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from shortaxis.ensemble.streaming import StreamingEnsemble
    from shortaxis.ensemble.transforms import Transform

MOST_VIEWS: Final = 16
"""More would make a model file of a few bytes that takes hours to run."""

MOST_TURNED_VIEWS: Final = 9
"""To 40 degrees either way: the released model was trained with turns of up to 45."""

STEP_DEG: Final = 10.0

Order = Literal["members-first", "views-first"]


@dataclass(frozen=True)
class Augmenting:
    """The views of a frame that an ensemble is asked about; the frame as it is always is the first.

    Attributes:
        transforms: The other views; none means plain segmentation.
        order: `members-first` pools the members in each view and takes the mean of the pooled probabilities. `views-first` takes, for each
            member, the mean of its own probabilities over the views, and then pools the members: σ and ω̄ are those of the means. With
            Fixed pooling and no outer softmax both are the same.

    Examples:
        >>> import torch
        >>> from shortaxis.ensemble import StreamingEnsemble
        >>> from shortaxis.ensemble.transforms import Rotation
        >>> from shortaxis.networks import UNet
        >>> solo = StreamingEnsemble([UNet((4, 8))], "fixed").eval()
        >>> views = Augmenting((Rotation(10.0), Rotation(-10.0)))
        >>> tuple(views(solo, torch.zeros(5, 1, 32, 32)).probabilities.shape)
        (5, 4, 32, 32)
    """

    transforms: tuple[Transform, ...] = ()
    order: Order = "members-first"

    def __post_init__(self) -> None:
        if self.order not in ("members-first", "views-first"):
            msg = f"augmenting: the order must be 'members-first' or 'views-first', not {self.order!r}"
            raise InputError(msg)
        if len(self.transforms) >= MOST_VIEWS:
            msg = f"augmenting: {len(self.transforms)} transforms are too many; give at most {MOST_VIEWS - 1}"
            raise InputError(msg)

    def __call__(self, ensemble: StreamingEnsemble, slices: Tensor) -> EnsembleOutput:
        """Segment one frame.

        Args:
            ensemble: Any ensemble, one network among them.
            slices: float (D, 1, G, G), normalised, all of one frame.

        Returns:
            As the ensemble itself, on the unchanged frame. `members` are means over the views, and under `members-first` so are `sigma` and
            `omega`.
        """
        plain: EnsembleOutput = ensemble(slices)
        if not self.transforms:
            return plain
        views = [plain, *(_brought_back(ensemble(transform.apply(slices)), transform) for transform in self.transforms)]
        members = _mean([view.members for view in views])
        if self.order == "views-first":
            return ensemble.pool(members)
        sigmas = [view.sigma for view in views if view.sigma is not None]
        return EnsembleOutput(
            _mean([view.probabilities for view in views]), members, _mean(sigmas) if sigmas else None, _mean([view.omega for view in views])
        )

    @property
    def notice(self) -> str | None:
        """What a reader of any result must be told, or None."""
        return next((transform.notice for transform in self.transforms if transform.notice), None)


def build_augmenting(table: dict[str, Any]) -> Augmenting:
    """Build the views from plain types.

    Args:
        table: `transforms`, a list of tables with `kind` and the options of the kind, and `order`; empty for none.

    Raises:
        InputError: The table is unfit.
    """
    unknown = sorted(table.keys() - {"transforms", "order"})
    if unknown:
        msg = f"augmenting: '{unknown[0]}' is not known; give 'transforms' and 'order'"
        raise InputError(msg)
    transforms = table.get("transforms", [])
    if not isinstance(transforms, list) or not all(isinstance(entry, dict) and isinstance(entry.get("kind"), str) for entry in transforms):
        msg = f"augmenting: 'transforms' must be a list of tables that each have a 'kind', not {transforms!r}"
        raise InputError(msg)
    return Augmenting(tuple(build_transform(**entry) for entry in transforms), table.get("order", "members-first"))


def turned_views(number: int) -> dict[str, Any]:
    """The frame as it is, and turned by 10, −10, 20, −20, … degrees, for networks that were trained with such turns.

    Args:
        number: Views in all; 1 is plain segmentation.

    Returns:
        A table for `build_augmenting` and `ModelSpec.augmenting`.

    Raises:
        InputError: There are none, or more than `MOST_TURNED_VIEWS`.

    Examples:
        >>> [transform["degrees"] for transform in turned_views(4)["transforms"]]
        [10.0, -10.0, 20.0]
        >>> turned_views(1)
        {}
    """
    if not 1 <= number <= MOST_TURNED_VIEWS:
        msg = f"views: {number} is no number of views; give 1 to {MOST_TURNED_VIEWS}"
        raise InputError(msg)
    turns = [(1 if place % 2 else -1) * ((place + 1) // 2) * STEP_DEG for place in range(1, number)]
    return {"transforms": [{"kind": "rotation", "degrees": degrees} for degrees in turns], "order": "members-first"} if turns else {}


def _brought_back(output: EnsembleOutput, transform: Transform) -> EnsembleOutput:
    return EnsembleOutput(*(None if values is None else transform.invert(values) for values in output))  # type: ignore[arg-type]


def _mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean(dim=0)
