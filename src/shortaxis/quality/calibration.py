"""What is learnt of a model after its training: when a slice is to be checked, how wide intervals must be, which scans are known."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.io.limits import read_text
from shortaxis.quality.domain import KnownDomain
from shortaxis.quality.forest import Forest
from shortaxis.quality.intervals import Ends, IntervalModel
from shortaxis.quality.trust import TrustModel

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT: Final = 3


@dataclass(frozen=True)
class Calibration:
    """What belongs to one model file.

    Attributes:
        model_sha256: Of the model file that it was made for.
        trust: Judges slices.
        intervals: Gives the indices their intervals.
        domain: The scans that the figures hold for.
        endocardial_shift: To the compact myocardium, see `shortaxis.inference.endocardium`; None where nothing taught it.
    """

    model_sha256: str
    trust: TrustModel
    intervals: IntervalModel
    domain: KnownDomain
    endocardial_shift: float | None = None

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=2)
        with atomic_path(path) as temporary:  # a list on one line: the trees have thousands of nodes
            temporary.write_text(re.sub(r"\[[^\[\]{}]*\]", lambda match: " ".join(match[0].split()), text) + "\n", encoding="utf-8")


def load_calibration(path: Path) -> Calibration:
    """Read a calibration.

    Raises:
        InputError: The file is missing, damaged or of another version.
    """
    try:
        content = json.loads(read_text(path))
        version = content.pop("format")
        calibration = _from_json(content) if version == _FORMAT else None
    except InputError as error:
        if str(path) in str(error):
            raise
        msg = f"{path}: {error}"
        raise InputError(msg) from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path}: not a calibration, or damaged ({error}); make it again with `shortaxis calibrate`"
        raise InputError(msg) from error
    if calibration is None:
        msg = f"{path}: this calibration is of another format; make it again with `shortaxis calibrate`"
        raise InputError(msg)
    return calibration


def _from_json(content: dict[str, Any]) -> Calibration:
    trust, intervals, domain = (_tuples(content.pop(name)) for name in ("trust", "intervals", "domain"))
    trust["forest"] = Forest(**_tuples(trust["forest"]))
    intervals["weights"] = _tuples(intervals["weights"])
    for side in ("inside", "outside"):
        intervals[side] = {name: Ends(**ends) for name, ends in intervals[side].items()}
    domain["precision"] = tuple(tuple(row) for row in domain["precision"])
    return Calibration(trust=TrustModel(**trust), intervals=IntervalModel(**intervals), domain=KnownDomain(**domain), **content)


def calibration_path(model: Path) -> Path:
    """Where the calibration of a model file lies: beside it, as `NAME.calibration.json`."""
    return model.with_suffix(".calibration.json")


def _tuples(content: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
