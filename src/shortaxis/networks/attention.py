"""What the attention networks share: attention of heads over tokens, the two-layer perceptron, stochastic depth, and first values."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al., 2017), with biases on all projections.

    The scores are never stored as a whole where torch has a kernel for it.

    Args:
        channels: Of the tokens.
        heads: Number of heads, a divisor of `channels`.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.combine = nn.Linear(channels, channels)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Let tokens look at each other.

        Args:
            tokens: (..., N, C).
            bias: float, added to the scores, or None; broadcast to (..., heads, N, N). Minus infinity hides a token from another.

        Returns:
            (..., N, C).
        """
        query, key, value = self.project(tokens).unflatten(-1, (3, self.heads, -1)).transpose(-2, -4).unbind(-3)
        bias = None if bias is None else bias.to(query.dtype)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        combined: Tensor = self.combine(seen.transpose(-2, -3).flatten(-2))
        return combined


class Perceptron(nn.Sequential):
    """Two linear layers with a GELU between them, dropout behind each.

    Args:
        channels: Of the input and the output.
        hidden: Of the layer between.
        dropout: Probability of dropping a value.
    """

    def __init__(self, channels: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__(nn.Linear(channels, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, channels), nn.Dropout(dropout))


class StochasticDepth(nn.Module):
    """Drops a residual branch of whole slices in training (Huang et al., ECCV 2016).

    Args:
        probability: Of dropping the branch of a slice; what remains is scaled up, so that its mean stays.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(probability)

    def forward(self, branch: Tensor) -> Tensor:
        """Drop some of a branch (B, ...)."""
        kept: Tensor = self.drop(branch.new_ones(len(branch), *(1,) * (branch.ndim - 1)))
        return branch * kept


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of every pixel of maps (B, C, H, W)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise."""
        normalised: Tensor = super().forward(maps.movedim(1, -1))
        return normalised.movedim(-1, 1)


def start_as_transformer(network: nn.Module) -> None:
    """Draw the weights of all linear layers from a normal distribution of standard deviation 0.02, cut at ±2, and set biases to zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
