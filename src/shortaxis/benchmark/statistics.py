"""What the figures of several trainings say together: mean and spread, intervals, and paired differences between two rows.

A *replicate* is one training's answer on one set of patients; folds that hold out different patients are one replicate together. A figure
of a row is the mean over its replicates. Its interval comes from a percentile bootstrap that draws patients (all frames of a patient
together) and, where there are several, replicates, so that it holds the luck of the patients and the luck of the seed. DSC pooled over
all voxels and EC are no means of per-patient values: every draw computes them anew from the sums of the patients drawn.

The difference of two rows uses the same draws of patients for both (a paired bootstrap). Draws of replicates are independent, but for rows
that are the same trainings looked at in another way: what one of them owes to the luck of its seed the other owes to it, too.

Sources: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8, 13 and 15; Holm, Scandinavian Journal of Statistics
6:65-70, 1979.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.metrics.bootstrap import PatientBootstrap, Resampling, number
from shortaxis.metrics.protocols import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from shortaxis.benchmark.result import Result
    from shortaxis.metrics.case import CaseScore

    Replicates = Sequence[Sequence[CaseScore]]

DRAWS: Final = Resampling(rounds=10_000)


@dataclass(frozen=True)
class Summary:
    """A figure of a row.

    Attributes:
        value: Mean over replicates; NaN where undefined.
        sd: Standard deviation over replicates (n − 1); NaN for a single one.
        low: Lower end of the interval over patients and replicates.
        high: Upper end.
        unit: Of all four.
    """

    value: float
    sd: float
    low: float
    high: float
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; NaN becomes None."""
        return {key: value if isinstance(value, str) else number(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Difference:
    """A figure of a row minus that of the baseline, on the patients that both have.

    Attributes:
        value: The difference.
        low: Lower end of its interval.
        high: Upper end.
        p: Two-sided bootstrap p-value: twice the smaller share of draws on either side of zero (with one draw added to each side).
        p_holm: `p` after Holm's correction for all rows that stand against the same baseline; equal to `p` before it.
    """

    value: float
    low: float
    high: float
    p: float
    p_holm: float

    @property
    def mark(self) -> str:
        """`*` where the interval leaves zero out, `**` where the difference also survives Holm's correction at 0.05."""
        if not (self.low > 0 or self.high < 0):
            return ""
        return "**" if self.p_holm < 0.05 else "*"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; NaN becomes None."""
        return {key: number(value) for key, value in asdict(self).items()} | {"mark": self.mark}


def replicates(results: Iterable[Result], on: str, protocol: str) -> list[list[CaseScore]]:
    """Gather the scores of one row: one replicate a seed on held-out patients, its folds together; one a training on test patients.

    Args:
        results: Of one row.
        on: `held-out` or `test`.
        protocol: Name of the protocol.

    Returns:
        The replicates in order of seed (and fold); none where nothing was scored.

    Raises:
        InputError: Two results of one seed hold out the same patient, or two of one seed and fold were scored on test patients.
    """
    found: dict[tuple[int, int | None], list[CaseScore]] = {}
    for result in sorted(results, key=lambda result: (result.seed, result.fold or 0)):
        scored = result.held_out if on == "held-out" else result.test
        if scored is None:
            continue
        scores = scored.protocols[protocol].scores()
        kept = found.setdefault((result.seed, None if on == "held-out" else result.fold), [])
        twice = {score.patient for score in kept} & {score.patient for score in scores}
        if twice:
            msg = f"row '{result.row}', seed {result.seed}: two results score patient {min(twice)}; keep other splits in another folder"
            raise InputError(msg)
        kept.extend(scores)
    return list(found.values())


def summarise_row(
    row: str, trained: Replicates, protocol: str, figures: Sequence[str], resampling: Resampling = DRAWS
) -> dict[str, Summary]:
    """Figures of a row with their spread and intervals.

    Args:
        row: Its name, which seeds the draws of replicates.
        trained: At least one replicate.
        protocol: Name of the protocol.
        figures: Names of figures of the protocol.
        resampling: How to draw.

    Returns:
        One summary a figure.
    """
    samples = _samples(row, trained, protocol, figures, resampling)
    summaries = {}
    for name, (values, drawn, unit) in samples.items():
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
        summaries[name] = Summary(float(np.mean(values)), sd, *_interval(drawn, resampling.level), unit)
    return summaries


def compare_rows(
    row: tuple[str, Replicates],
    baseline: tuple[str, Replicates],
    protocol: str,
    figures: Sequence[str],
    resampling: Resampling = DRAWS,
) -> dict[str, Difference]:
    """Paired differences of a row and a baseline, on the patients that all their replicates have.

    Args:
        row: Name and replicates. The name seeds the draws of replicates: rows of the same trainings are paired under one name.
        baseline: Name and replicates.
        protocol: Name of the protocol.
        figures: Names of figures of the protocol.
        resampling: How to draw.

    Returns:
        One difference a figure, `p_holm` not yet corrected; none where no patient is common to all.
    """
    common = set.intersection(*({score.patient for score in scores} for _, trained in (row, baseline) for scores in trained))
    if not common:
        return {}
    ours, theirs = (_samples(name, _only(trained, common), protocol, figures, resampling) for name, trained in (row, baseline))
    differences = {}
    for name in figures:
        value = float(np.mean(ours[name][0]) - np.mean(theirs[name][0]))
        drawn = ours[name][1] - theirs[name][1]
        p = _p_value(drawn)
        differences[name] = Difference(value, *_interval(drawn, resampling.level), p, p)
    return differences


def corrected(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """Correct the p-values of one figure for the number of rows (Holm): the k-th smallest of m is multiplied by m − k + 1.

    Args:
        differences: One entry a row; those without a p-value stay as they are and do not count.
    """
    tested = sorted((row for row in differences if not np.isnan(differences[row].p)), key=lambda row: differences[row].p)
    adjusted, highest = dict(differences), 0.0
    for index, row in enumerate(tested):
        found = differences[row]
        highest = max(highest, min(1.0, found.p * (len(tested) - index)))
        adjusted[row] = Difference(found.value, found.low, found.high, found.p, highest)
    return adjusted


def _samples(
    row: str, trained: Replicates, protocol: str, figures: Sequence[str], resampling: Resampling
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64], str]]:
    """For each figure its value in every replicate, the mean over drawn replicates in every draw, and its unit."""
    all_figures = [PROTOCOLS[protocol].figures(scores) for scores in trained]
    rounds = resampling.rounds
    generator = np.random.default_rng((resampling.seed, zlib.crc32(row.encode())))
    chosen = generator.integers(len(trained), size=(rounds, len(trained)))
    samples = {}
    for name in figures:
        pairs = [_bootstrap(found[name].patients, resampling).sample(found[name]) for found in all_figures]
        values, drawn = np.array([value for value, _ in pairs]), np.stack([draws for _, draws in pairs], axis=1)
        means = _mean_of_drawn(drawn, chosen[: len(drawn)])
        samples[name] = (values, np.clip(means, *_range_of(name)), all_figures[0][name].unit)
    return samples


def _mean_of_drawn(drawn: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean over the replicates chosen in each draw, for `drawn` and `chosen` of shape (rounds, n).

    Its deviation from the mean over all n is stretched by √(n / (n − 1)): n values drawn from themselves have a variance that is too small
    by (n − 1) / n, which is half of it for two seeds.
    """
    centre, n = drawn.mean(axis=1), drawn.shape[1]
    stretch = np.sqrt(n / (n - 1)) if n > 1 else 0.0
    deviation = np.take_along_axis(drawn, chosen, axis=1).mean(axis=1) - centre
    return np.asarray(centre + stretch * deviation)


def _range_of(figure: str) -> tuple[float, float]:
    """What a figure can be, which a stretched draw must not leave."""
    if figure == "ec" or figure.startswith("dsc_"):
        return 0.0, 100.0
    is_length = figure.startswith(("hd95_", "assd_")) or figure.endswith(("_sd", "_mae"))
    return 0.0 if is_length else -np.inf, np.inf


@lru_cache(maxsize=64)
def _bootstrap(patients: tuple[str, ...], resampling: Resampling) -> PatientBootstrap:
    return PatientBootstrap(patients, resampling)


def _only(trained: Replicates, patients: Collection[str]) -> list[list[CaseScore]]:
    return [[score for score in scores if score.patient in patients] for scores in trained]


def _interval(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not defined.size:
        return np.nan, np.nan
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _p_value(drawn: NDArray[np.float64]) -> float:
    defined = drawn[~np.isnan(drawn)]
    if not defined.size:
        return np.nan
    side = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (side + 1) / (defined.size + 1))
