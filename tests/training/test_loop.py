from __future__ import annotations

import math
import re

import pytest
import torch

from shortaxis.errors import InputError
from shortaxis.training import loop, spec_of
from shortaxis.training.loop import Run, build_optimizer, learning_rate, step_seed
from shortaxis.training.processes import Processes
from shortaxis.training.resident import load_resident

CPU = torch.device("cpu")


def start(recipe, dataset, folder) -> Run:
    torch.manual_seed(recipe.seed)
    spec = spec_of(recipe)
    return Run(
        recipe, spec.build(), load_resident(dataset, spec.build_grid(), CPU), folder / "checkpoint.safetensors", Processes(0, 1, CPU)
    )


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.ensemble.state_dict() | {f"average/{name}": value for name, value in run.average.module.state_dict().items()}


@pytest.mark.parametrize("precision", ["float32", "bf16-everywhere"])
@pytest.mark.parametrize("optimizer", [{"name": "adamw"}, {"name": "rmsprop", "momentum": 0.9, "learning_rate": 1e-3}])
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(recipe, discs, tmp_path, optimizer, precision):
    tiny = recipe(optimizer={"learning_rate": 0.01} | optimizer, precision=precision)
    whole = start(tiny, discs, tmp_path / "a")
    assert whole.train()
    first = start(tiny, discs, tmp_path / "b")
    assert not first.train(steps=5)
    second = start(tiny, discs, tmp_path / "b")
    second.resume()
    assert second.step == 5
    assert second.train()
    assert weights(whole).keys() == weights(second).keys()
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(second)[name]), name


def test_training_lowers_the_loss_and_moves_every_member(recipe, discs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 8)
    run = start(recipe(schedule={"epochs": 10}), discs, tmp_path)
    before = {name: value.clone() for name, value in run.ensemble.named_parameters()}
    reports = []
    run.on_progress = reports.append
    assert run.train()
    assert run.step == run.total == 40
    assert [report.step for report in reports] == [8, 16, 24, 32, 40]
    assert reports[-1].loss < 0.6 * reports[0].loss
    assert all(report.slices_per_second > 0 for report in reports)
    moved = {name.split(".")[1] for name, value in run.ensemble.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"0", "1"}


def test_a_budget_of_time_stops_early_and_saves(recipe, discs, tmp_path):
    run = start(recipe(schedule={"epochs": 1000}), discs, tmp_path)
    assert not run.train(seconds=0.0)
    assert run.step == 1
    again = start(recipe(schedule={"epochs": 1000}), discs, tmp_path)
    again.resume()
    assert again.step == 1
    assert again.seconds > 0


def test_the_checkpoint_is_saved_on_the_way(recipe, discs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    run = start(recipe(), discs, tmp_path)
    seen = []
    monkeypatch.setattr(run, "save", lambda: seen.append(run.step))
    run.train(steps=3)
    assert seen == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 9}, "seed: 3 there, 9 here"),
        ({"optimizer": {"learning_rate": 0.01}}, "optimizer.learning_rate: 0.02 there, 0.01 here"),
        (
            {"members": [{"network": "unet", "count": 3, "options": {"widths": [4, 8], "dropout": 0.1}}]},
            "members[0].count: 2 there, 3 here",
        ),
        (
            {"members": [{"network": "unet", "count": 2, "options": {"widths": [4, 6], "dropout": 0.1}}]},
            "members[0].options.widths[1]: 8 there, 6 here",
        ),
        ({"pooling": {"temperature": 2.0}}, "pooling.temperature: nothing there, 2.0 here"),
    ],
)
def test_another_recipe_cannot_resume_and_the_first_key_that_differs_is_named(recipe, discs, tmp_path, changes, told):
    start(recipe(), discs, tmp_path).train(steps=1)
    other = start(recipe(**changes), discs, tmp_path)
    before = [value.clone() for value in other.ensemble.state_dict().values()]
    with pytest.raises(InputError, match=re.escape(f"other data ({told}); resume")):
        other.resume()
    assert all(map(torch.equal, before, other.ensemble.state_dict().values()))


