from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from shortaxis.errors import InputError
from shortaxis.preprocessing import build_grid
from shortaxis.training.policies import Stage, TrainingSet, build_policy
from shortaxis.training.policies.bagging import bootstrap
from shortaxis.training.resident import load_resident
from shortaxis.training.run import spec_of

PATIENTS = tuple(f"patient{number:03d}" for number in range(1, 81))


def test_a_bootstrap_draws_as_many_patients_as_there_are_some_of_them_twice() -> None:
    draw = bootstrap(PATIENTS, seed=0, member=0)
    assert len(draw) == 80
    assert set(draw) < set(PATIENTS)
    assert max(Counter(draw).values()) >= 2


def test_a_member_misses_about_37_percent_of_the_patients() -> None:
    """(1 - 1/n)^n, for n = 80 36.6 %; over 200 draws the mean is within 1 %."""
    missed = [1 - len(set(bootstrap(PATIENTS, seed, 0))) / 80 for seed in range(200)]
    assert np.mean(missed) == pytest.approx(0.366, abs=0.01)


def test_draws_depend_on_seed_and_member_and_on_nothing_else() -> None:
    assert bootstrap(PATIENTS, 3, 1) == bootstrap(PATIENTS[::-1], 3, 1)
    assert len({bootstrap(PATIENTS, seed, member) for seed in range(5) for member in range(5)}) == 25


def test_each_member_has_its_own_draw_and_the_record_names_whom_it_has_not_seen(apart, discs) -> None:
    stages = build_policy({"kind": "bagging"}).stages(apart("bagging"), discs)
    assert [stage.name for stage in stages] == ["member-1", "member-2"]
    assert stages[0].patients != stages[1].patients
    assert [stage.patients for stage in stages] == [bootstrap(discs.patients, 3, member) for member in (0, 1)]


def test_members_of_several_kinds_are_refused(recipe, discs) -> None:
    mixed = recipe(members=[{"network": "unet", "options": {"widths": [4]}}, {"network": "unet", "options": {"widths": [8]}}])
    with pytest.raises(InputError, match="bags members of several kinds"):
        build_policy({"kind": "bagging"}).stages(mixed, discs)


def test_a_patient_drawn_twice_counts_twice(discs) -> None:
    resident = load_resident(discs, build_grid("physical", spacing_mm=2.0, size=32), torch.device("cpu"))
    training = TrainingSet(discs, resident)
    frames = training.frames_of(("p2", "p0", "p2"))
    assert frames == [4, 5, 0, 1, 4, 5]
    taken = resident.take(frames)
    assert taken.depths == (5, 5, 3, 3, 5, 5)
    assert torch.equal(taken.images[:10], taken.images[16:])
    assert torch.equal(taken.labels[10:13], resident.labels[:3])
    assert torch.equal(taken.centres, resident.centres[frames])
    assert torch.equal(taken.pixel_mm, resident.pixel_mm[frames])


def test_who_was_not_drawn_is_on_record(apart, discs) -> None:
    policy = build_policy({"kind": "bagging"})
    made = apart("bagging")
    spec = spec_of(made)
    stages = [Stage("member-1", made, ("p0", "p0", "p1", "p3"), (0,)), Stage("member-2", made, ("p1", "p2", "p2", "p3"), (1,))]
    solo = spec_of(policy.stages(made, discs)[0].recipe)
    resident = load_resident(discs, spec.build_grid(), torch.device("cpu"))
    assembled = policy.assemble(spec, [(stage, solo.build()) for stage in stages], TrainingSet(discs, resident))
    assert assembled.facts["out_of_bag"] == [["p2"], ["p0"]]
