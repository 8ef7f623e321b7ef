"""A GPU without a GPU: tensors that have a shape, a dtype and the device `cuda`, but no values.

An operation between one of them and a tensor on the host is an error, as it is on a GPU; so is reading a value back, which makes the device
wait. The stand-in has no autocast, no backward pass and no compiler.

It rests on parts of torch that are not public and may end the process: `test_gpu_stand_in.py` runs it in one of its own, with the names of
recipes, and reads a line of JSON for each.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from shortaxis.training import loop
from shortaxis.training.loop import Run
from shortaxis.training.processes import Processes
from shortaxis.training.recipe import load_recipe
from shortaxis.training.resident import ResidentSet
from shortaxis.training.run import spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.training.recipe import Recipe

CUDA = torch.device("cuda", 0)


@contextmanager
def stand_in_gpu() -> Iterator[None]:
    """Let tensors be made on `cuda`, and take over the few operators that ask the driver before they ask the tensor."""
    with ExitStack() as stack:
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=False))
        torch._C._ensureCUDADeviceGuardSet()
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, stand_in in {"__getitem__": _take, "__invert__": torch.ops.aten.bitwise_not, "copy_": _copy}.items():
            patch.setattr(Tensor, name, _on_cuda(stand_in, getattr(Tensor, name)))
        patch.setattr(torch.backends.cudnn, "enabled", False)
        patch.setattr(loop, "_to_device", lambda values, device: torch.empty(values.shape, dtype=values.dtype, device=device))
        stack.enter_context(torch.no_grad())
        yield


def _on_cuda(stand_in: Any, real: Any) -> Any:
    return lambda tensor, *rest, **options: (stand_in if tensor.device.type == "cuda" else real)(tensor, *rest, **options)


def _take(tensor: Tensor, index: Any) -> Tensor:
    """`tensor[index]` by way of the operators below it."""
    index = index if isinstance(index, tuple) else (index,)
    if any(entry is Ellipsis for entry in index):
        at = next(place for place, entry in enumerate(index) if entry is Ellipsis)
        named = sum(1 for entry in index if entry is not None) - 1
        index = (*index[:at], *[slice(None)] * (tensor.ndim - named), *index[at + 1 :])
    dim, picks = 0, []
    for entry in index:
        if isinstance(entry, int):
            tensor = tensor.select(dim, entry)
            continue
        if entry is None:
            tensor = tensor.unsqueeze(dim)
        elif isinstance(entry, slice) and entry != slice(None):
            tensor = torch.ops.aten.slice(tensor, dim, entry.start, entry.stop, entry.step or 1)
        picks.append(entry if isinstance(entry, Tensor) else None)
        dim += 1
    return torch.ops.aten.index(tensor, picks) if any(pick is not None for pick in picks) else tensor


def _copy(tensor: Tensor, source: Tensor, **_options: Any) -> Tensor:
    assert source.device == tensor.device
    return tensor.add_(source.to(tensor.dtype))


def there(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)


def put_there(module: nn.Module) -> None:
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            part.register_parameter(name, nn.Parameter(there(parameter), requires_grad=parameter.requires_grad))
        for name, buffer in part.named_buffers(recurse=False):
            part.register_buffer(name, there(buffer))


def run_there(recipe: Recipe, ensemble: StreamingEnsemble, size: int) -> Run:
    put_there(ensemble)
    images, labels = (torch.empty(80, size, size, dtype=dtype, device=CUDA) for dtype in (torch.float16, torch.uint8))
    data = ResidentSet(images, labels, (10,) * 8, torch.empty(8, 2, device=CUDA), torch.empty(8, device=CUDA))
    run = Run(recipe, ensemble, data, None, Processes(0, 1, CUDA))
    put_there(run.average.module)  # a copy of a tensor without values belongs to another mode
    return run


def step(name: str) -> dict[str, str]:
    """One training step of a recipe; what the loss is and where it lies."""
    recipe = load_recipe(name)
    spec = spec_of(recipe)
    ensemble = spec.build()

    def backward(_loss: Tensor) -> None:
        for parameter in ensemble.parameters():
            parameter.grad = torch.empty_like(parameter)

    with stand_in_gpu(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "backward", backward)
        run = run_there(recipe, ensemble, spec.build_grid().size)
        loss = run._tuned_step(ensemble.train(), next(iter(run._plans(1))), 1e-3, None)  # type: ignore[arg-type]  # nothing is drawn
        return {"device": str(loss.device), "dtype": str(loss.dtype), "shape": str(tuple(loss.shape))}


def refusals() -> dict[str, str]:
    """What the stand-in says to what a GPU would not do, or would wait for."""
    said = {}
    with stand_in_gpu():
        values = torch.empty(3, device=CUDA)
        for what, attempt in {"mix": lambda: values + torch.empty(3), "read": lambda: values.sum().item()}.items():
            try:
                attempt()
            except Exception as error:  # any kind will do
                said[what] = f"{type(error).__name__}: {error}"
    return said


if __name__ == "__main__":
    print(json.dumps(refusals()))
    for asked in sys.argv[1:]:
        print(json.dumps({"recipe": asked} | step(asked)), flush=True)
    os._exit(0)  # what torch does on its way out is not meant for such tensors
