"""Sunnybrook Cardiac Data (Radau et al., The MIDAS Journal, 2009), CC0, as ED and ES frames in which the LV cavity is contoured.

Layout: a folder a patient, such as `SC-HF-I-08`, with `NAME_frame01.nii.gz` (ED), `NAME_frame02.nii.gz` (ES) and their labels
`…_gt.nii.gz`: 3 is the LV cavity, and 0 is everything else, the RV and the myocardium included, which nobody contoured. The group is part
of the name: HF-I is heart failure with infarction, HF-NI heart failure without, HYP hypertrophy, N normal.

The contours take trabeculae and papillary muscles into the cavity, and so lie about a pixel farther out than those of ACDC. The outermost
pixels of the cavity are therefore marked as unknown: a network that learns from both data sets keeps the border as ACDC draws it.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.datasets.dataset import Dataset, FrameRef, LabelFile
from shortaxis.errors import InputError
from shortaxis.io.nifti import read_labels, read_nifti
from shortaxis.labels import ACDC, UNKNOWN, Structure
from shortaxis.study import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANNOTATED: Final = frozenset({Structure.BACKGROUND, Structure.LV})
SCANNER: Final[dict[str, Any]] = {"vendor": "GE", "centre": "Sunnybrook", "field_strength_t": 1.5}
"""All patients were scanned on one kind of scanner, a GE Signa of 1.5 T."""
BORDER_MM: Final = 2.0
"""Pixels of the cavity whose centres lie nearer than this to the outside are unknown."""
_NAME: Final = re.compile(r"SC-(?P<group>[A-Z]+(?:-[A-Z]+)?)-\d+")
_PHASES: Final = {"ED": 1, "ES": 2}


def read_sunnybrook(root: Path | str) -> Dataset:
    """Open the ED and ES frames with a contoured LV cavity; images are read when they are asked for.

    Args:
        root: The folder that holds the patients' folders.

    Raises:
        InputError: No patient lies there, or an image or its labels are missing.
    """
    root = Path(root)
    folders = sorted(path for path in root.glob("SC-*") if path.is_dir() and _NAME.fullmatch(path.name)) if root.is_dir() else []
    if not folders:
        msg = f"{root}: holds no folder such as SC-HF-I-08; give the folder of the Sunnybrook patients"
        raise InputError(msg)
    refs = []
    for folder in folders:
        group = _NAME.fullmatch(folder.name)["group"]  # type: ignore[index]
        for phase, number in _PHASES.items():
            name = f"{folder.name}_frame{number:02d}"
            image, labels = folder / f"{name}.nii.gz", folder / f"{name}_gt.nii.gz"
            for path in (image, labels):
                if not path.is_file():
                    msg = f"{path}: no such file; the {phase} frame needs an image and its labels (_gt)"
                    raise InputError(msg)
            load = partial(_load, name, folder.name, phase, group, image, labels)
            file = LabelFile(labels, ACDC)
            refs.append(FrameRef(name, folder.name, phase, group, load, file, annotated=ANNOTATED, **SCANNER))
    return Dataset("sunnybrook", tuple(refs))


def _load(name: str, patient: str, phase: str, group: str, image: Path, labels: Path) -> Frame:
    study = read_nifti(image)
    truth = read_labels(labels, ACDC, like=study)[0]
    cavity = np.where(truth == Structure.LV, Structure.LV, Structure.BACKGROUND).astype(np.uint8)
    return Frame(name, patient, phase, group, study.pixels[0], without_border(cavity, study.spacing[1:]), study.spacing, ANNOTATED)


def without_border(cavity: NDArray[np.uint8], spacing: tuple[float, float], border_mm: float = BORDER_MM) -> NDArray[np.uint8]:
    """Mark the outermost pixels of a cavity as unknown.

    Args:
        cavity: uint8 (D, H, W), `Structure.LV` or background.
        spacing: In-plane spacing in mm, (y, x).
        border_mm: Pixels whose centres lie nearer than this to the outside are unknown.
    """
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415 (`doctor` opens no data set, and is quick)

    result = cavity.copy()
    for slice_ in result:
        depth = distance_transform_edt(slice_ == Structure.LV, sampling=spacing)
        slice_[(depth > 0) & (depth < border_mm)] = UNKNOWN
    return result
