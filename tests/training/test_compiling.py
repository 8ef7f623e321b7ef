"""Compiling the step: forgotten between runs, shared by the stages of one, and done without where the compiler fails."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.exc import InductorError

from shortaxis.datasets.splits import Split
from shortaxis.errors import DataWarning
from shortaxis.training import loop, run, spec_of, train
from shortaxis.training.compiling import is_compiled
from shortaxis.training.loop import Run
from shortaxis.training.processes import Processes
from shortaxis.training.resident import load_resident

CPU = torch.device("cpu")


class Failing(nn.Module):
    """What the compiler gives back where the compiling itself, at the first call, fails."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, *_: object, **__: object) -> None:
        raise self.error


def started(recipe, dataset, processes: Processes) -> Run:
    torch.manual_seed(recipe.seed)
    spec = spec_of(recipe)
    return Run(recipe, spec.build(), load_resident(dataset, spec.build_grid(), CPU), None, processes)


def failing(monkeypatch, error: Exception) -> None:
    monkeypatch.setattr(loop, "is_compiled", lambda *_: True)
    monkeypatch.setattr(torch, "compile", lambda _: Failing(error))


def no_backend() -> Exception:
    return BackendCompilerFailed(lambda: None, ValueError("no backend"), None)


ERRORS = {
    "backend": (no_backend, "no backend"),
    "inductor": (lambda: InductorError(ValueError("no kernel\nat line 3"), None), "no kernel"),
    "triton": (lambda: RuntimeError("Failed to find C compiler. Please specify via CC environment variable."), "Failed to find C compiler"),
}


def test_a_step_is_compiled_on_a_gpu_and_only_where_the_recipe_says_so(recipe) -> None:
    asked, plain = recipe(compile=True), recipe()
    assert is_compiled(asked, torch.device("cuda"))
    assert not is_compiled(asked, CPU)
    assert not is_compiled(plain, torch.device("cuda"))


@pytest.mark.parametrize("kind", ERRORS)
def test_where_the_compiler_fails_the_run_is_the_one_without_it_and_says_why(kind, recipe, discs, monkeypatch) -> None:
    make, reason = ERRORS[kind]
    expected = started(recipe(), discs, Processes(0, 1, CPU))
    expected.train(steps=3)
    failing(monkeypatch, make())
    found = started(recipe(), discs, Processes(0, 1, CPU))
    with pytest.warns(DataWarning, match=reason) as said:
        found.train(steps=3)
    assert len(said) == 1
    for name, value in expected.ensemble.state_dict().items():
        assert torch.equal(found.ensemble.state_dict()[name], value), name


def test_an_error_of_the_step_itself_is_no_failure_of_the_compiler(recipe, discs, monkeypatch) -> None:
    failing(monkeypatch, RuntimeError("CUDA out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        started(recipe(), discs, Processes(0, 1, CPU)).train(steps=1)


def test_one_of_several_processes_does_not_go_on_by_itself(recipe, discs, monkeypatch) -> None:
    failing(monkeypatch, no_backend())
    monkeypatch.setattr(loop, "DistributedDataParallel", lambda module: module)
    with pytest.raises(BackendCompilerFailed):
        started(recipe(), discs, Processes(0, 2, CPU)).train(steps=1)


def test_graphs_are_forgotten_once_a_run_however_many_stages_it_has(apart, discs, tmp_path, monkeypatch) -> None:
    """All ensembles share one code object, of which the compiler keeps few variants: rows trained in one process would use them up."""
    resets: list[int] = []
    monkeypatch.setattr(run, "is_compiled", lambda *_: True)
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(1))
    split = Split(train=("p0", "p1", "p2"), held_out=("p3",), seed=0)
    train(apart, discs, tmp_path / "a", split=split, device="cpu", validate=False)
    assert len(resets) == 1
    train(apart, discs, tmp_path / "b", split=split, device="cpu", validate=False)
    assert len(resets) == 2


@pytest.fixture
def apart(recipe):
    """Two members in stages of their own, one step each."""
    made = recipe(schedule={"epochs": None, "steps": 1, "warmup_epochs": 0.0}, policy={"kind": "bagging"})
    return type(made)(
        **{name: getattr(made, name) for name in made.__struct_fields__} | {"pooling": {"rule": "fixed", "outer_softmax": False}}
    )
