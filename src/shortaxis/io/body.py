"""Body height and weight as files give them: in whatever unit, mistyped, exchanged, or 0 where they are not known.

The ranges of metre, centimetre and millimetre do not overlap, nor do those of kilogram and gram, so the number itself shows its unit.
What lies in none of them is not used, and the remark that comes with it says so.
"""

from __future__ import annotations

import math
from typing import Final

HEIGHT_CM: Final = (40.0, 260.0)
"""From a newborn to the tallest known patients."""
WEIGHT_KG: Final = (2.0, 350.0)
"""From a newborn to what a scanner can hold."""
BODY_MASS_INDEX: Final = (8.0, 100.0)
"""kg/m²: from a preterm infant to extreme obesity. A height and a weight outside it are exchanged, or one of them is wrong."""

_CM_PER_UNIT: Final = {"cm": 1.0, "m": 100.0, "mm": 0.1}
_KG_PER_UNIT: Final = {"kg": 1.0, "g": 0.001}
_ODD_UNITS: Final = {"mm", "g"}
"""Units in which neither DICOM (m, kg) nor ACDC (cm, kg) gives body size, so that their use is worth a remark."""


def plausible_height_cm(value: float | None) -> tuple[float | None, str | None]:
    """Bring a body height to cm.

    Args:
        value: The height in m, cm or mm; 0 or None where it is not known.

    Returns:
        The height in cm, or None where it is not known or not plausible; and a remark where it was not used or its unit is unusual.

    Examples:
        >>> plausible_height_cm(1.7)
        (170.0, None)
        >>> plausible_height_cm(17)
        (None, 'a body height of 17 is not plausible in m, cm or mm and is not used')
    """
    return _plausible(value, "height", _CM_PER_UNIT, HEIGHT_CM, "m, cm or mm")


def plausible_weight_kg(value: float | None) -> tuple[float | None, str | None]:
    """Bring a body weight to kg.

    Args:
        value: The weight in kg or g; 0 or None where it is not known.

    Returns:
        The weight in kg, or None where it is not known or not plausible; and a remark where it was not used or its unit is unusual.

    Examples:
        >>> plausible_weight_kg(70000)
        (70.0, 'a body weight of 70000 is taken as g')
    """
    return _plausible(value, "weight", _KG_PER_UNIT, WEIGHT_KG, "kg or g")


def implausible_together(height_cm: float, weight_kg: float) -> str | None:
    """Say why a height and a weight cannot be those of one patient, as when they were exchanged; None where they can.

    Args:
        height_cm: Body height in cm, above zero.
        weight_kg: Body weight in kg, above zero.
    """
    low, high = BODY_MASS_INDEX
    index = weight_kg / (height_cm / 100) ** 2
    if low <= index <= high:
        return None
    return f"a height of {height_cm:g} cm and a weight of {weight_kg:g} kg are not those of one patient (body mass index {index:.3g} kg/m²)"


def read_body_size(height: float | None, weight: float | None) -> tuple[float | None, float | None, list[str]]:
    """Take the body size that a table or text file gives.

    Args:
        height: The height in m, cm or mm; 0 or None where it is not known.
        weight: The weight in kg or g; 0 or None where it is not known.

    Returns:
        Height in cm and weight in kg, each as the file has it where it is not plausible but above zero and finite, so that it can be shown
        and flagged; and what is to be remarked. `shortaxis.indices.body` keeps what is not plausible from being used.
    """
    (height_cm, height_remark), (weight_kg, weight_remark) = plausible_height_cm(height), plausible_weight_kg(weight)
    together = implausible_together(height_cm, weight_kg) if height_cm is not None and weight_kg is not None else None
    remarks = [remark for remark in (height_remark, weight_remark, together and f"{together}; nothing is indexed by them") if remark]
    return height_cm or _positive(height), weight_kg or _positive(weight), remarks


def _positive(value: float | None) -> float | None:
    """A value that is a size at all; codes for a missing one, such as -1, are none."""
    return value if value is not None and math.isfinite(value) and value > 0 else None


def _plausible(
    value: float | None, what: str, factors: dict[str, float], limits: tuple[float, float], units: str
) -> tuple[float | None, str | None]:
    if value is None or value == 0:
        return None, None
    if math.isfinite(value):
        for unit, factor in factors.items():
            converted = round(value * factor, 6)
            if limits[0] <= converted <= limits[1]:
                return converted, f"a body {what} of {value:g} is taken as {unit}" if unit in _ODD_UNITS else None
    return None, f"a body {what} of {value:g} is not plausible in {units} and is not used"
