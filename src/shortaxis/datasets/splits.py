"""Splits by patient, stratified by diagnostic group, that never let one heart stand on both sides.

Two data sets of this field hold the same images under two patient names (ACDC's patient074 and patient076). So what binds frames
together is the patient's name *and* the pixels: patients that share an image form one block, and a block is never parted.

The order in which patients are drawn depends only on the seed and their names (SHA-256), not on the platform or a library's version.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shortaxis.datasets.packed import to_uint8
from shortaxis.errors import DataWarning, InputError
from shortaxis.io.atomic import write_json
from shortaxis.io.limits import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shortaxis.datasets.dataset import Dataset
    from shortaxis.study import Frame

Block = tuple[str, ...]
"""Patients that share an image, sorted; most often just one."""


@dataclass(frozen=True)
class Split:
    """Which patients train and which are held out.

    Attributes:
        train: Patients to train on, sorted.
        held_out: Patients kept apart, sorted.
        seed: The seed that drew the split.
        fold: Number of this fold, counted from 0, or None for a single hold-out.
        of: Number of folds, or None for a single hold-out.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    seed: int
    fold: int | None = None
    of: int | None = None

    def to_json(self, path: Path | str) -> None:
        """Write the split.

        Raises:
            InputError: The file cannot be written.
        """
        write_json(path, asdict(self))

    @classmethod
    def from_json(cls, path: Path | str) -> Split:
        """Read what `to_json` wrote.

        Raises:
            InputError: The file is absent, or is no split.
        """
        try:
            content: dict[str, Any] = json.loads(read_text(Path(path)))
            train, held_out = (tuple(str(patient) for patient in content[side]) for side in ("train", "held_out"))
            return cls(train, held_out, int(content["seed"]), content.get("fold"), content.get("of"))
        except InputError:
            raise
        except OSError as error:
            msg = f"{path}: the split cannot be read ({error.strerror}); give the JSON file of a split"
            raise InputError(msg) from error
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path}: is not a split; it needs 'train', 'held_out' (lists of patients) and 'seed'"
            raise InputError(msg) from error


def hold_out(dataset: Dataset, *, per_group: int = 4, seed: int = 0) -> Split:
    """Keep some patients of each group apart.

    Args:
        dataset: What to split; its images are read once, to find those that are identical.
        per_group: How many patients of each group to hold out; of a small group at most half. Patients of unknown group are one
            group of their own, of which 20 % are held out. Where every group is too small to give one, all patients are one group.
            A `DataWarning` says which groups gave another number, and how many.
        seed: Draws the patients.

    Raises:
        InputError: `per_group` is not positive, or there are fewer than two different hearts.
    """
    if per_group < 1:
        msg = f"per_group must be at least 1, not {per_group}"
        raise InputError(msg)
    blocks = _blocks(dataset)
    if len(blocks) < 2:
        msg = f"data set '{dataset.name}' has {len(blocks)} distinct patients; a hold-out needs at least 2"
        raise InputError(msg)
    held_out: set[str] = set()
    otherwise: list[str] = []
    for group, members in _strata(blocks, dataset.groups).items():
        drawn = _draw(members, per_group if group else _fifth(members), seed)
        held_out |= drawn
        if len(drawn) != per_group:
            otherwise.append(f"{len(drawn)} of {sum(map(len, members))} {f'in {group}' if group else 'of unknown group'}")
    if not held_out:
        smallest = min(_drawn(blocks, seed), key=len)
        held_out = _draw(blocks, _fifth(blocks), seed) or set(smallest)
        otherwise = [f"{len(held_out)} of all {len(dataset.patients)}"]
    if otherwise:
        warnings.warn(
            f"data set '{dataset.name}': held out are not {per_group} of each group but {', '.join(otherwise)}; a group gives at most half "
            "of its patients, those of unknown group a fifth, and where no group can give any a fifth of all is taken",
            DataWarning,
            stacklevel=2,
        )
    return _split(dataset, held_out, seed)


def k_fold(dataset: Dataset, k: int = 5, seed: int = 0) -> list[Split]:
    """Part the patients into `k` folds; each fold is held out once.

    Every group is dealt evenly: the folds differ by at most one block of patients in each group.

    Args:
        dataset: What to split; its images are read once, to find those that are identical.
        k: Number of folds.
        seed: Draws the patients.

    Raises:
        InputError: `k` is below 2, or there are fewer than `k` different hearts.
    """
    blocks = _blocks(dataset)
    if not 2 <= k <= len(blocks):
        msg = (
            f"data set '{dataset.name}' has {len(blocks)} distinct patients, which cannot be parted into {k} folds; choose 2 to that number"
        )
        raise InputError(msg)
    folds: list[set[str]] = [set() for _ in range(k)]
    for members in _strata(blocks, dataset.groups).values():
        dealt = [0] * k
        for block in sorted(_drawn(members, seed), key=len, reverse=True):
            fewest = min(range(k), key=lambda fold: (dealt[fold], len(folds[fold]), fold))
            dealt[fewest] += len(block)
            folds[fewest].update(block)
    return [_split(dataset, held_out, seed, fold, k) for fold, held_out in enumerate(folds)]


