"""`indices.json`: what was found in one study, in a form for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shortaxis import __version__
from shortaxis.indices import Index, structure_volumes, ventricular_indices
from shortaxis.labels import Structure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shortaxis.study import Segmentation, Spacing

SCHEMA_VERSION: Final = 1
"""Version of `indices.json`; it rises when a reader of the old one would break."""

_DIGITS: Final = 4


@dataclass
class Findings:
    """Collects the segmented images of one study; only the labels of ED and ES are kept.

    Attributes:
        name: The study's name, which is all that is told of the patient.
        frames: One row a frame: image, frame number counted from 1, phase, and volumes in ml.
    """

    name: str
    frames: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._labels: dict[str, tuple[NDArray[np.uint8], Spacing]] = {}
        self._body: tuple[float | None, float | None] = (None, None)

    def add(self, segmentation: Segmentation, image: str, first_frame: int = 1) -> None:
        """Take the volumes of an image, and its ED and ES labels where it is the first to have them.

        Args:
            segmentation: Labels of a frame or a cine whose study names ED and ES as far as they are known.
            image: The image's file name.
            first_frame: Number of its first frame.
        """
        study = segmentation.study
        named = {index: phase for phase, index in (("ES", study.end_systole), ("ED", study.end_diastole)) if index is not None}
        self._body = (study.subject.height_cm, study.subject.weight_kg)
        for index, volumes in enumerate(structure_volumes(segmentation.labels, study.spacing)):
            phase = named.get(index)
            millilitres = {f"{part.name.lower()}_ml": round(float(volumes[part]), _DIGITS) for part in Structure if part}
            self.frames.append({"image": image, "frame": first_frame + index, "phase": phase, **millilitres})
            if phase is not None:
                self._labels.setdefault(phase, (segmentation.labels[index], study.spacing))

    def indices(self) -> dict[str, Index]:
        """The clinical indices; those that need an unknown phase have a reason instead of a value."""
        end_diastole, end_systole = self._labels.get("ED"), self._labels.get("ES")
        some = end_diastole or end_systole
        spacing = some[1] if some else (1.0, 1.0, 1.0)  # without ED and ES no volume is formed
        return ventricular_indices(
            None if end_diastole is None else end_diastole[0],
            None if end_systole is None else end_systole[0],
            spacing if end_diastole is None else end_diastole[1],
            spacing if end_systole is None else end_systole[1],
            height_cm=self._body[0],
            weight_kg=self._body[1],
        )

    def to_dict(self, model: dict[str, str]) -> dict[str, Any]:
        """JSON-able form.

        Args:
            model: What is to be known of the model, such as its name and SHA-256.
        """
        rows = {name: asdict(index) for name, index in self.indices().items()}
        for row in rows.values():
            del row["name"]
            row["value"] = None if row["value"] is None else round(row["value"], _DIGITS)
        return {
            "schema_version": SCHEMA_VERSION,
            "shortaxis_version": __version__,
            "study": self.name,
            "model": model,
            "indices": rows,
            "frames": self.frames,
        }
