"""Flag on the RV: it turns at other phases than the LV, at whose ED and ES it is measured by convention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from shortaxis.quality.flags.flag import Examined

EF_POINTS: Final = 5.0
"""Points of RV EF by which the value at the RV's own phases may differ from that at the LV's."""


def rv_phases_differ(seen: Examined) -> QualityFlag | None:
    """RV EF at the RV's own ED and ES differs from RV EF at those of the LV."""
    curves = seen.curves
    at_lv, own = (seen.indices.get(name) for name in ("rv_ef", "rv_ef_own"))
    phases = (curves.end_diastole, curves.end_systole), (curves.rv_end_diastole, curves.rv_end_systole)
    if at_lv is None or own is None or abs(own - at_lv) <= EF_POINTS:
        return None
    lv_frames, rv_frames = (" and ".join(str(phase + 1) for phase in pair if phase is not None) for pair in phases)
    return QualityFlag(
        "rv_phases_differ",
        "warning",
        f"RV EF is {at_lv:.0f} % at the ED and ES of the LV (frames {lv_frames}) and {own:.0f} % at those of the RV itself "
        f"(frames {rv_frames}), since the two ventricles are not largest and smallest in the same frames",
        "look at the RV in these frames: where its contours are right, use the values at its own phases; where they are not, name the "
        "frames with --rv-ed and --rv-es",
        abs(own - at_lv),
        EF_POINTS,
        "points",
    )
