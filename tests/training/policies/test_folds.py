"""Members of folds: each patient is left out by one member of each table, and by the same fold in all."""

from __future__ import annotations

import pytest

from shortaxis.ensemble.model_file import read_model
from shortaxis.errors import InputError
from shortaxis.training import train
from shortaxis.training.policies import build_policy

POLICY = {"policy": {"kind": "folds"}, "pooling": {"rule": "fixed", "outer_softmax": False}}
TABLES = [
    {"network": "fcnn2d", "count": 2, "options": {"widths": [2, 4]}},
    {"network": "fcnn3d", "count": 2, "options": {"widths": [2, 4]}},
]


def test_each_patient_is_left_out_once_by_each_network(recipe, discs) -> None:
    made = recipe(members=TABLES, **POLICY)
    stages = build_policy({"kind": "folds"}).stages(made, discs)
    assert [stage.members for stage in stages] == [(0,), (1,), (2,), (3,)]
    assert stages[0].patients == stages[2].patients
    left_out = [set(discs.patients) - set(stage.patients) for stage in stages[:2]]
    assert left_out[0] | left_out[1] == set(discs.patients)
    assert not left_out[0] & left_out[1]
    assert len({stage.recipe.seed for stage in stages}) == 4


def test_mixed_2d_and_3d_folds_train_and_are_recorded(recipe, discs, tmp_path) -> None:
    made = recipe(schedule={"epochs": None, "steps": 2, "warmup_epochs": 0.0}, members=TABLES, **POLICY)
    result = train(made, discs, tmp_path, device="cpu")
    ensemble, spec = read_model(result.model)
    assert [type(member).__name__ for member in ensemble.members] == ["Fcnn2D", "Fcnn2D", "Fcnn3D", "Fcnn3D"]
    assert len(spec.card["out_of_fold"]) == 4


@pytest.mark.parametrize("counts", [(1, 1), (2, 3)])
def test_tables_of_other_counts_are_refused(recipe, counts) -> None:
    tables = [table | {"count": count} for table, count in zip(TABLES, counts, strict=True)]
    with pytest.raises(InputError, match=str(counts[0])):
        build_policy({"kind": "folds"}).check(recipe(members=tables, **POLICY))
