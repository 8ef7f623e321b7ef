"""Flag on the body size that volumes are divided by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortaxis.indices.body import body_size
from shortaxis.quality.flags.flag import QualityFlag

if TYPE_CHECKING:
    from shortaxis.quality.flags.flag import Examined


def implausible_body_size(seen: Examined) -> QualityFlag | None:
    """Height and weight are given, but are not those of a patient."""
    subject = seen.study.subject
    if subject.height_cm is None or subject.weight_kg is None:
        return None
    reason = body_size(subject.height_cm, subject.weight_kg)[1]
    if reason is None:
        return None
    return QualityFlag(
        "implausible_body_size",
        "warning",
        f"{reason}; nothing is indexed by body size",
        "correct height and weight in the file",
    )
