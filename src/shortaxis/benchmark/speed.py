"""Training speed in the steady state, against the arithmetic that it needs at least."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from shortaxis.errors import InputError
from shortaxis.inference.device import choose_device, device_in_words
from shortaxis.networks.cost import network_cost
from shortaxis.training.loop import Run
from shortaxis.training.processes import Processes
from shortaxis.training.resident import ResidentSet
from shortaxis.training.run import spec_of

if TYPE_CHECKING:
    from shortaxis.training.recipe import Recipe

# Backward passes cost about twice the forward pass: a gradient for the input and one for the weights of every layer.
PASSES: Final = 3
# Depths that repeat ACDC's spread (6 to 18 slices, 9.5 on average).
DEPTHS: Final = (6, 7, 8, 8, 9, 9, 9, 10, 10, 10, 10, 10, 11, 12, 13, 18)


@dataclass(frozen=True)
class TrainingSpeed:
    """What was measured.

    Attributes:
        recipe: Name of the recipe.
        hardware: Device, in words.
        torch: Version.
        steps: Steps that were timed.
        slices: Real slices that were trained on in them, without padding.
        seconds: Wall time of the timed steps, augmentation included.
        slices_per_second: `slices / seconds`.
        padding: Share of the slots that were padding.
        gflop_per_slice: Multiply and add count of forward and backward pass of all members, in 10⁹ operations.
        tflops: Useful arithmetic per second, in 10¹² operations.
        peak_memory_gib: Largest memory taken on a GPU, in GiB; None on a CPU.
    """

    recipe: str
    hardware: str
    torch: str
    steps: int
    slices: int
    seconds: float
    slices_per_second: float
    padding: float
    gflop_per_slice: float
    tflops: float
    peak_memory_gib: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return asdict(self)


def training_speed(recipe: Recipe, *, device: str = "auto", steps: int = 50, warm_up: int = 10) -> TrainingSpeed:
    """Time training steps on made-up frames with the depths of ACDC; speed does not depend on what the images show.

    Args:
        recipe: What to train; its schedule is cut to the steps that are needed.
        device: See `choose_device`.
        steps: Steps to time.
        warm_up: Steps before, for tuning and compiling.

    Raises:
        InputError: `steps` or `warm_up` is not positive, or the device is not there.
    """
    if steps < 1 or warm_up < 1:
        msg = f"speed: steps ({steps}) and warm-up ({warm_up}) must be at least 1"
        raise InputError(msg)
    chosen = choose_device(device)
    spec = spec_of(recipe)
    size = spec.build_grid().size
    ensemble = spec.build().to(chosen).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run = Run(recipe, ensemble, _made_up(size, chosen), None, Processes(0, 1, chosen))
    run.total = steps + warm_up
    run.train(steps=warm_up)
    counted: list[int] = []
    run.on_progress = lambda progress: counted.append(progress.slices)
    _wait(chosen)
    begun = time.perf_counter()
    run.train(steps=steps)
    _wait(chosen)
    seconds = time.perf_counter() - begun
    slices = sum(counted)
    crop = recipe.augmentation.crop or size
    forward = sum(network_cost(member, crop).flops for member in ensemble.members)
    return TrainingSpeed(
        recipe=recipe.name,
        hardware=device_in_words(chosen),
        torch=torch.__version__,
        steps=steps,
        slices=slices,
        seconds=seconds,
        slices_per_second=slices / seconds,
        padding=1 - slices / (steps * recipe.batch.slices),
        gflop_per_slice=PASSES * forward / 1e9,
        tflops=PASSES * forward * slices / seconds / 1e12,
        peak_memory_gib=torch.cuda.max_memory_allocated(chosen) / 2**30 if chosen.type == "cuda" else None,
    )


def _made_up(size: int, device: torch.device) -> ResidentSet:
    generator = torch.Generator().manual_seed(0)
    depths = DEPTHS * 4
    images = torch.randn((sum(depths), size, size), generator=generator).half()
    labels = torch.randint(0, 4, (sum(depths), size // 8 + 1, size // 8 + 1), generator=generator, dtype=torch.uint8)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :size, :size].contiguous()
    centres, pixels = torch.zeros(len(depths), 2), torch.ones(len(depths))
    return ResidentSet(images.to(device), labels.to(device), depths, centres.to(device), pixels.to(device))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
