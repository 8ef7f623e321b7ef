"""Flags on what follows from the masks: volumes, EF, stroke volumes and mass that no heart has, or that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.indices.volumes import MYOCARDIAL_DENSITY, structure_volumes
from shortaxis.labels import Structure
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.quality.flags.flag import Examined

LIVING_EF: Final = {"lv_ef": (5.0, 85.0), "rv_ef": (5.0, 85.0), "rv_ef_own": (5.0, 85.0)}
"""% between which EF lies. The 100 ACDC training patients, 80 of them with heart disease, have 10 to 82 % (LV) and 2 to 86 % (RV)."""
LIVING: Final = {
    "lv_edv": (40.0, 500.0, "ml"),
    "rv_edv": (40.0, 500.0, "ml"),
    "lv_esv": (5.0, 450.0, "ml"),
    "rv_esv": (5.0, 450.0, "ml"),
    "rv_edv_own": (40.0, 500.0, "ml"),
    "rv_esv_own": (5.0, 450.0, "ml"),
    "lv_mass": (30.0, 400.0, "g"),
}
"""Volumes and mass of adults: the 100 ACDC training patients have 49 to 374 ml (LV EDV), 47 to 295 ml (RV EDV) and 34 to 272 g."""
SV_PERCENT: Final = 50.0
SV_ML: Final = 20.0
"""Difference of the stroke volumes, in % of their mean and in ml, from both of which on it is flagged.

Contours alone part them by up to 44 % or 49 ml in the 20 healthy ACDC training patients. A few ml are nothing, whatever their %."""
MASS_PERCENT: Final = 30.0
"""Difference of the LV mass between ED and ES in % of their mean.

Muscle does not compress. In ACDC's annotations the ES mass is higher by 14 % at the median and by 30 % at the 95th percentile."""


def ef_outside_physiology(seen: Examined) -> Iterator[QualityFlag]:
    """An ejection fraction that no living heart has."""
    for name, (low, high) in LIVING_EF.items():
        value = _outside(seen, name, low, high)
        if value is not None:
            where = "the RV's own ED and ES" if _is_own(name) else "ED and ES"
            yield QualityFlag(
                f"{name}_outside_physiology",
                "warning",
                f"an {_in_words(name)} of {value:.0f} % is outside {low:.0f} to {high:.0f} %, where living hearts are",
                f"check the labels at {where}, and that these are the right frames",
                value,
                low if value < low else high,
                "%",
            )


def volume_outside_physiology(seen: Examined) -> Iterator[QualityFlag]:
    """A volume or mass that hardly any adult has."""
    for name, (low, high, unit) in LIVING.items():
        value = _outside(seen, name, low, high)
        if value:
            yield QualityFlag(
                f"{name}_outside_physiology",
                "warning",
                f"an {_in_words(name)} of {value:.0f} {unit} is outside {low:.0f} to {high:.0f} {unit}, where adults are",
                "check the labels and the spacing in the header; of a child it may be right",
                value,
                low if value < low else high,
                unit,
            )


def stroke_volumes_disagree(seen: Examined) -> QualityFlag | None:
    """LV and RV stroke volumes differ, in ml and in % of their mean."""
    difference, percent = (seen.indices.get(name) for name in ("sv_difference", "sv_difference_percent"))
    if difference is None or percent is None or abs(difference) <= SV_ML or abs(percent) <= SV_PERCENT:
        return None
    left, right = seen.indices["lv_sv"], seen.indices["rv_sv"]
    return QualityFlag(
        "stroke_volumes_disagree",
        "warning",
        f"the LV ejects {left:.0f} ml and the RV {right:.0f} ml, a difference of {abs(percent):.0f} % of their mean",
        "look at the basal slices of the RV first; valve regurgitation or a shunt makes such a difference too",
        abs(percent),
        SV_PERCENT,
        "%",
    )


def mass_changes(seen: Examined) -> QualityFlag | None:
    """The LV mass differs between ED and ES."""
    if seen.diastole is None or seen.systole is None:
        return None
    diastole, systole = (
        MYOCARDIAL_DENSITY * float(structure_volumes(frame.labels, frame.spacing, seen.study.slice_extents)[Structure.MYO])
        for frame in (seen.diastole, seen.systole)
    )
    if not diastole or not systole:
        return None
    percent = 200 * abs(systole - diastole) / (systole + diastole)
    if percent <= MASS_PERCENT:
        return None
    return QualityFlag(
        "mass_changes",
        "warning",
        f"the LV mass is {diastole:.0f} g at end-diastole and {systole:.0f} g at end-systole, {percent:.0f} % apart, although "
        "muscle does not compress",
        "compare the outlines and the most basal slice of the two frames; the one that shows less of the heart is wrong",
        percent,
        MASS_PERCENT,
        "%",
    )


def _is_own(name: str) -> bool:
    return name.endswith("_own")


def _outside(seen: Examined, name: str, low: float, high: float) -> float | None:
    """An index outside its limits; of the RV at its own phases only where the one at the LV's phases, flagged before, lies inside."""
    value, at_lv = seen.indices.get(name), seen.indices.get(name.removesuffix("_own"))
    if value is None or low <= value <= high or (_is_own(name) and at_lv is not None and not low <= at_lv <= high):
        return None
    return value


def _in_words(name: str) -> str:
    chamber, what = name.removesuffix("_own").split("_")
    return f"{chamber.upper()} {what if what == 'mass' else what.upper()}{' at its own phases' * _is_own(name)}"