def test_other_data_cannot_resume(recipe, discs, tmp_path):
    start(recipe(), discs, tmp_path).train(steps=1)
    other = start(recipe(), discs.select(["p0", "p1"]), tmp_path)
    with pytest.raises(InputError, match=r"other data \(frames: 8 there, 4 here\)"):
        other.resume()


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop"])
def test_the_gradient_of_all_members_together_is_clipped_to_the_norm_of_the_recipe(recipe, discs, tmp_path, optimizer):
    def norm_after_a_step(clip):
        run = start(recipe(optimizer={"name": optimizer, "learning_rate": 1e-3, "clip": clip}), discs, tmp_path / str(clip))
        run.train(steps=1)
        return float(torch.stack([parameter.grad.norm() for parameter in run.ensemble.parameters()]).norm())

    free = norm_after_a_step(None)
    assert norm_after_a_step(free / 4) == pytest.approx(free / 4, rel=1e-3)
    assert norm_after_a_step(4 * free) == pytest.approx(free, rel=1e-5)


def test_a_loss_that_is_not_finite_ends_the_run_with_advice(recipe, discs, tmp_path):
    run = start(recipe(optimizer={"name": "adamw", "learning_rate": math.inf, "clip": None}), discs, tmp_path)
    with pytest.raises(InputError, match=r"no longer finite at step .*learning_rate"):
        run.train()
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_warm_up_climbs_and_the_cosine_falls_to_zero(recipe):
    tiny = recipe(optimizer={"name": "adamw", "learning_rate": 1.0})
    rates = [learning_rate(tiny, step, total=110, warmup=10) for step in range(111)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[9] == pytest.approx(10 / 11)
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert rates[110] == pytest.approx(0, abs=1e-12)


def test_a_constant_schedule_keeps_its_peak(recipe):
    assert learning_rate(recipe(schedule={"epochs": 1, "decay": "constant"}), 90, total=100, warmup=0) == 0.02


def test_weights_that_are_not_finite_never_reach_a_checkpoint(recipe, discs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    run = start(recipe(), discs, tmp_path)
    run.train(steps=2)
    good = run.checkpoint.read_bytes()
    with torch.no_grad():
        next(run.ensemble.parameters()).fill_(math.nan)
    with pytest.raises(InputError, match="no longer finite at step 3"):
        run.train(steps=1)
    assert run.checkpoint.read_bytes() == good


def test_another_number_of_processes_cannot_resume(recipe, discs, tmp_path):
    start(recipe(), discs, tmp_path).train(steps=1)
    other = start(recipe(), discs, tmp_path)
    other.processes = Processes(0, 2, CPU)
    with pytest.raises(InputError, match="started with 1 processes, not 2"):
        other.resume()


def test_a_run_without_a_checkpoint_saves_nothing_and_cannot_resume(recipe, discs, tmp_path):
    run = start(recipe(), discs, tmp_path)
    run.checkpoint = None
    run.train(steps=1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="cannot resume"):
        run.resume()


def test_processes_ask_each_other_for_the_time_only_now_and_then(recipe, discs, tmp_path, monkeypatch):
    run = start(recipe(), discs, tmp_path)
    asked = []
    monkeypatch.setattr(Processes, "any", lambda _, flag: asked.append(flag) or flag)
    run.processes = Processes(0, 2, CPU)
    run.step = loop.LOG_EVERY + 1
    assert not run._is_time_up(True)
    run.step = loop.LOG_EVERY
    assert run._is_time_up(True)
    assert asked == [True]


def test_on_a_gpu_cudnn_stays_on_while_it_tunes(recipe, discs, tmp_path):
    run = start(recipe(), discs, tmp_path)
    run.device = torch.device("cuda")
    with run._tuned():
        assert torch.backends.cudnn.enabled
        assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark


def test_seeds_of_steps_and_processes_differ_and_large_ones_do_no_harm():
    seeds = {step_seed(seed, step, process) for seed in (0, 1, 2**62) for step in range(20) for process in range(3)}
    assert len(seeds) == 180
    for seed in seeds:
        torch.manual_seed(seed)


def test_every_member_has_its_place_in_the_one_optimizer(recipe):
    tiny = recipe()
    ensemble = spec_of(tiny).build()
    optimized = {id(parameter) for group in build_optimizer(tiny, ensemble).param_groups for parameter in group["params"]}
    assert optimized == {id(parameter) for parameter in ensemble.parameters()}


@pytest.mark.parametrize("options", [{"name": "rmsprop", "momentum": 0.7}, {"name": "adamw"}])
def test_the_optimizer_has_the_settings_of_the_recipe(recipe, options):
    tiny = recipe(optimizer={"learning_rate": 0.03, "weight_decay": 0.004} | options)
    optimizer = build_optimizer(tiny, spec_of(tiny).build())
    assert type(optimizer).__name__.lower() == options["name"]
    for group in optimizer.param_groups:
        assert (group["lr"], group["weight_decay"]) == (0.03, 0.004)
        assert group.get("momentum") == options.get("momentum")


def test_each_step_is_taken_at_the_learning_rate_of_the_schedule(recipe, discs, tmp_path):
    run = start(recipe(schedule={"steps": 6, "epochs": None, "warmup_epochs": 0.0, "warmup_steps": 2}), discs, tmp_path)
    rates = []
    for _ in range(run.total):
        run.train(steps=1)
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(
        [0.02 * share for share in (1 / 3, 2 / 3, 1.0, *((1 + math.cos(math.pi * n / 4)) / 2 for n in (1, 2, 3)))]
    )


def test_supervision_of_the_members_is_part_of_the_loss_when_asked_for(recipe, discs, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    losses = []
    for weight in (0.0, 1.0):
        run = start(recipe(loss={"name": "dice-cross-entropy", "member_weight": weight}), discs, tmp_path / str(weight))
        run.on_progress = lambda report: losses.append(report.loss)
        run.train(steps=1)
    # Fresh members each lose about what their pool loses, so the second objective is about twice the first.
    assert losses[1] == pytest.approx(2 * losses[0], rel=0.1)


def test_only_the_end_of_the_run_is_averaged_when_asked_for(recipe, discs, tmp_path):
    run = start(recipe(averaging={"decay": 0.0, "last": 0.25}), discs, tmp_path)
    weights_after = []
    while run.step < run.total:
        run.train(steps=1)
        weights_after.append(torch.cat([parameter.detach().flatten() for parameter in run.ensemble.parameters()]))
    assert run.total == 16
    averaged = torch.cat([parameter.flatten() for parameter in run.average.module.parameters()])
    torch.testing.assert_close(averaged, torch.stack(weights_after[12:]).mean(dim=0))


def test_weights_are_averaged_in_one_way_only(recipe):
    with pytest.raises(InputError, match="either by `decay` or over the `last`"):
        recipe(averaging={"decay": 0.9, "last": 0.5})


def test_temperature_is_trained_averaged_and_saved_with_the_members(recipe, discs, tmp_path):
    tiny = recipe(pooling={"rule": "learned-temperature", "of": "uncertainty", "outer_softmax": False})
    run = start(tiny, discs, tmp_path)
    run.train(steps=5)
    trained = run.ensemble.pooling.log_temperature.item()
    averaged = run.average.module.pooling.log_temperature.item()
    assert trained != 0
    assert averaged not in (0, trained)
    again = start(tiny, discs, tmp_path)
    again.resume()
    assert again.ensemble.pooling.log_temperature.item() == trained
    assert again.average.module.pooling.log_temperature.item() == averaged


@pytest.mark.parametrize("extra", [{"end_weight": 5.0}, {"diversity": "negative-correlation"}, {"diversity": "error-correlation"}])
def test_what_a_recipe_adds_to_the_loss_is_minimised(recipe, discs, tmp_path, extra):
    def first_loss(options: dict, folder: str) -> float:
        # Frames of five slices: the middle one is no end slice.
        run, seen = start(recipe(loss={"name": "equation-4"} | options), discs.select(["p2"]), tmp_path / folder), []
        run.on_progress = seen.append
        run.train(steps=1)
        return seen[0].loss

    assert first_loss(extra, "a") != first_loss({}, "b")


def test_unknown_diversity_is_refused_before_the_run_starts(recipe, discs, tmp_path):
    with pytest.raises(InputError, match="no diversity term is called 'apart'"):
        start(recipe(loss={"diversity": "apart"}), discs, tmp_path)


def test_end_stacks_do_not_change_the_length_of_the_run(recipe, discs, tmp_path):
    plain, more = (start(recipe(batch={"frames": 3, "end_stacks": share}), discs, tmp_path) for share in (0.0, 1.0))
    assert plain.total == more.total
    more.train(steps=2)
    assert more.step == 2


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", torch.float32), ("bf16", torch.float32), ("bf16-everywhere", torch.bfloat16)]
)
def test_a_cpu_works_in_bf16_only_where_the_recipe_says_everywhere(recipe, discs, tmp_path, precision, expected):
    run = start(recipe(precision=precision), discs, tmp_path)
    seen = {}
    run.ensemble.members[0].register_forward_hook(lambda _network, _slices, logits: seen.update(logits=logits.dtype))
    run.ensemble.register_forward_hook(lambda _ensemble, _slices, output: seen.update(pooled=output.probabilities.dtype))
    run.train(steps=2)
    assert seen == {"logits": expected, "pooled": torch.float32}
    assert {value.dtype for value in run.ensemble.parameters()} == {torch.float32}
