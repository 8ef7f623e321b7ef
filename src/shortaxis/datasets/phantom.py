"""The phantom as a data set: virtual patients that are drawn when a frame is asked for, or written as a folder of a known layout."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from shortaxis.datasets.acdc import write_acdc_patient
from shortaxis.datasets.dataset import Dataset, FrameRef
from shortaxis.datasets.mnms import write_mnms
from shortaxis.datasets.nnunet import write_nnunet
from shortaxis.errors import InputError
from shortaxis.phantom import GROUPS, Phantom, make_phantom
from shortaxis.study import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LAYOUTS: Final = ("acdc", "mnms", "nnunet")


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
    refs = []
    for patient, group, its_seed in _patients(n, seed):
        for phase in ("ED", "ES"):
            name = f"{patient}_{phase}"
            refs.append(FrameRef(name, patient, phase, group, partial(_render, name, patient, group, phase, its_seed)))
    return Dataset("phantom", tuple(refs))


def phantom_cines(n: int, seed: int = 0, *, n_phases: int = 20, phases: Sequence[int | str] | None = None) -> Iterator[Phantom]:
    """Render the cines of the patients of `phantom_dataset`, one after the other.

    Args:
        n: Number of patients.
        seed: Chooses the patients.
        n_phases: Number of phases; with 20 the ED and ES frames are those of `phantom_dataset`.
        phases: Render these only, as in `make_phantom`.

    Yields:
        One phantom a patient.

    Raises:
        InputError: `n` or `n_phases` is not positive, or a phase does not exist.
    """
    for patient, group, its_seed in _patients(n, seed):
        yield make_phantom(its_seed, group=group, n_phases=n_phases, phases=phases, identifier=patient)


def write_phantoms(root: Path | str, n: int, *, layout: str = "acdc", seed: int = 0, n_phases: int = 20) -> None:
    """Write virtual patients as a folder of a known layout, for `open_dataset` and for other programs.

    In the layout of M&Ms every fourth patient belongs to the test part, the others to the training part.

    Args:
        root: The folder to fill.
        n: Number of patients.
        layout: `acdc`, `mnms` or `nnunet`; the last holds the ED and ES frames only, without orientation.
        seed: Chooses the patients.
        n_phases: Number of phases of the cines, at least 2; `nnunet` takes the frames of `phantom_dataset`.

    Raises:
        InputError: The layout is unknown, a number is too small, or a file cannot be written.
    """
    if layout not in LAYOUTS:
        msg = f"no phantom layout is called '{layout}'; known are {', '.join(LAYOUTS)}"
        raise InputError(msg)
    if layout == "nnunet":
        write_nnunet(root, phantom_dataset(n, seed))
        return
    cines = phantom_cines(n, seed, n_phases=n_phases)
    if layout == "mnms":
        parts = ("train", "train", "train", "test")
        write_mnms(root, ((cine.study, cine.labels, parts[number % 4]) for number, cine in enumerate(cines)))
        return
    for cine in cines:
        write_acdc_patient(root, cine.study, cine.labels)


def _patients(n: int, seed: int) -> list[tuple[str, str, int]]:
    """Name, group and seed of each patient; no two patients of two data sets share a name or seed below 100,000 patients."""
    if n < 1:
        msg = f"a phantom data set needs at least 1 patient, not {n}"
        raise InputError(msg)
    groups = list(GROUPS)
    first = seed * 100_000
    return [(f"phantom{first + number + 1:03d}", groups[number % len(groups)], first + number) for number in range(n)]


def _render(name: str, patient: str, group: str, phase: str, seed: int) -> Frame:
    phantom = make_phantom(seed, group=group, phases=(phase,), identifier=patient)
    return Frame(name, patient, phase, group, phantom.study.pixels[0], phantom.labels[0], phantom.study.spacing)
