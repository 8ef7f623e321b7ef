"""A patient of whom everything is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.phantom.acquisition import set_up_scanner
from shortaxis.phantom.geometry import Heart
from shortaxis.phantom.groups import draw_patient
from shortaxis.phantom.masks import draw_masks
from shortaxis.phantom.motion import ejected_share, end_systole_phase
from shortaxis.phantom.scan import plan_scan
from shortaxis.phantom.torso import paint_torso
from shortaxis.phantom.truth import Truth, measure
from shortaxis.phantom.ventricles import VentriclePainter
from shortaxis.study import Study, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shortaxis.study import Spacing

_PATIENT, _SCAN, _TORSO, _HEART, _SCANNER, _NOISE = range(6)
ED_ES: Final = ("ED", "ES")


@dataclass(frozen=True, eq=False)
class Phantom:
    """A virtual patient.

    Attributes:
        study: The pictures, as a reader would give them.
        labels: uint8 (T, D, H, W), values of `shortaxis.labels.Structure`; a voxel belongs to the structure that holds its centre.
        truth: Volumes, mass and thickness of the continuous shapes.
    """

    study: Study
    labels: NDArray[np.uint8]
    truth: Truth


def make_phantom(
    seed: int = 0,
    *,
    group: str = "NOR",
    n_phases: int = 20,
    n_slices: int | None = None,
    spacing: Spacing | None = None,
    matrix: tuple[int, int] | None = None,
    phases: Sequence[int | str] | None = None,
    noise: float | None = None,
    identifier: str | None = None,
) -> Phantom:
    """Make a short-axis cine study of a virtual patient, with its exact masks and volumes.

    The same arguments give the same bytes. A phase looks the same whether it is rendered alone or with all others.

    Args:
        seed: Chooses the patient, the scan and the noise.
        group: NOR, DCM, HCM, MINF or RV, as in ACDC.
        n_phases: Number of phases of the whole heartbeat; phase 0 is end diastole, `end_systole_phase` end systole.
        n_slices: Number of slices; None covers the left ventricle with 6 to 18 slices.
        spacing: (z, y, x) in mm; None draws a usual one.
        matrix: (H, W) in voxels; None covers the chest.
        phases: Render these only, by index or as `"ED"` and `"ES"`; None renders all.
        noise: Standard deviation of the noise relative to LV blood; None draws between 1.5 % and 3.5 %, 0 switches it off.
        identifier: Name of the patient; None makes one of group and seed.

    Returns:
        The phantom; its T axis holds the rendered phases.

    Raises:
        InputError: The group is unknown, a phase does not exist, a number is not positive, or the heart does not fit the matrix.

    Examples:
        >>> phantom = make_phantom(seed=1, group="DCM", phases=("ED", "ES"))
        >>> phantom.study.n_phases, phantom.truth.ef < 40
        (2, True)
    """
    chosen = _choose(phases, n_phases)
    patient = draw_patient(_rng(seed, _PATIENT), group)
    scan_rng = _rng(seed, _SCAN)
    heart = Heart(patient, slope=(float(scan_rng.uniform(-0.08, 0.08)), float(scan_rng.uniform(-0.02, 0.14))))
    scan = plan_scan(scan_rng, heart, n_slices=n_slices, spacing=spacing, matrix=matrix)
    states = [heart.state(share) for share in ejected_share(n_phases)[chosen]]

    body = paint_torso(_rng(seed, _TORSO), heart, scan)
    painter = VentriclePainter(_rng(seed, _HEART), heart, scan, body)
    scanner = set_up_scanner(_rng(seed, _SCANNER), scan, noise=noise)
    pixels = np.empty((len(chosen), *scan.shape), np.float32)
    for frame, phase, state in zip(pixels, chosen, states, strict=True):
        frame[...] = scanner.acquire(_rng(seed, _NOISE + phase), painter.paint(state, phase / n_phases))

    beat = 60000 / patient.heart_rate
    systole = end_systole_phase(n_phases)
    study = Study(
        pixels=pixels,
        spacing=scan.spacing,
        affine=scan.affine,
        phase_times=tuple(round(beat * phase / n_phases, 3) for phase in chosen),
        end_diastole=chosen.index(0) if 0 in chosen else None,
        end_systole=chosen.index(systole) if systole in chosen and n_phases > 1 else None,
        subject=Subject(
            identifier or f"phantom_{group}_{seed}", group, patient.height_cm, patient.weight_kg, centre="phantom", vendor="shortaxis"
        ),
    )
    return Phantom(study, draw_masks(heart, scan, states), measure(heart, states))


def _choose(phases: Sequence[int | str] | None, n_phases: int) -> list[int]:
    if n_phases < 1:
        msg = f"n_phases must be at least 1, not {n_phases}"
        raise InputError(msg)
    if phases is None:
        return list(range(n_phases))
    named = {"ED": 0, "ES": end_systole_phase(n_phases)}
    chosen = [named.get(phase, -1) if isinstance(phase, str) else phase for phase in phases]
    if not chosen or not all(0 <= phase < n_phases for phase in chosen):
        msg = f"phases must name some of 0 to {n_phases - 1}, 'ED' or 'ES', not {list(phases)}"
        raise InputError(msg)
    return chosen


def _rng(seed: int, purpose: int) -> np.random.Generator:
    """A stream of its own for each purpose, so that a change in one does not disturb the others."""
    return np.random.default_rng([seed, purpose])
