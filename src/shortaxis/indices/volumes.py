"""Ventricular volumes, ejection fraction and mass from labels.

Volumes are sums of slices (Simpson's rule as cardiac MR uses it): the area of a structure in each slice times the distance between slices.
The slice distance is the z spacing, centre to centre, so that the space between two slices belongs half to each. Where slices are unevenly
spaced, `Study.slice_extents` has the length of each: half the distance to its neighbours. Where slices are missing (`Study.gaps`), nothing
is added for them, and volumes and mass are lower bounds. Papillary muscles and trabeculae count as the labels have them; where they lie
is what `shortaxis.endocardium.Endocardium` says. Definitions follow the SCMR (Schulz-Menger et al., JCMR 22:19, 2020).

ED and ES are those of the LV. The RV may be largest and smallest at other phases: indices whose names end in `_own` are measured there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shortaxis.errors import InputError
from shortaxis.indices.body import body_size
from shortaxis.indices.index import Index
from shortaxis.labels import N_CLASSES, Structure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from shortaxis.study import Spacing

MYOCARDIAL_DENSITY: Final = 1.05
"""g/ml (Schulz-Menger et al., JCMR 22:19, 2020)."""

_SCMR: Final = "Schulz-Menger et al., J Cardiovasc Magn Reson 22:19, 2020"
_MOSTELLER: Final = "Mosteller, N Engl J Med 317:1098, 1987"


def structure_volumes(labels: NDArray[np.uint8], spacing: Spacing, slice_extents: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Volume of each structure in ml: number of voxels times voxel volume, which is the sum over slices of area times slice distance.

    Args:
        labels: uint8 (D, H, W) or (T, D, H, W), values of `shortaxis.labels.Structure`.
        spacing: (z, y, x) in mm.
        slice_extents: Length along the normal that each slice stands for in mm, (D,); None takes the slice distance.

    Returns:
        float64 (C,) or (T, C), in the order of `Structure`, background included.
    """
    frames = labels.reshape(-1, *labels.shape[-3:])
    if slice_extents is not None:
        by_slice = [[np.bincount(mask.ravel(), minlength=N_CLASSES)[:N_CLASSES] for mask in frame] for frame in frames]
        along = np.einsum("tdc,d->tc", np.array(by_slice, np.float64), np.asarray(slice_extents, np.float64))
        volumes: NDArray[np.float64] = along.reshape(*labels.shape[:-3], N_CLASSES) * (spacing[1] * spacing[2] / 1000.0)
        return volumes
    counts = np.stack([np.bincount(frame.ravel(), minlength=N_CLASSES)[:N_CLASSES] for frame in frames])
    voxel_ml = spacing[0] * spacing[1] * spacing[2] / 1000.0
    return counts.reshape(*labels.shape[:-3], N_CLASSES).astype(np.float64) * voxel_ml


def body_surface_area(height_cm: float, weight_kg: float) -> float:
    """Body surface area in m²: √(height in cm × weight in kg ÷ 3600) (Mosteller, N Engl J Med 317:1098, 1987).

    Raises:
        InputError: Height or weight is not a positive number.
    """
    _refuse_body_size(height_cm, weight_kg)
    return float(np.sqrt(height_cm * weight_kg / 3600.0))


def _refuse_body_size(height_cm: float, weight_kg: float) -> None:
    if not (np.isfinite(height_cm) and np.isfinite(weight_kg) and height_cm > 0 and weight_kg > 0):
        msg = f"height and weight must be positive, not {height_cm} cm and {weight_kg} kg; leave out what is not known"
        raise InputError(msg)


