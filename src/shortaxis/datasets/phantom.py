"""The phantom as a data set: virtual patients that are drawn when a frame is asked for."""

from __future__ import annotations

from functools import partial

from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.errors import InputError
from shortaxis.phantom import GROUPS, make_phantom
from shortaxis.study import Frame


def phantom_dataset(n: int, seed: int = 0) -> Dataset:
    """ED and ES frames of `n` virtual patients, `phantom001` and so on, one group after the other.

    Args:
        n: Number of patients.
        seed: Chooses the patients; another seed gives others.

    Returns:
        The data set, 2·n frames; each is rendered when it is loaded, and looks the same every time.

    Raises:
        InputError: `n` is not positive.

    Examples:
        >>> data = phantom_dataset(5)
        >>> len(data), sorted(set(data.groups.values()))
        (10, ['DCM', 'HCM', 'MINF', 'NOR', 'RV'])
    """
    if n < 1:
        msg = f"a phantom data set needs at least 1 patient, not {n}"
        raise InputError(msg)
    refs = []
    for number in range(n):
        patient, group = f"phantom{number + 1:03d}", list(GROUPS)[number % len(GROUPS)]
        for phase in ("ED", "ES"):
            name = f"{patient}_{phase}"
            load = partial(_render, name, patient, group, phase, patient_seed(seed, number))
            refs.append(FrameRef(name, patient, phase, group, load))
    return Dataset("phantom", tuple(refs))


def patient_seed(seed: int, number: int) -> int:
    """Seed of the patient with this number (from 0) in the data set drawn with `seed`; no two share one below 100,000 patients."""
    return seed * 100_000 + number


def _render(name: str, patient: str, group: str, phase: str, seed: int) -> Frame:
    phantom = make_phantom(seed, group=group, phases=(phase,), identifier=patient)
    return Frame(name, patient, phase, group, phantom.study.pixels[0], phantom.labels[0], phantom.study.spacing)
