"""Test-time transforms, each with its inverse. A new transform is one class and one line.

`apply` changes the normalised slices of one frame, float (D, 1, G, G). `invert` brings what was said of the changed slices, float
(..., G, G), back to where it belongs on the unchanged ones; for a change of grey values that is where it already is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol

import torch
import torch.nn.functional as F

from shortaxis.errors import InputError
from shortaxis.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class Transform(Protocol):
    """A change of the slices of one frame, and the way back.

    Attributes:
        notice: What a reader of any result must be told, or None.
    """

    notice: ClassVar[str | None]

    def apply(self, slices: Tensor) -> Tensor:
        """Change slices (D, 1, G, G)."""
        ...

    def invert(self, values: Tensor) -> Tensor:
        """Bring values (..., G, G) back."""
        ...


@dataclass(frozen=True)
class Flip:
    """Mirror along one in-plane axis; exact. A mirrored heart occurs in no patient: only for networks that were trained with mirrors.

    Attributes:
        axis: `height` or `width`.
    """

    axis: Literal["height", "width"] = "width"
    notice: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if self.axis not in ("height", "width"):
            msg = f"flip: the axis must be 'height' or 'width', not {self.axis!r}"
            raise InputError(msg)

    def apply(self, slices: Tensor) -> Tensor:
        """Mirror."""
        return slices.flip(-2 if self.axis == "height" else -1)

    def invert(self, values: Tensor) -> Tensor:
        """Mirror again."""
        return self.apply(values)


@dataclass(frozen=True)
class QuarterTurn:
    """Turn by multiples of 90 degrees, counter-clockwise; exact.

    Attributes:
        turns: 1, 2 or 3.
    """

    turns: int = 1
    notice: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if self.turns not in (1, 2, 3):
            msg = f"quarter-turn: turns must be 1, 2 or 3, not {self.turns!r}"
            raise InputError(msg)

    def apply(self, slices: Tensor) -> Tensor:
        """Turn."""
        return torch.rot90(slices, self.turns, (-2, -1))

    def invert(self, values: Tensor) -> Tensor:
        """Turn back."""
        return torch.rot90(values, -self.turns, (-2, -1))


@dataclass(frozen=True)
class Shift:
    """Move by whole pixels, so that the networks' strides meet other pixels; exact, since what leaves on one side enters on the other.

    Attributes:
        rows: Downwards.
        columns: To the right.
    """

    rows: int = 0
    columns: int = 0
    notice: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        for value in (self.rows, self.columns):
            if not isinstance(value, int):
                msg = f"shift: rows and columns must be whole numbers of pixels, not {value!r}"
                raise InputError(msg)

    def apply(self, slices: Tensor) -> Tensor:
        """Move."""
        return slices.roll((self.rows, self.columns), (-2, -1))

    def invert(self, values: Tensor) -> Tensor:
        """Move back."""
        return values.roll((-self.rows, -self.columns), (-2, -1))


@dataclass(frozen=True)
class Gamma:
    """Raise the grey values of each slice, between its least and its greatest, to a power, as the training's augmentation does.

    The inverse is exact: nothing moves.

    Attributes:
        exponent: Below 1 brightens, above 1 darkens.
    """

    exponent: float
    notice: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        _check_positive("gamma", "exponent", self.exponent)

    def apply(self, slices: Tensor) -> Tensor:
        """Change the grey values."""
        low, high = slices.amin(dim=(-2, -1), keepdim=True), slices.amax(dim=(-2, -1), keepdim=True)
        width = (high - low).clamp(min=1e-3)
        return ((slices - low) / width).clamp(0, 1) ** self.exponent * width + low

    def invert(self, values: Tensor) -> Tensor:
        """Leave everything where it is."""
        return values


@dataclass(frozen=True)
class Rotation:
    """Turn about the centre by bilinear interpolation, the edge repeated.

    The inverse is the turn by the opposite angle, interpolated again: exact for what is linear in the pixel's position, a smoothing by at
    most a pixel elsewhere; what left the square is lost and filled with the edge.

    Attributes:
        degrees: Counter-clockwise as the picture is seen.
    """

    degrees: float
    notice: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        _check_number("rotation", "degrees", self.degrees)

    def apply(self, slices: Tensor) -> Tensor:
        """Turn."""
        return _warped(slices, *_turn(self.degrees))

    def invert(self, values: Tensor) -> Tensor:
        """Turn by the opposite angle."""
        return _warped(values, *_turn(-self.degrees))


@dataclass(frozen=True)
class Scale:
    """Magnify about the centre by bilinear interpolation, the edge repeated.

    The inverse magnifies by the reciprocal, interpolated again: see `Rotation`.

    Attributes:
        factor: Above 1 the heart appears larger.
    """

    factor: float
    notice: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        _check_positive("scale", "factor", self.factor)

    def apply(self, slices: Tensor) -> Tensor:
        """Magnify."""
        return _warped(slices, 1 / self.factor, 0.0)

    def invert(self, values: Tensor) -> Tensor:
        """Magnify by the reciprocal."""
        return _warped(values, self.factor, 0.0)


@dataclass(frozen=True)
class AsPublished:
    """The mistake of the paper's published code, kept for comparison: `invert` is NOT the inverse of `apply`.

    `apply` turns the frame in the depth-height plane, where the slices are a few pixels thick, so that most of the picture leaves the frame
    and becomes black; then it mirrors along the width. `invert` turns back by the same angle, but in the image plane, and never undoes the
    mirror.

    Attributes:
        degrees: Angle of both turns.
    """

    degrees: float = 90.0
    notice: ClassVar[str | None] = (
        "augmenting as the paper's published code does it, with its mistake (the views are not turned back to where they belong); "
        "for comparison only"
    )

    def __post_init__(self) -> None:
        _check_number("as-published", "degrees", self.degrees)

    def apply(self, slices: Tensor) -> Tensor:
        """Turn in the depth-height plane, mirror along the width."""
        depth, _, height, _ = slices.shape
        black = slices.amin()
        volume = (slices[:, 0] - black).permute(2, 0, 1)[None]  # (1, W, D, H): a turn of D x H pictures, one for each column
        cos, sin = _turn(self.degrees)
        d, h = torch.meshgrid(
            *(torch.arange(n, dtype=slices.dtype, device=slices.device) - (n - 1) / 2 for n in (depth, height)), indexing="ij"
        )
        # Positions count in pixels from the centre; half a picture is D / 2 or H / 2 of them.
        looks_at = torch.stack([(cos * h - sin * d) / (height / 2), (sin * h + cos * d) / (depth / 2)], dim=-1)[None]
        turned = F.grid_sample(volume, looks_at, mode="bilinear", padding_mode="zeros", align_corners=False)
        return (turned[0].permute(1, 2, 0)[:, None] + black).flip(-1)

    def invert(self, values: Tensor) -> Tensor:
        """Turn back in the image plane, and leave the mirror."""
        return Rotation(self.degrees).invert(values)


TRANSFORMS: Final[Registry[Callable[..., Transform]]] = Registry(
    "test-time transform",
    {
        "flip": Flip,
        "quarter-turn": QuarterTurn,
        "shift": Shift,
        "gamma": Gamma,
        "rotation": Rotation,
        "scale": Scale,
        "as-published": AsPublished,
    },
)


def build_transform(kind: str, **options: Any) -> Transform:
    """Build a transform by its registered name.

    Raises:
        InputError: The name is unknown, or the transform has no such option or refuses its value.
    """
    transform = TRANSFORMS.named(kind)
    try:
        return transform(**options)
    except TypeError as error:
        msg = f"test-time transform '{kind}' does not take the options {options}: {error}"
        raise InputError(msg) from error


def _turn(degrees: float) -> tuple[float, float]:
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _warped(values: Tensor, a: float, b: float) -> Tensor:
    """Sample (..., G, G) where the map (x, y) -> (a x - b y, b x + a y) looks, (x, y) in [-1, 1] from the centre; y points down."""
    pictures = values.reshape(1, -1, *values.shape[-2:]).float()
    with torch.autocast(values.device.type, enabled=False):  # affine_grid is a matrix product: in bfloat16 it errs by half a pixel
        matrix = pictures.new_tensor([[a, -b, 0.0], [b, a, 0.0]])[None]
        sampling = F.affine_grid(matrix, [*pictures.shape], align_corners=False)
        moved = F.grid_sample(pictures, sampling, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.reshape(values.shape)


def _check_number(transform: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{transform}: {name} must be a number, not {value!r}"
        raise InputError(msg)


def _check_positive(transform: str, name: str, value: object) -> None:
    _check_number(transform, name, value)
    if not value > 0:  # type: ignore[operator]
        msg = f"{transform}: {name} must be above zero, not {value!r}"
        raise InputError(msg)
