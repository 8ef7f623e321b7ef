"""What a user may wish of a segmentation run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shortaxis.errors import InputError
from shortaxis.labels import ACDC, LabelScheme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.segmenting.plan import PlannedStudy


@dataclass(frozen=True)
class Wishes:
    """What to write, and how.

    Attributes:
        scheme: Integers of the labels.
        probabilities: Write the pooled probabilities.
        uncertainty: Write σ and ω̄.
        clean: Keep the largest connected part of each structure only.
        end_diastole: ED frame of plain files, counted from 1, or None where it is not known.
        end_systole: ES frame of plain files, counted from 1, or None.
    """

    scheme: LabelScheme = ACDC
    probabilities: bool = False
    uncertainty: bool = False
    clean: bool = True
    end_diastole: int | None = None
    end_systole: int | None = None

    def __post_init__(self) -> None:
        for option, frame in (("--ed", self.end_diastole), ("--es", self.end_systole)):
            if frame is not None and frame < 1:
                msg = f"{option} {frame}: frames are counted from 1; give the number of a frame"
                raise InputError(msg)
        if self.end_diastole is not None and self.end_diastole == self.end_systole:
            msg = f"--ed and --es are both {self.end_diastole}; give two different frames"
            raise InputError(msg)

    def refuse_misuse(self, studies: Sequence[PlannedStudy]) -> None:
        """Refuse `--ed` and `--es` for ACDC patients, whose `Info.cfg` names the frames.

        Raises:
            InputError: Names the patient.
        """
        if self.end_diastole is None and self.end_systole is None:
            return
        for study in studies:
            if any(image.acdc is not None for image in study.images):
                msg = f"{study.source}: its Info.cfg names ED and ES; leave --ed and --es out, or give the files themselves"
                raise InputError(msg)