def ventricular_indices(
    labels_ed: NDArray[np.uint8] | None,
    labels_es: NDArray[np.uint8] | None,
    spacing_ed: Spacing,
    spacing_es: Spacing | None = None,
    *,
    height_cm: float | None = None,
    weight_kg: float | None = None,
    heart_rate: float | None = None,
    extents_ed: Sequence[float] | None = None,
    extents_es: Sequence[float] | None = None,
    slices_missing: bool = False,
    rv_edv_own: float | None = None,
    rv_esv_own: float | None = None,
    no_rv_own: str = "the RV's own ED and ES are not known",
) -> dict[str, Index]:
    """The ventricular indices from the labels of the ED and the ES frame.

    Args:
        labels_ed: uint8 (D, H, W) at end-diastole, values of `shortaxis.labels.Structure`, or None when unknown.
        labels_es: uint8 (D, H, W) at end-systole, or None when unknown.
        spacing_ed: (z, y, x) in mm of the ED frame.
        spacing_es: (z, y, x) in mm of the ES frame; None for that of ED.
        height_cm: Body height in cm, or None when unknown; nothing is indexed by one that no patient has (`shortaxis.indices.body`).
        weight_kg: Body weight in kg, or None when unknown; likewise.
        heart_rate: Beats a minute, or None when unknown.
        extents_ed: Length in mm that each slice of the ED frame stands for, (D,), or None where that is the slice distance.
        extents_es: The same of the ES frame.
        slices_missing: Whether slices are missing within the stack, so that volumes and mass are lower bounds.
        rv_edv_own: RV cavity in ml at the RV's own end-diastole, or None when unknown.
        rv_esv_own: The same at its own end-systole.
        no_rv_own: Why one of these is unknown, in words.

    Returns:
        By name: EDV, ESV and SV in ml and EF in % of LV and RV (`lv_edv` … `rv_ef`), those of the RV at its own ED and ES as well
        (`rv_edv_own` … `rv_ef_own`), `lv_mass` in g, cardiac output in l/min (`lv_co`,
        `rv_co`), `bsa` in m², and volumes, mass and output divided by it (`lv_edv_indexed` …); `heart_rate`; and the agreement of
        the stroke volumes, `sv_difference` in ml and `sv_difference_percent`. What cannot be known has no value but a reason.

    Raises:
        InputError: Height, weight or heart rate is given and not positive.
    """
    volumes_ed = None if labels_ed is None else structure_volumes(labels_ed, spacing_ed, extents_ed)
    volumes_es = None if labels_es is None else structure_volumes(labels_es, spacing_es or spacing_ed, extents_es)
    found = indices_of_volumes(volumes_ed, volumes_es) | _of_rv_at_own_phases(rv_edv_own, rv_esv_own, no_rv_own)
    found |= _output(found, heart_rate)
    if height_cm is not None and weight_kg is not None:
        _refuse_body_size(height_cm, weight_kg)
    size, reason = body_size(height_cm, weight_kg)
    area = None if size is None else body_surface_area(*size)
    found["bsa"] = Index("bsa", area, "m²", "body surface area: √(height in cm × weight in kg ÷ 3600)", _MOSTELLER, reason)
    found |= _indexed(found, area, reason)
    if slices_missing:
        found |= _as_lower_bounds(found)
    found |= _stroke_volume_agreement(found["lv_sv"], found["rv_sv"])
    return found


def indices_of_volumes(ed: NDArray[Any] | None, es: NDArray[Any] | None) -> dict[str, Index]:
    """The indices that need no body size.

    Args:
        ed: Volumes (C,) in ml at end-diastole, in the order of `shortaxis.labels.Structure`, or None when unknown.
        es: The same at end-systole.

    Returns:
        The indices by name.
    """
    no_ed, no_es = "the end-diastolic phase is not known", "the end-systolic phase is not known"
    found: dict[str, Index] = {}
    for cavity, whose in ((Structure.LV, ""), (Structure.RV, " of the LV")):
        edv, esv = (None if volumes is None else float(volumes[cavity]) for volumes in (ed, es))
        found |= _of_cavity(cavity, (edv, esv), (no_ed, no_es), (f"end-diastole{whose}", f"end-systole{whose}"))
    mass = None if ed is None else MYOCARDIAL_DENSITY * float(ed[Structure.MYO])
    definition = f"LV myocardium at end-diastole × {MYOCARDIAL_DENSITY} g/ml"
    found["lv_mass"] = Index("lv_mass", mass, "g", definition, _SCMR, no_ed if mass is None else None)
    return found


def _of_rv_at_own_phases(edv: float | None, esv: float | None, reason: str) -> dict[str, Index]:
    at = "end-diastole of the RV itself", "end-systole of the RV itself"
    return _of_cavity(Structure.RV, (edv, esv), (reason, reason), at, suffix="_own", phases=" at the RV's own phases")


