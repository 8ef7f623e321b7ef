"""Temporal consistency of a cine: what flickers is decided anew, everything else stays bit for bit.

A filter over time would pull the extremes, ED and ES, towards the mean. So each phase keeps its own answer, and only a place (a structure
in a slice at a phase) that contradicts its neighbours in time is touched:

* **Neighbours.** The phases before and behind; in a cine of `PHASES_FOR_PAIRS` phases or more also one farther on either side, so that
  two bad phases in a row are seen. The phases form a circle where the cine covers the heartbeat (`shortaxis.indices.curves`), otherwise a
  line whose ends have no two neighbours.
* **Contradiction.** With A the mask at the place and P, N those of its neighbours, DSC(P, N) exceeds both DSC(A, P) and DSC(A, N) by more
  than `DEFICIT`, and A differs from the nearer one by more than `LEAST_MM2`. A motion, however quick, is none: there P and N differ too.
* **ED and ES.** At a turning point the neighbours agree more with each other than with what lies between them, in all truth, where the
  valve plane or the apex leaves a slice for one phase only. So within `AROUND_EXTREMES` of the cine around ED and ES nothing is touched but
  slices with two more above and two below that show the structure in both neighbours: base and apex do not get so far in a phase. The RV
  is spared around its own ED and ES as well, where the study names them.
* **Decision.** The class with the largest mean probability over the two neighbours; what the place itself says contradicts both. Only
  pixels that were or become the structure change.

Interior slices go first. ED and ES are then found on the curve that this leaves, so that a bad phase does not pass for ES; and a phase
whose three structures all contradict in one interior slice is bad, and not spared at its ends either. The phase with the most
contradictions is mended first: beside it good ones may seem to contradict.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shortaxis.indices.curves import find_phases
from shortaxis.inference.cleaning import keep_largest
from shortaxis.labels import FOREGROUND, N_CLASSES, Structure
from shortaxis.study import Repair

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from shortaxis.inference.endocardium import ShiftedCavity
    from shortaxis.preprocessing import PlacedGrid
    from shortaxis.study import Study

LEAST_PHASES: Final = 10
"""Phases from which on neighbours are near enough to contradict a phase: then a step takes a tenth of the heartbeat or less."""
PHASES_FOR_PAIRS: Final = 20
"""Phases from which on two bad ones in a row are told from a turning point."""
DEFICIT: Final = 0.3
LEAST_MM2: Final = 100.0
AROUND_EXTREMES: Final = 0.05
"""Share of the cine on either side of ED and ES, at least one phase."""
_ENDS: Final = 2
_SURE: Final = 255


class Steadier:
    """Remembers what was said of each phase, and at the end mends what contradicts its neighbours.

    Probabilities are kept on the networks' grid as bytes, without the background: 30 phases of 10 slices of 224×224 take 45 MB.

    Args:
        study: The study.
        grid: The networks' grid.
    """

    def __init__(self, study: Study, grid: PlacedGrid) -> None:
        self.study, self.grid = study, grid
        self._said: list[NDArray[np.uint8]] = []

    def take(self, pooled: NDArray[np.float32]) -> None:
        """Take the pooled probabilities (C, D, G, G) of the next phase on the grid."""
        self._said.append(np.rint(pooled[1:] * _SURE).astype(np.uint8))

    def mend(self, labels: NDArray[np.uint8], *, clean: bool = True, cavity: ShiftedCavity | None = None) -> tuple[Repair, ...]:
        """Mend the labels of all phases in place.

        Args:
            labels: uint8 (T, D, H, W), as each phase alone has it.
            clean: Keep the largest connected part of each structure in the phases that change.
            cavity: Takes the probabilities by which pixels are decided anew, or None where the endocardium is not moved afterwards.

        Returns:
            What was changed, in order of phase, slice and structure.
        """
        before: dict[int, NDArray[np.uint8]] = {}
        touched: set[tuple[int, int, Structure]] = set()
        bad: set[int] = set()
        pixel_mm2 = self.study.spacing[1] * self.study.spacing[2]
        overlaps = Overlaps(labels, pixel_mm2)
        for interior in (True, False):
            mended: set[int] = set()
            while found := [
                place for place in contradictions(overlaps, self.study, interior=interior, bad=bad) if place.phase not in mended
            ]:
                phase, _ = Counter(place.phase for place in found).most_common(1)[0]
                here = [place for place in found if place.phase == phase]
                if interior and len(FOREGROUND) in Counter(place.slice for place in here).values():
                    bad.add(phase)
                before.setdefault(phase, labels[phase].copy())
                # What the phase said for itself is not asked again: it may be the neighbour of another bad one.
                decided = {place.slice: self._mend(labels, place, cavity) for place in here}
                for slice_, mean in decided.items():
                    self._said[phase][:, slice_] = mean
                touched |= {(phase, place.slice, place.structure) for place in here}
                mended.add(phase)
                overlaps.measure(phase)
        for phase in before if clean else ():
            labels[phase] = keep_largest(labels[phase])
        repairs = []
        for phase, slice_, structure in sorted(touched):
            old, new = before[phase][slice_] == structure, labels[phase, slice_] == structure
            if (old != new).any():
                repairs.append(Repair(phase, slice_, structure, float(old.sum() * pixel_mm2), float(new.sum() * pixel_mm2)))
        return tuple(repairs)

    def _mend(self, labels: NDArray[np.uint8], place: Contradiction, cavity: ShiftedCavity | None) -> NDArray[np.uint8]:
        """Decide anew which pixels are the structure, by the probabilities (C - 1, G, G) that are returned."""
        shape, spacing = (labels.shape[2], labels.shape[3]), (self.study.spacing[1], self.study.spacing[2])
        mean = np.mean([self._said[phase][:, place.slice] for phase in place.neighbours], axis=0, dtype=np.float32) / _SURE
        probabilities = self.grid.restore(np.concatenate([1 - mean.sum(axis=0, keepdims=True), mean]), shape, spacing)
        decided = probabilities.argmax(axis=0)
        decided[~self.grid.covers(shape, spacing)] = Structure.BACKGROUND
        old = labels[place.phase, place.slice]
        changing = (old == place.structure) | (decided == place.structure)
        old[changing] = decided[changing]
        if cavity is not None:
            # Where the LV or its wall was amiss, the endocardium follows the neighbours, also in the wall beside what changed.
            follows = changing if place.structure == Structure.RV else old == decided
            cavity.replace(place.phase, place.slice, probabilities, follows)
        stored: NDArray[np.uint8] = np.rint(mean * _SURE).astype(np.uint8)
        return stored


class Contradiction(NamedTuple):
    """A place that contradicts its neighbours in time.

    Attributes:
        phase: Index on the T axis.
        slice: Index on the D axis.
        structure: The structure.
        neighbours: The two phases that it contradicts.
    """

    phase: int
    slice: int
    structure: Structure
    neighbours: tuple[int, int]


def contradictions(overlaps: Overlaps, study: Study, *, interior: bool, bad: Collection[int] = ()) -> list[Contradiction]:
    """Find the places that contradict their neighbours in time, by the rule of this module.

    Args:
        overlaps: Of the labels of a cine.
        study: Names ED and ES, and those of the RV, where they are known.
        interior: Look at interior slices, at all phases; otherwise at all slices, but not around ED and ES.
        bad: Phases that are not spared though they lie there.

    Returns:
        The places in order of phase, slice and structure.
    """
    lv = overlaps.areas[:, :, FOREGROUND.index(Structure.LV)].sum(axis=1)
    phases = len(lv)
    closed = _closes(lv, 1) or _closes(lv[1:], 2) or _closes(lv[:-1], 2)  # a bad first or last phase must not open the circle
    turning = {study.end_diastole, study.end_systole, *(find_phases(lv) or ())}
    # Not those of its curve: an RV that is lost for one phase would make that its ES, and be spared.
    rv_turning = turning | {study.rv_end_diastole, study.rv_end_systole}
    spared, rv_spared = (
        _around([phase for phase in extremes if phase is not None], phases) - set(bad) for extremes in (turning, rv_turning)
    )
    inside = _shown_around(overlaps.areas > 0)
    worst: dict[tuple[int, int, int], tuple[float, tuple[int, int]]] = {}
    for before, phase, after in _triples(phases, closed=closed):
        deficit, changed = overlaps.deficit(phase, before, after)
        unspared = [phase not in (rv_spared if structure == Structure.RV else spared) for structure in FOREGROUND]
        eligible = inside[before] & inside[after] if interior else np.broadcast_to(unspared, inside[0].shape)
        for slice_, structure in np.argwhere((deficit > DEFICIT) & (changed > LEAST_MM2) & eligible):
            place = phase, int(slice_), int(structure)
            worst[place] = max(worst.get(place, (0.0, (0, 0))), (float(deficit[slice_, structure]), (before, after)))
    return [
        Contradiction(phase, slice_, FOREGROUND[structure], neighbours)
        for (phase, slice_, structure), (_, neighbours) in sorted(worst.items())
    ]


def _closes(curve: NDArray[np.float64], steps: int) -> bool:
    """Whether the last phase lies so many steps before the first: as the rule for the cycle length in `shortaxis.indices.curves`."""
    return bool(abs(curve[-1] - curve[0]) <= steps * np.abs(np.diff(curve)).max())


def _triples(phases: int, *, closed: bool) -> Iterator[tuple[int, int, int]]:
    """Each phase between two neighbours, on the circle or on the line."""
    for gap in (1, 2) if phases >= PHASES_FOR_PAIRS else (1,):
        for before in range(phases if closed else phases - gap - 1):
            for step in range(1, gap + 1):
                yield before, (before + step) % phases, (before + gap + 1) % phases


class Overlaps:
    """Overlaps of the masks of two phases, for all slices and foreground structures at once.

    Args:
        labels: uint8 (T, D, H, W); not copied.
        pixel_mm2: Area of a pixel in mm².

    Attributes:
        areas: float64 (T, D, 3), area of each structure in mm².
    """

    def __init__(self, labels: NDArray[np.uint8], pixel_mm2: float) -> None:
        heart = np.asarray(labels.any(axis=(0, 1)))
        rows, columns = np.flatnonzero(heart.any(axis=1)), np.flatnonzero(heart.any(axis=0))
        self._labels = labels[:, :, rows[:1].sum() : rows[-1:].sum() + 1, columns[:1].sum() : columns[-1:].sum() + 1]
        self._pixel_mm2 = pixel_mm2
        self._known: dict[tuple[int, int], NDArray[np.float64]] = {}
        self.areas = np.zeros((*labels.shape[:2], len(FOREGROUND)))
        for phase in range(len(labels)):
            self.measure(phase)

    def measure(self, phase: int) -> None:
        """Measure a phase anew, whose labels have changed."""
        self._known = {pair: shared for pair, shared in self._known.items() if phase not in pair}
        self.areas[phase] = self._shared_mm2(phase, phase)

    def deficit(self, phase: int, before: int, after: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """By how much two phases agree better with each other than the better of them with a third, and the area in mm² it differs by.

        Both float64 (D, 3): DSC(before, after) less the larger of DSC(phase, before) and DSC(phase, after), and the smaller of the
        two areas in which the masks differ. Two empty masks agree.
        """
        (one, changed_one), (other, changed_other) = self._dsc(phase, before), self._dsc(phase, after)
        return self._dsc(before, after)[0] - np.maximum(one, other), np.minimum(changed_one, changed_other)

    def _dsc(self, one: int, other: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        total, twice = self.areas[one] + self.areas[other], 2 * self._shared_mm2(one, other)
        return np.divide(twice, total, out=np.ones_like(total), where=total > 0), total - twice

    def _shared_mm2(self, one: int, other: int) -> NDArray[np.float64]:
        """Area in mm² that both phases give to a structure, float64 (D, 3)."""
        key = min(one, other), max(one, other)
        if key not in self._known:
            first, second = (self._labels[phase] for phase in key)
            depth = len(first)
            both = np.where(first == second, first, np.uint8(0)).reshape(depth, -1) + N_CLASSES * np.arange(depth)[:, None]
            counts = np.bincount(both.ravel(), minlength=N_CLASSES * depth).reshape(depth, N_CLASSES)
            self._known[key] = np.asarray(counts[:, 1:] * self._pixel_mm2, np.float64)
        return self._known[key]


def _shown_around(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a structure is shown in the two slices above and the two below, bool (T, D, 3)."""
    padded = np.pad(shown, ((0, 0), (_ENDS, _ENDS), (0, 0)))
    depth = shown.shape[1]
    around = [padded[:, _ENDS + shift : _ENDS + shift + depth] for shift in range(-_ENDS, _ENDS + 1) if shift]
    return np.asarray(np.all(around, axis=0))


def _around(extremes: list[int], phases: int) -> set[int]:
    """The phases around ED and ES, on the circle."""
    reach = max(1, round(AROUND_EXTREMES * phases))
    return {(extreme + step) % phases for extreme in extremes for step in range(-reach, reach + 1)}
