"""What a test set shares with the data that is learnt from: named, scored both ways, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.benchmark.result import Shared
from shortaxis.datasets.splits import overlap
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shortaxis.datasets.dataset import Dataset


def shared_hearts(data: Dataset, test: Dataset) -> list[Shared]:
    """Find test patients whose image stands in the data under another name, such as ACDC's patient118, who is patient055.

    Such pairs are known to the makers of a data set or not at all; a score with and without them says what they are worth. A patient of
    the same *name* on both sides is a mistake of whoever put the sets together, and is refused.

    Args:
        data: All that may be learnt from, held-out patients among it.
        test: What is scored.

    Returns:
        One entry a pair, sorted.

    Raises:
        InputError: A patient stands in both under one name.
    """
    pairs = overlap(data, test)
    named = [one for one, other in pairs if one == other]
    if named:
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        msg = (
            f"patient {named[0]}{more} is both in the data '{data.name}' and in the test set '{test.name}'; take them out of one of the two"
        )
        raise InputError(msg)
    return [Shared(one, other) for one, other in pairs]


def shared_with(shared: Iterable[Shared], trained: Collection[str]) -> list[Shared]:
    """Keep the pairs whose training patient was in fact trained on."""
    return [pair for pair in shared if pair.training in set(trained)]
