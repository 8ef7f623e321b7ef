"""Which body size volumes may be divided by: nothing is indexed by a height or weight that no patient has."""

from __future__ import annotations

from shortaxis.io.body import implausible_together, plausible_height_cm, plausible_weight_kg

__all__ = ["body_size", "implausible_together", "plausible_height_cm", "plausible_weight_kg"]


def body_size(height_cm: float | None, weight_kg: float | None) -> tuple[tuple[float, float] | None, str | None]:
    """Give the height and weight to index by, or why there are none.

    Args:
        height_cm: Body height in cm, or None when unknown; a number that can only be m or mm is taken as that.
        weight_kg: Body weight in kg, or None when unknown; a number that can only be g is taken as that.

    Returns:
        Height in cm and weight in kg, and None; or None and the reason in words.
    """
    (height, no_height), (weight, no_weight) = plausible_height_cm(height_cm), plausible_weight_kg(weight_kg)
    if height is None or weight is None:
        reasons = [reason for known, reason in ((height, no_height), (weight, no_weight)) if known is None and reason]
        return None, "; ".join(reasons) or "height and weight are not both known"
    reason = implausible_together(height, weight)
    return (None, reason) if reason else ((height, weight), None)