def _of_cavity(
    cavity: Structure,
    volumes: tuple[float | None, float | None],
    reasons: tuple[str, str],
    at: tuple[str, str],
    *,
    suffix: str = "",
    phases: str = "",
) -> dict[str, Index]:
    """EDV, ESV, SV and EF of a cavity from its volumes in ml at ED and ES; an unknown volume has a reason."""
    label, side, (edv, esv) = cavity.name, cavity.name.lower(), volumes
    stroke = None if edv is None or esv is None else edv - esv
    fraction = 100.0 * stroke / edv if edv and stroke is not None else None
    no_stroke = reasons[0] if edv is None else reasons[1]
    rows = (
        ("edv", edv, "ml", f"{label} cavity at {at[0]}: sum over slices of area × slice distance", reasons[0]),
        ("esv", esv, "ml", f"{label} cavity at {at[1]}: sum over slices of area × slice distance", reasons[1]),
        ("sv", stroke, "ml", f"{label} stroke volume{phases}: EDV − ESV", no_stroke),
        (
            "ef",
            fraction,
            "%",
            f"{label} ejection fraction{phases}: 100 × SV ÷ EDV",
            no_stroke if stroke is None else f"EDV is zero: no {label}",
        ),
    )
    return {
        name: Index(name, value, unit, definition, _SCMR, None if value is not None else reason)
        for kind, value, unit, definition, reason in rows
        for name in (f"{side}_{kind}{suffix}",)
    }


def _output(found: Mapping[str, Index], heart_rate: float | None) -> dict[str, Index]:
    if heart_rate is not None and not (np.isfinite(heart_rate) and heart_rate > 0):
        msg = f"heart_rate must be positive, not {heart_rate}; leave it out when it is not known"
        raise InputError(msg)
    unknown = "the heart rate is not known"
    added = {"heart_rate": Index("heart_rate", heart_rate, "1/min", "beats a minute", _SCMR, None if heart_rate else unknown)}
    for side in ("lv", "rv"):
        stroke = found[f"{side}_sv"]
        output = None if stroke.value is None or heart_rate is None else stroke.value * heart_rate / 1000.0
        definition = f"{side.upper()} cardiac output: SV × heart rate"
        added[f"{side}_co"] = Index(
            f"{side}_co", output, "l/min", definition, _SCMR, None if output is not None else stroke.reason or unknown
        )
    return added


def _as_lower_bounds(found: Mapping[str, Index]) -> dict[str, Index]:
    """Mark volumes and mass, absolute and indexed; what is a difference or a ratio of volumes has no bound."""
    kinds = ("_edv", "_esv", "_mass")
    bounded = {name: index for name, index in found.items() if name.removesuffix("_indexed").removesuffix("_own").endswith(kinds)}
    return {name: replace(index, lower_bound=index.value is not None) for name, index in bounded.items()}


def _stroke_volume_agreement(lv: Index, rv: Index) -> dict[str, Index]:
    """Without shunt or regurgitation both ventricles eject the same, so their difference checks the contours."""
    reason = lv.reason or rv.reason
    difference = None if lv.value is None or rv.value is None else lv.value - rv.value
    mean = None if lv.value is None or rv.value is None else (lv.value + rv.value) / 2
    share = None if difference is None or not mean or mean < 0 else 100.0 * difference / mean
    no_share = None if share is not None else reason or "the mean stroke volume is not positive"
    percent = "difference of the stroke volumes in % of their mean: 100 × (LV − RV) ÷ mean"
    return {
        "sv_difference": Index("sv_difference", difference, "ml", "difference of the stroke volumes: LV − RV", _SCMR, reason),
        "sv_difference_percent": Index("sv_difference_percent", share, "%", percent, _SCMR, no_share),
    }


def _indexed(found: Mapping[str, Index], area: float | None, reason: str | None) -> dict[str, Index]:
    indexed = {}
    for name, index in found.items():
        if index.unit not in {"ml", "g", "l/min"}:
            continue
        value = None if area is None or index.value is None else index.value / area
        indexed[f"{name}_indexed"] = Index(
            f"{name}_indexed",
            value,
            f"{index.unit}/m²",
            f"{index.definition}, divided by the body surface area",
            f"{index.source}; {_MOSTELLER}",
            None if value is not None else index.reason or reason,
        )
    return indexed
