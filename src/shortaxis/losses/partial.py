"""Scoring what is annotated, and nothing else.

A data set may annotate some structures only, or leave a border undecided. Before any loss sees them, the classes that nobody annotated join
the background, in the prediction as in the labels; so a loss scores the annotated structures against the rest, and a class that is
absent from both costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.labels import UNKNOWN, Structure

if TYPE_CHECKING:
    from torch import Tensor


def merge_unannotated(probabilities: Tensor, labels: Tensor, annotated: Tensor) -> Tensor:
    """Add the probability of classes that are not annotated to the background's; a pixel labelled `UNKNOWN` is surely background.

    Args:
        probabilities: float32 (..., B, C, H, W).
        labels: int64 (B, H, W).
        annotated: bool (B, C), the classes that are annotated in each slice; the background always counts as annotated.

    Returns:
        Of the shape of `probabilities`.
    """
    kept = annotated.clone()
    kept[:, Structure.BACKGROUND] = True
    merged = probabilities * kept[:, :, None, None]
    rest = 1 - merged[..., Structure.BACKGROUND + 1 :, :, :].sum(dim=-3)
    merged = merged.clone()
    merged[..., Structure.BACKGROUND, :, :] = rest
    unknown = (labels == UNKNOWN)[:, None]
    certain = merged.new_zeros(merged.shape[-3])
    certain[Structure.BACKGROUND] = 1
    return merged.where(~unknown, certain[:, None, None])


def known_labels(labels: Tensor) -> Tensor:
    """Labels (B, H, W) with background in place of `UNKNOWN`."""
    return labels.masked_fill(labels == UNKNOWN, Structure.BACKGROUND)