def duplicate_patients(dataset: Dataset) -> list[Block]:
    """Find the patients who share an identical image.

    Returns:
        One sorted tuple of names for each set of patients that belong together, in order of name.
    """
    return [block for block in _blocks(dataset) if len(block) > 1]


def overlap(train: Dataset, test: Dataset) -> list[tuple[str, str]]:
    """Find the hearts that two data sets share.

    Args:
        train: The set that was learnt from.
        test: The set that is scored.

    Returns:
        Pairs (patient of `train`, patient of `test`) that bear the same name or share an identical image, sorted.
    """
    pairs = {(patient, patient) for patient in set(train.patients) & set(test.patients)}
    owners = _owners(_fingerprints(train))
    for patient, prints in _fingerprints(test).items():
        pairs |= {(owner, patient) for print_ in prints for owner in owners.get(print_, ())}
    return sorted(pairs)


def refuse_leaks(split: Split, dataset: Dataset) -> None:
    """Refuse a split in which one heart stands on both sides, or which names patients that are not there.

    Raises:
        InputError: With the names of the two patients, or of the absent one.
    """
    absent = sorted((set(split.train) | set(split.held_out)) - set(dataset.patients))
    if absent:
        msg = f"the split names {absent[0]}, who is not in data set '{dataset.name}'; use the split that was drawn from it"
        raise InputError(msg)
    for train_patient, held_out_patient in overlap(dataset.select(split.train), dataset.select(split.held_out)):
        same = "is on both sides" if train_patient == held_out_patient else f"shares an identical image with {held_out_patient} (held out)"
        msg = f"the split leaks: {train_patient} (training) {same}; put both on one side"
        raise InputError(msg)


def fingerprint(frame: Frame) -> str:
    """Hash the pixels of a frame: equal for equal images, whatever their dtype and whether they were packed or not."""
    image = to_uint8(frame.image)
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


@lru_cache(maxsize=8)
def _fingerprints(dataset: Dataset) -> Mapping[str, frozenset[str]]:
    """Map each patient to the hashes of its images; kept, since reading a whole data set takes seconds."""
    prints: dict[str, set[str]] = defaultdict(set)
    for frame in dataset:
        prints[frame.patient].add(fingerprint(frame))
    return {patient: frozenset(hashes) for patient, hashes in prints.items()}


def _owners(prints: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = defaultdict(list)
    for patient, hashes in prints.items():
        for hash_ in hashes:
            owners[hash_].append(patient)
    return owners


def _blocks(dataset: Dataset) -> list[Block]:
    """Join the patients that share an image, directly or through others."""
    block_of = {patient: {patient} for patient in dataset.patients}
    for owners in _owners(_fingerprints(dataset)).values():
        for one, other in combinations(owners, 2):
            joined = block_of[one] | block_of[other]
            block_of.update(dict.fromkeys(joined, joined))
    return sorted({tuple(sorted(block)) for block in block_of.values()})


def _strata(blocks: list[Block], groups: Mapping[str, str | None]) -> dict[str, list[Block]]:
    """Sort the blocks by the group of their first patient; unknown is the group ''."""
    strata: dict[str, list[Block]] = defaultdict(list)
    for block in blocks:
        strata[groups[block[0]] or ""].append(block)
    return dict(sorted(strata.items()))


def _drawn(blocks: list[Block], seed: int) -> list[Block]:
    return sorted(blocks, key=lambda block: hashlib.sha256(f"{seed}:{block[0]}".encode()).digest())


def _draw(blocks: list[Block], wanted: int, seed: int) -> set[str]:
    """Draw blocks until `wanted` patients are together, passing over a block that is too large, and leave at least half behind."""
    room = min(wanted, sum(map(len, blocks)) // 2)
    held_out: set[str] = set()
    for block in _drawn(blocks, seed):
        if len(held_out) + len(block) <= room:
            held_out.update(block)
    return held_out


def _fifth(blocks: list[Block]) -> int:
    return max(1, round(0.2 * sum(map(len, blocks))))


def _split(dataset: Dataset, held_out: set[str], seed: int, fold: int | None = None, of: int | None = None) -> Split:
    return Split(tuple(sorted(set(dataset.patients) - held_out)), tuple(sorted(held_out)), seed, fold, of)
