"""Compiling the training step: one set of graphs a run, and what counts as a failure of the compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from shortaxis.training.recipe import Recipe

_HOMES: Final = ("torch._dynamo", "torch._inductor", "triton")
_NO_C_COMPILER: Final = "Failed to find C compiler"
"""What Triton says, in a plain RuntimeError, where it can build no launcher for its kernels."""


def is_compiled(recipe: Recipe, device: torch.device) -> bool:
    """Whether a recipe's step is compiled on a device: the CPU gains nothing that would be worth the wait."""
    return recipe.compile and device.type == "cuda"


def forget_graphs() -> None:
    """Drop what earlier runs of this process have compiled.

    All ensembles share the code of one `forward`, of which the compiler keeps eight variants (`torch._dynamo.config.recompile_limit`); the
    ninth it would run uncompiled, and silently. Stages of one run have few variants, and share them.
    """
    torch.compiler.reset()


def is_failure_of_compiler(error: BaseException) -> bool:
    """Whether an error says that the compiler failed, and nothing of the model."""
    return any(kind.__module__.startswith(_HOMES) for kind in type(error).__mro__) or _NO_C_COMPILER in str(error)


def reason_of(error: BaseException) -> str:
    """One line that says why the compiler failed: what its backend raised, without the frame that was compiled."""
    cause = getattr(error, "inner_exception", error)
    return next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
