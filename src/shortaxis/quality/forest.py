"""A forest of extremely randomised trees (Geurts et al., Machine Learning 63:3, 2006): grown by scikit-learn, kept and asked without."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREES: Final = 100
LEAST_IN_LEAF: Final = 15
SHARE_OF_SIGNS: Final = 0.5
"""Share of the signs that are looked at for each split."""
_LEAF: Final = -1
_DIGITS: Final = 6


@dataclass(frozen=True)
class Forest:
    """Trees as flat lists, one after the other; each begins with its root.

    Attributes:
        roots: Index of the root of each tree.
        feature: Of each node, the column that it asks for; -1 in a leaf.
        threshold: Of each node: up to it, the way goes to the left.
        left: Of each node, the index of its left child.
        right: Of each node, the index of its right child.
        value: Of each leaf, the share of poor slices in it.
    """

    roots: tuple[int, ...]
    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        nodes = len(self.feature)
        even = {len(self.threshold), len(self.left), len(self.right), len(self.value)} == {nodes}
        # Children lie behind their parent, so every walk ends.
        forward = all(
            feature == _LEAF or (index < left < nodes and index < right < nodes)
            for index, (feature, left, right) in enumerate(zip(self.feature, self.left, self.right, strict=False))
        )
        if not (even and forward and self.roots and all(0 <= root < nodes for root in self.roots)):
            msg = "the trust model is damaged: its trees are not whole; make it again with `shortaxis calibrate`"
            raise InputError(msg)

    @cached_property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return tuple(np.array(column) for column in (self.feature, self.left, self.right, self.threshold, self.value))

    def share_poor(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of poor slices in the leaves that each row of x (S, F) falls into, mean over the trees, float64 (S,)."""
        feature, left, right, threshold, value = self._arrays
        rows = np.arange(len(x))[:, None]
        node = np.broadcast_to(np.array(self.roots), (len(x), len(self.roots)))
        while (inner := feature[node] != _LEAF).any():
            goes_left = x[rows, feature[node]] <= threshold[node]
            node = np.where(inner, np.where(goes_left, left[node], right[node]), node)
        return np.asarray(value[node].mean(axis=1), np.float64)


def grow_forest(x: NDArray[np.float64], poor: NDArray[np.bool_], seed: int = 0) -> Forest:
    """Grow a forest.

    Args:
        x: float64 (S, F), signs.
        poor: bool (S,).
        seed: Of all that is drawn.

    Raises:
        InputError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import ExtraTreesClassifier  # noqa: PLC0415
    except ImportError as error:
        msg = "scikit-learn is needed to learn when a slice is to be checked; install it with: pip install 'shortaxis[train]'"
        raise InputError(msg) from error

    grower = ExtraTreesClassifier(TREES, min_samples_leaf=LEAST_IN_LEAF, max_features=SHARE_OF_SIGNS, random_state=seed)
    grower.fit(x, poor)
    roots: list[int] = []
    columns: tuple[list[int], list[float], list[int], list[int], list[float]] = ([], [], [], [], [])
    for grown in grower.estimators_:
        tree, first = grown.tree_, len(columns[0])
        leaf = tree.children_left < 0
        roots.append(first)
        columns[0].extend(np.where(leaf, _LEAF, tree.feature).tolist())
        columns[1].extend(float(f"{edge:.{_DIGITS}g}") for edge in np.where(leaf, 0, tree.threshold))
        columns[2].extend(np.where(leaf, 0, tree.children_left + first).tolist())
        columns[3].extend(np.where(leaf, 0, tree.children_right + first).tolist())
        shares = tree.value[:, 0, -1] / tree.value[:, 0].sum(axis=1) if tree.value.shape[2] > 1 else np.full(len(leaf), float(poor[0]))
        columns[4].extend(np.round(np.where(leaf, shares, 0), _DIGITS).tolist())
    feature, threshold, left, right, value = (tuple(column) for column in columns)
    return Forest(tuple(roots), feature, threshold, left, right, value)  # type: ignore[arg-type]
