"""Whether rows may be compared: what they trained on, for how long, and in which setting."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from shortaxis.benchmark.result import Result

SETTING: Final = ("grid", "augmentation", "batch", "optimizer", "averaging", "loss", "precision")
"""Parts of a recipe that all rows of a matched comparison share; members, pooling and policy are what the rows are about."""

_NOT_TRAINED: Final = {"name", "title", "augmenting"}
"""Parts of a recipe that no training looks at."""

_SHORT: Final = 7
"""Characters of a commit that are shown."""


def refuse_sizes_apart(rows: Mapping[str, Sequence[Result]]) -> None:
    """Refuse results of different scales, which do not compare.

    Raises:
        InputError: There are several; each is named with its rows.
    """
    found: dict[str | None, list[str]] = {}
    for row, results in rows.items():
        for scale in dict.fromkeys(result.scale for result in results):
            found.setdefault(scale, []).append(row)
    if len(found) > 1:
        sizes = {scale: "the size of the recipe" if scale is None else f"the scale '{scale}'" for scale in found}
        told = "; ".join(f"{sizes[scale]}: {_listed(names)}" for scale, names in found.items())
        msg = f"results of different sizes do not compare ({told}); keep each size in a folder of its own"
        raise InputError(msg)


def notes_on_patients(rows: Mapping[str, Sequence[Collection[str]]], baseline: str) -> list[str]:
    """Say where a mean or a difference does not rest on the patients that a reader takes it for.

    Args:
        rows: For each row the patients of each of its replicates.
        baseline: Name of one of them.

    Returns:
        Sentences, one a finding; none where all replicates of all rows have the same patients.
    """
    everybody = {row: set().union(*scored) for row, scored in rows.items()}
    common = {row: set.intersection(*map(set, scored)) for row, scored in rows.items()}
    notes = [
        f"{row}: its trainings were scored on different patients, so that ± holds the luck of the patients, too"
        for row in rows
        if common[row] != everybody[row]
    ]
    for row in (name for name in rows if name != baseline):
        shared = common[row] & common[baseline]
        if not shared:
            notes.append(f"{row} stands without a difference to {baseline}: no patient was scored in every training of both")
        elif len(shared) < len(everybody[row] | everybody[baseline]):
            notes.append(f"the difference of {row} to {baseline} rests on the {len(shared)} patients scored in every training of both")
    return notes


def notes_on(rows: Mapping[str, Sequence[Result]], baseline: str) -> list[str]:
    """Say in which respects rows are not matched with the baseline, and which results are not what they seem.

    Args:
        rows: Results of each row.
        baseline: Name of one of them.

    Returns:
        Sentences, one a finding; none where everything is matched.
    """
    notes = list(_notices(rows))
    scales = sorted({result.scale for results in rows.values() for result in results if result.scale is not None})
    notes += [f"trained at the scale '{scale}', which gives rows another size: they compare with each other only" for scale in scales]
    partners = {(result.seed, result.fold): result for result in reversed(rows[baseline])}
    for row, results in rows.items():
        pairs = [(result, partners.get((result.seed, result.fold), rows[baseline][0])) for result in results]
        differing = list(dict.fromkeys(respect for ours, theirs in pairs for respect in _differing(ours, theirs)))
        if row != baseline and differing:
            notes.append(f"{row} is not matched with {baseline}: other {_listed(differing)}")
    unequal = [row for row, results in rows.items() if len({_key(result) for result in results}) > 1]
    notes += [f"{row}: its results come from different recipes or budgets" for row in unequal]
    for row, results in rows.items():
        notes += [
            f"{row}, seed {result.seed}: the limit of the job cut training short at step {result.steps} of {result.total_steps}"
            for result in results
            if not result.complete
        ]
    trainings = {row: sorted((result.seed, result.fold or 0) for result in results) for row, results in rows.items()}
    notes += [
        f"{row} has {_counted(trainings[row])}, {baseline} {_counted(trainings[baseline])}"
        for row in rows
        if len(trainings[row]) != len(trainings[baseline])
    ]
    few = [row for row in rows if len(trainings[row]) < 3]
    if few:
        notes.append(f"{_listed(few)}: fewer than three trainings say little about the luck of the seed, whatever interval and mark say")
    notes += _on_code([result for results in rows.values() for result in results])
    hardware = {result.hardware for results in rows.values() for result in results}
    if len(hardware) > 1:
        notes.append(f"times were taken on different hardware and do not compare: {'; '.join(sorted(hardware))}")
    return notes


def _on_code(results: Sequence[Result]) -> Iterator[str]:
    """Whether all results are of one state of the code; installed packages count by their version."""
    states = sorted({f"version {result.shortaxis}" if result.commit is None else result.commit[:_SHORT] for result in results})
    plugins = {(plugin["plugin"], plugin.get("sha256", "")) for result in results for plugin in result.plugins}
    if several := sorted(name for name, count in Counter(name for name, _ in plugins).items() if count > 1):
        yield f"the plug-in {_listed(several)} was not the same for all results: what changed in it counts as a difference, too"
    if len(states) > 1:
        yield f"the code was not the same for all results ({', '.join(states)}): what changed in it counts as a difference, too"
    changed = sorted({f"{result.row}, seed {result.seed}" for result in results if result.modified})
    if changed:
        yield f"made by code with changes that no commit holds, and that may not be the same for all: {'; '.join(changed)}"


def are_same_trainings(ours: Sequence[Result], theirs: Sequence[Result]) -> bool:
    """Whether two rows are the same trainings, seed for seed, which are asked about each image in other views.

    On a CPU their networks are the same to the bit; on a GPU they may part by what rounding adds up to.
    """
    return sorted(map(_training, ours)) == sorted(map(_training, theirs))


def _training(result: Result) -> str:
    recipe = {key: value for key, value in result.recipe.items() if key not in _NOT_TRAINED}
    facts = (result.seed, result.fold, result.steps, result.training_data, sorted(result.train_patients), recipe)
    return json.dumps(facts, sort_keys=True)


def _notices(rows: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    """What the results say of themselves; what all say at the end of theirs is said once."""
    told = {row: sorted({result.notice or "" for result in results}) for row, results in rows.items()}
    every = [notice for notices in told.values() for notice in notices]
    common = min(every, key=len)
    if len(rows) > 1 and common and all(notice.endswith(common) for notice in every):
        yield f"all rows: {common}"
        told = {row: [notice.removesuffix(common).removesuffix("; ") for notice in notices] for row, notices in told.items()}
    yield from (f"{row}: {notice}" for row, notices in told.items() for notice in notices if notice)


def _differing(result: Result, baseline: Result) -> list[str]:
    differing = [part for part in SETTING if _without_defaults(result.recipe.get(part)) != _without_defaults(baseline.recipe.get(part))]
    differing += _of_schedule(result, baseline)
    ours, theirs = (part.updates // part.members for part in (result, baseline))
    if ours != theirs:
        differing.append(f"number of steps a network ({ours} against {theirs})")
    if result.updates_besides:
        differing.append(f"training ({result.updates_besides} steps of networks besides the model)")
    if result.training_data != baseline.training_data or set(result.train_patients) != set(baseline.train_patients):
        same_fold = (result.seed, result.fold) == (baseline.seed, baseline.fold)
        counts = f"{len(result.train_patients)} against {len(baseline.train_patients)}"
        differing += [f"training patients ({counts})"] if same_fold or result.fold is None else []
    return differing


def _of_schedule(result: Result, baseline: Result) -> list[str]:
    """What differs in how the learning rate goes; the length of the schedule apart."""
    ours, theirs = (part.recipe.get("schedule", {}) for part in (result, baseline))
    differing = ["decay of the learning rate"] if ours.get("decay", "cosine") != theirs.get("decay", "cosine") else []
    # A share of whole steps: what rounding alone makes different is not.
    rounding = sum(1 / (schedule.get("steps") or float("inf")) for schedule in (ours, theirs)) / 2
    return differing + (["warm-up"] if abs(_warm_up(ours) - _warm_up(theirs)) > rounding + 1e-9 else [])


def _warm_up(schedule: Mapping[str, Any]) -> float:
    """Share of the schedule that is warm-up."""
    if schedule.get("epochs"):
        return float(schedule.get("warmup_epochs", 0)) / float(schedule["epochs"])
    return float(schedule.get("warmup_steps", 0)) / float(schedule.get("steps") or 1)


def _without_defaults(table: Any) -> Any:
    """A table without what is switched off, which older recipes do not name at all."""
    return {key: value for key, value in table.items() if value} if isinstance(table, dict) else table


def _key(result: Result) -> str:
    return repr({key: value for key, value in result.recipe.items() if key != "seed"})


def _counted(trainings: list[tuple[int, int]]) -> str:
    return f"{len(trainings)} training{'s' if len(trainings) > 1 else ''}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
