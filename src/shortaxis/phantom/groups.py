"""Who is scanned: the diagnostic groups and the physiology that a virtual patient of each group draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError

if TYPE_CHECKING:
    import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Group:
    """The range of each quantity in one diagnostic group; a patient draws uniformly from it.

    The cut-offs follow the definitions of the ACDC groups (Bernard et al., IEEE TMI 2018): DCM an EF below 40 % in a dilated ventricle, HCM
    a septum above 15 mm with a normal EF, MINF an EF below 40 % and segments that do not contract, RV a dilated right ventricle or
    an RV EF below 40 %.

    Attributes:
        lv_edv: LV end-diastolic volume in ml.
        lv_ef: LV ejection fraction in %.
        rv_ef: RV ejection fraction in %.
        wall: End-diastolic wall thickness in mm, away from the septal bulge.
        septum: Thickness added at the septum in mm.
        elongation: Cavity length divided by its radius.
        shortening: Share by which the long axis shortens.
        akinetic: Half-width in degrees of the sector that does not contract.
        flattening: Share by which the septum of the left ventricle is pressed in.
    """

    lv_edv: Range
    lv_ef: Range
    rv_ef: Range
    wall: Range
    septum: Range
    elongation: Range
    shortening: Range
    akinetic: Range = (0.0, 0.0)
    flattening: Range = (0.0, 0.03)


GROUPS: Final = {
    "NOR": Group((105, 165), (56, 68), (48, 60), (7.0, 9.0), (0.0, 1.2), (3.1, 3.6), (0.14, 0.18)),
    "DCM": Group((200, 320), (14, 35), (34, 50), (6.5, 8.5), (0.0, 1.0), (2.6, 2.9), (0.05, 0.08)),
    "HCM": Group((95, 150), (60, 74), (50, 62), (9.0, 11.0), (7.5, 11.0), (3.2, 3.7), (0.10, 0.14)),
    "MINF": Group((150, 230), (24, 38), (42, 55), (7.0, 9.0), (0.0, 1.2), (2.8, 3.2), (0.07, 0.10), akinetic=(45, 65)),
    "RV": Group((90, 140), (50, 64), (22, 36), (7.0, 9.0), (0.0, 1.0), (3.1, 3.6), (0.10, 0.14), flattening=(0.08, 0.14)),
}


@dataclass(frozen=True)
class Patient:
    """What one virtual patient drew; the attributes of `Group` as numbers, and the body.

    Attributes:
        group: Key of `GROUPS`.
        lv_edv: LV end-diastolic volume in ml.
        lv_ef: LV ejection fraction in %.
        rv_edv: RV end-diastolic volume in ml.
        rv_ef: RV ejection fraction in %.
        wall: End-diastolic wall thickness in mm.
        septum: Thickness added at the septum in mm.
        elongation: Cavity length divided by its radius.
        shortening: Share by which the long axis shortens.
        akinetic: Half-width in degrees of the sector that does not contract; 0 for none.
        akinetic_centre: Where that sector lies, in degrees from the middle of the septum.
        flattening: Share by which the septum is pressed in.
        septal_angle: Direction from the LV axis to the RV in the image, in degrees from +W (right) towards +H (down).
        height_cm: Body height in cm.
        weight_kg: Body weight in kg.
        heart_rate: Beats per minute.
    """

    group: str
    lv_edv: float
    lv_ef: float
    rv_edv: float
    rv_ef: float
    wall: float
    septum: float
    elongation: float
    shortening: float
    akinetic: float
    akinetic_centre: float
    flattening: float
    septal_angle: float
    height_cm: float
    weight_kg: float
    heart_rate: float


def draw_patient(rng: np.random.Generator, group: str) -> Patient:
    """Draw a patient of a group.

    Both ventricles eject nearly the same stroke volume, as they must without shunt or regurgitation, so the RV volume follows from
    the LV stroke volume and the RV ejection fraction.

    Args:
        rng: Source of randomness.
        group: Key of `GROUPS`.

    Returns:
        The patient.

    Raises:
        InputError: No group has this name.
    """
    if group not in GROUPS:
        msg = f"no phantom group is called '{group}'; known are {', '.join(GROUPS)}"
        raise InputError(msg)
    ranges = GROUPS[group]
    lv_edv, lv_ef = rng.uniform(*ranges.lv_edv), rng.uniform(*ranges.lv_ef)
    stroke = lv_edv * lv_ef / 100 * rng.uniform(0.96, 1.04)
    rv_edv = max(stroke / rng.uniform(*ranges.rv_ef) * 100, 100.0)
    height = float(rng.normal(171, 9))
    return Patient(
        group=group,
        lv_edv=lv_edv,
        lv_ef=lv_ef,
        rv_edv=rv_edv,
        rv_ef=100 * stroke / rv_edv,
        wall=rng.uniform(*ranges.wall),
        septum=rng.uniform(*ranges.septum),
        elongation=rng.uniform(*ranges.elongation),
        shortening=rng.uniform(*ranges.shortening),
        akinetic=rng.uniform(*ranges.akinetic),
        akinetic_centre=rng.uniform(0, 360),
        flattening=rng.uniform(*ranges.flattening),
        septal_angle=180 - rng.uniform(0, 38),
        height_cm=round(height),
        weight_kg=round(rng.uniform(20.5, 31) * (height / 100) ** 2),
        heart_rate=rng.uniform(55, 90),
    )
