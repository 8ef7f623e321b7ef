"""What else lies in the folder of a cine study: the series that a reader must leave out, and files that are no images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.phantom.dicom_file import Place, Series, item, new_dataset, save

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shortaxis.study import Study

SIZE: Final = 24
_AXES: Final = {
    "axial": ([1, 0, 0], [0, 1, 0]),
    "coronal": ([1, 0, 0], [0, 0, -1]),
    "sagittal": ([0, 1, 0], [0, 0, -1]),
}


def write_beside(root: Path, study: Study, manufacturer: str) -> None:
    """Write the other series of a study, small pictures of noise.

    Localizer (1), two-, three- and four-chamber cines (2 to 4), an axial cine stack (90), late enhancement (91), T1 map (92), perfusion
    (93) and flow (94 magnitude, 95 velocity) on short-axis planes; a colour screenshot, a report, a DICOMDIR, a text file.

    Args:
        root: The folder of the study.
        study: The cine.
        manufacturer: Maker of the scanner.
    """
    writer = _Writer(root, study, manufacturer)
    sax = writer.short_axis()
    normal = np.cross(sax.row, sax.column)
    for name in _AXES:
        for number in range(3):
            writer.add(1, "localizer", _axis(name, number * 10.0), [{}])
    beat = [{"TriggerTime": 80 * phase} for phase in range(6)]
    for number, (name, angle) in enumerate({"2ch": 0.0, "3ch": 0.7, "4ch": 1.4}.items(), start=2):
        across = np.cos(angle) * sax.row + np.sin(angle) * sax.column
        writer.add(number, f"cine_{name}", replace(sax, row=normal, column=across), beat)
    stack = [replace(sax, position=sax.position + normal * step) for step in (0.0, 8.0, 16.0, 24.0)]
    for number, place in enumerate(stack):
        writer.add(90, "cine_axial", _axis("axial", number * 8.0), beat)
        writer.add(91, "psir_sax", place, [{"ScanningSequence": "IR", "InversionTime": 300}])
        writer.add(92, "molli_sax", place, [{"InversionTime": 100 + 80 * step, "TriggerTime": 600 + step} for step in range(4)])
        shots = [{"TriggerTime": 55 + step % 2, "AcquisitionTime": f"11000{step}"} for step in range(8)]
        writer.add(93, "dynamic", place, shots)
        writer.add(94, "flow", place, [{**tags, "SequenceName": "fl2d1_v150in"} for tags in beat])
        writer.add(95, "flow", place, [{**tags, "ImageType": ["DERIVED", "PRIMARY", "P"]} for tags in beat])
    writer.strangers()


class _Writer:
    def __init__(self, root: Path, study: Study, manufacturer: str) -> None:
        self._root, self._study, self._manufacturer = root, study, manufacturer
        self._rng = np.random.default_rng(1)
        self._instances: dict[int, int] = {}

    def short_axis(self) -> Place:
        """A small window on the first slice of the cine."""
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ self._study.affine
        column, row = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in (1, 2))
        return Place(affine[:3, 3], row, column, (8.0, 8.0), 8.0)

    def add(self, number: int, description: str, place: Place, phases: list[dict[str, Any]]) -> None:
        """Write the images of one slice."""
        series = Series(self._study.subject.identifier or "phantom", number, description, self._manufacturer)
        for tags in phases:
            instance = self._instances[number] = self._instances.get(number, 0) + 1
            dataset = new_dataset(series, instance, self._noise())
            shared = {"AcquisitionTime": f"12{number % 60:02d}00", "ScanningSequence": "GR", "EchoTime": "1.5"}
            for keyword, value in {**shared, **place.tags(), **tags}.items():
                setattr(dataset, keyword, value)
            save(dataset, self._root / f"series{number:03d}" / f"IM{instance:05d}.dcm")

    def strangers(self) -> None:
        """Write what is no MR image."""
        series = Series(self._study.subject.identifier or "phantom", 99, "other", self._manufacturer)
        colour = new_dataset(series, 1, self._noise())
        colour.SamplesPerPixel, colour.PhotometricInterpretation, colour.PlanarConfiguration = 3, "RGB", 0
        colour.BitsAllocated = colour.BitsStored = 8
        colour.HighBit, colour.PixelRepresentation, colour.PixelData = 7, 0, bytes(3 * SIZE * SIZE)
        save(colour, self._root / "series099" / "screenshot.dcm")
        report = new_dataset(series, 2, self._noise())
        for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
            delattr(report, keyword)
        report.Modality = "SR"
        report.ContentSequence = [item(TextValue="nothing")]
        save(report, self._root / "series099" / "report.dcm")
        directory = new_dataset(series, 3, self._noise(), sop_class="1.2.840.10008.1.3.10")
        save(directory, self._root / "DICOMDIR")
        (self._root / "README.TXT").write_text("Exported study.\n", encoding="utf-8")

    def _noise(self) -> NDArray[np.int64]:
        return self._rng.integers(0, 200, (SIZE, SIZE))


def _axis(name: str, offset: float) -> Place:
    row, column = (np.array(vector, float) for vector in _AXES[name])
    return Place(np.cross(row, column) * offset - 90, row, column, (8.0, 8.0), 8.0)
