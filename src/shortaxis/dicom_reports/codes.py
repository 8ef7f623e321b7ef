"""The coded names of the indices: LOINC where it has the very quantity, SNOMED CT otherwise.

Source: DICOM PS3.16, CID 3468 (ejection fraction, volumes), CID 12200 to 12204 (cardiac measurements); LOINC 2.7x; UCUM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from shortaxis.labels import Structure

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

Phase = Literal["ED", "ES"]
Triplet = tuple[str, str, str]
"""Code value, coding scheme designator, code meaning."""


@dataclass(frozen=True)
class Measure:
    """How an index is named in a measurement report.

    Attributes:
        code: The coded name.
        structures: Whose segments it is measured on; empty for what is not measured on segments.
        phases: The phases whose segments it is measured on.
    """

    code: Triplet
    structures: tuple[Structure, ...] = ()
    phases: tuple[Phase, ...] = ()


_BOTH: Final[tuple[Phase, ...]] = ("ED", "ES")
_LV, _RV, _MYO = (Structure.LV,), (Structure.RV,), (Structure.MYO,)

MEASURES: Final = {
    "lv_edv": Measure(("8821-1", "LN", "Left Ventricular ED Volume"), _LV, ("ED",)),
    "lv_esv": Measure(("8823-7", "LN", "Left Ventricular ES Volume"), _LV, ("ES",)),
    "lv_mass": Measure(("18087-7", "LN", "Left Ventricle Mass"), _MYO, ("ED",)),
    "rv_edv": Measure(("8822-9", "LN", "Right Ventricular ED Volume"), _RV, ("ED",)),
    "rv_esv": Measure(("8824-5", "LN", "Right Ventricular ES Volume"), _RV, ("ES",)),
    "lv_ef": Measure(("8811-2", "LN", "Left Ventricular Ejection Fraction by MR"), _LV, _BOTH),
    "lv_sv": Measure(("90096001", "SCT", "Stroke Volume"), _LV, _BOTH),
    "lv_co": Measure(("82799009", "SCT", "Cardiac Output"), _LV, _BOTH),
    "rv_ef": Measure(("8818-7", "LN", "Right Ventricular Ejection Fraction by MR"), _RV, _BOTH),
    "rv_sv": Measure(("429483009", "SCT", "RV Stroke Volume"), _RV, _BOTH),
    "rv_co": Measure(("428628004", "SCT", "RV Cardiac Output"), _RV, _BOTH),
    "heart_rate": Measure(("8867-4", "LN", "Heart rate")),
    "bsa": Measure(("8277-6", "LN", "Body Surface Area")),
}
"""By the name of the index. One of one phase belongs to a segment; one of both phases is derived from the segments of both."""

UNITS: Final = {
    "ml": ("ml", "UCUM", "milliliter"),
    "ml/m²": ("ml/m2", "UCUM", "milliliter per square meter"),
    "g": ("g", "UCUM", "gram"),
    "g/m²": ("g/m2", "UCUM", "gram per square meter"),
    "%": ("%", "UCUM", "percent"),
    "l/min": ("l/min", "UCUM", "liter per minute"),
    "l/min/m²": ("l/min/m2", "UCUM", "liter per minute per square meter"),
    "1/min": ("{beats}/min", "UCUM", "beats per minute"),
    "m²": ("m2", "UCUM", "square meter"),
}
"""UCUM codes by the unit of an index."""

INDEXED_TO_BODY: Final = "_indexed"
"""How the name of an index ends that is divided by the body surface area."""
DIVIDED_BY_BSA: Final = ("121425", "DCM", "Index")
"""Derivation of such an index."""
SITES: Final = {
    Structure.LV: ("87878005", "SCT", "Left ventricle"),
    Structure.RV: ("53085002", "SCT", "Right ventricle"),
    Structure.MYO: ("49848007", "SCT", "Myocardium of left ventricle"),
}
"""Finding sites; the codes are those of the segments."""
HEART: Final = ("80891009", "SCT", "Heart")
PROCEDURE: Final = ("241620005", "SCT", "Magnetic resonance imaging of heart")
COMMENT: Final = ("121106", "DCM", "Comment")
QUALITATIVE: Final = ("C0034375", "UMLS", "Qualitative Evaluations")


def coded(triplet: Triplet) -> Code:
    """Make pydicom's code of a triplet."""
    from pydicom.sr.coding import Code  # noqa: PLC0415 (an optional package)

    value, scheme, meaning = triplet
    return Code(value, scheme, meaning)
