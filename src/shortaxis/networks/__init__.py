"""The networks: any `nn.Module` from (B, 1, H, W) slices to (B, C, H, W) logits. A new one is one file here and one line in `NETWORKS`.

A network that looks at more than one slice has an attribute `needs_frames` that is true, and takes two more arguments: the frame of each
slice, int64 (B,), and which slices are valid, bool (B,) or None for all. Both may be left out for the slices of a single frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.networks.cost import Cost, network_cost
from shortaxis.networks.deeplabv3plus import DeepLabV3Plus
from shortaxis.networks.depth_unet import DepthUNet
from shortaxis.networks.fcnn2d import Fcnn2D
from shortaxis.networks.fcnn3d import Fcnn3D
from shortaxis.networks.fct import FCT
from shortaxis.networks.isensee2d import Isensee2D
from shortaxis.networks.isensee3d import Isensee3D
from shortaxis.networks.nnunet_like import NnUNetLike
from shortaxis.networks.parallel_merit import ParallelMERIT
from shortaxis.networks.resnet34_unet import ResNet34UNet
from shortaxis.networks.swin_unet import SwinUNet
from shortaxis.networks.transunet import TransUNet
from shortaxis.networks.unet import UNet
from shortaxis.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

NETWORKS: Final[Registry[Callable[..., nn.Module]]] = Registry(
    "network",
    {
        "deeplabv3plus": DeepLabV3Plus,
        "depth-unet": DepthUNet,
        "fcnn2d": Fcnn2D,
        "fcnn3d": Fcnn3D,
        "fct": FCT,
        "isensee2d": Isensee2D,
        "isensee3d": Isensee3D,
        "nnunet-like": NnUNetLike,
        "parallel-merit": ParallelMERIT,
        "resnet34-unet": ResNet34UNet,
        "swin-unet": SwinUNet,
        "transunet": TransUNet,
        "unet": UNet,
    },
)


def build_network(name: str, **options: Any) -> nn.Module:
    """Build a network by its registered name.

    Args:
        name: A key of `NETWORKS`.
        **options: Passed to the network's constructor.

    Raises:
        InputError: The name is unknown, or the network has no such option or cannot be built with it.
    """
    network = NETWORKS.named(name)
    try:
        return network(**options)
    except InputError:
        raise
    except Exception as error:  # a constructor may fail in any way
        reason = str(error).partition("\n")[0]  # torch adds a trace of its own from the second line on
        msg = f"network '{name}' does not take the options {options}: {reason}"
        raise InputError(msg) from error


__all__ = ["NETWORKS", "Cost", "DeepLabV3Plus", "DepthUNet", "UNet", "build_network", "network_cost"]
