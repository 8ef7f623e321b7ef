"""The residual encoder of ResNet-34 (He et al., CVPR 2016) for slices of one channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch.nn.functional as F
from torch import Tensor, nn

from shortaxis.errors import InputError
from shortaxis.networks.pretrained import read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RESNET34: Final = {"b627a593": "ResNet-34, ImageNet-1k (torchvision)", "333f7ec4": "ResNet-34, ImageNet-1k (torchvision, 2017)"}
"""First eight digits of the SHA-256 of the files whose weights are known to fit, as their publishers put them into the file names."""


class ResNetEncoder(nn.Module):
    """Stem and stages of a ResNet of basic blocks, without the max-pooling behind the stem: strides 2, 2, 4, 8, 16.

    Args:
        widths: Channels of the stages; the stem has those of the first.
        blocks: Residual blocks of each stage.

    Raises:
        InputError: There are not as many widths as numbers of blocks, four, or one is out of range.
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512), blocks: Sequence[int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        fit = len(widths) == len(blocks) == 4 and all(4 <= width <= 512 and width % 4 == 0 for width in widths)
        if not fit or not all(1 <= count <= 36 for count in blocks):
            msg = f"ResNet: give four widths, multiples of 4 up to 512, and four numbers of blocks, not {list(widths)} and {list(blocks)}"
            raise InputError(msg)
        self.conv1 = nn.Conv2d(1, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        stages = []
        inputs = widths[0]
        for index, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            first = BasicBlock(inputs, width, stride=2 if index else 1)
            stages.append(nn.Sequential(first, *(BasicBlock(width, width) for _ in range(count - 1))))
            inputs = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stages(self) -> tuple[nn.Module, ...]:
        """The four stages, finest first."""
        return (self.layer1, self.layer2, self.layer3, self.layer4)

    def stem(self, slices: Tensor) -> Tensor:
        """Turn slices (B, 1, H, W) into features at half the resolution."""
        return F.relu(self.bn1(self.conv1(slices)))

    def forward(self, slices: Tensor) -> list[Tensor]:
        """Turn slices (B, 1, H, W) into the features of the four stages."""
        x, features = self.stem(slices), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def load_pretrained(self, path: Path | str) -> str:
        """Take over the weights of a file for ResNet-34 on colour images; the first kernel is summed over the colours.

        Args:
            path: A `.pth` or `.safetensors` file with the names of torchvision and timm. Its SHA-256 must begin as one in `RESNET34`.

        Returns:
            What the weights are, in words.

        Raises:
            InputError: The file is missing, damaged or unknown, or its weights do not fit.
        """
        weights, title = read_weights(path, RESNET34)
        weights = {name: value for name, value in weights.items() if not name.startswith("fc.")}
        if weights.get("conv1.weight") is not None:
            weights["conv1.weight"] = weights["conv1.weight"].sum(dim=1, keepdim=True)
        own = self.state_dict()
        counters = {name: value for name, value in own.items() if name.endswith("num_batches_tracked")}
        complete = counters | weights
        names = own.keys() | complete.keys()
        misfit = sorted(name for name in names if not (name in own and name in complete and own[name].shape == complete[name].shape))
        if misfit:
            msg = f"{path}: its weights do not fit this encoder (first at '{misfit[0]}'); use the widths and blocks of ResNet-34"
            raise InputError(msg)
        self.load_state_dict(complete)
        return title


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut.

    Args:
        inputs: Channels of the features.
        outputs: Channels of the result.
        stride: Of the first convolution and the shortcut.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Turn features (B, inputs, H, W) into (B, outputs, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)
