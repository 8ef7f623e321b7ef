"""Where the heart lies in the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.preprocessing.pose import LEAST_CERTAINTY
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from shortaxis.quality.flags.flag import Examined


def heart_not_located(seen: Examined) -> QualityFlag | None:
    """The model looks for the heart, and did not surely find it."""
    if seen.pose is None or seen.pose.is_sure:
        return None
    found = 100 * seen.pose.certainty
    return QualityFlag(
        "heart_not_located",
        "warning",
        f"the position and direction of the heart are uncertain (agreement {found:.0f} %), so the picture was segmented as it is stored",
        "look at every slice; check that the image is a short-axis cine and shows the whole heart",
        found,
        100 * LEAST_CERTAINTY,
        "%",
    )
