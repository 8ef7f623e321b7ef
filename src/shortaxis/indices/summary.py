"""The indices of a whole study in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shortaxis.indices.curves import volume_curves
from shortaxis.indices.endocardium import with_endocardium
from shortaxis.indices.index import Index
from shortaxis.indices.volumes import ventricular_indices

if TYPE_CHECKING:
    from shortaxis.indices.curves import VolumeCurves
    from shortaxis.study import Segmentation

_SCMR: Final = "Schulz-Menger et al., J Cardiovasc Magn Reson 22:19, 2020"
_RULES: Final = "rule of shortaxis.indices.curves"


def indices(segmentation: Segmentation, *, heart_rate: float | None = None) -> dict[str, Index]:
    """The ventricular indices of a segmented study.

    ED and ES are the study's own; in a cine of at least five phases those that it does not name are found on the LV volume curve, and the
    definitions of `ed_frame` and `es_frame` say which it was. The RV is measured there, and at its own ED and ES too: named by the study
    or found on the RV volume curve.

    Args:
        segmentation: Labels of a study; set `study.end_diastole` and `study.end_systole`, or `study.rv_end_diastole` and
            `study.rv_end_systole`, to override what would be found.
        heart_rate: Beats a minute; None takes it from the phase times where these cover the heartbeat.

    Returns:
        The indices by name: those of `ventricular_indices`; `ed_frame` and `es_frame`, and the RV's own `rv_ed_frame` and `rv_es_frame`,
        counted from 1; and peak ejection and filling rates in ml/s (`lv_per`, `lv_pfr`, `rv_per`, `rv_pfr`). What cannot be known has no
        value but a reason.

    Raises:
        InputError: Height, weight or heart rate is given and not positive.
    """
    study, subject, curves = segmentation.study, segmentation.study.subject, volume_curves(segmentation)
    diastole, systole = (None if phase is None else segmentation.labels[phase] for phase in (curves.end_diastole, curves.end_systole))
    found = ventricular_indices(
        diastole,
        systole,
        study.spacing,
        height_cm=subject.height_cm,
        weight_kg=subject.weight_kg,
        heart_rate=curves.heart_rate if heart_rate is None else heart_rate,
        extents_ed=study.slice_extents,
        extents_es=study.slice_extents,
        slices_missing=bool(study.gaps),
        rv_edv_own=curves.rv_edv_own,
        rv_esv_own=curves.rv_esv_own,
        no_rv_own=curves.no_rv_phases or "",
    )
    found["heart_rate"] = _heart_rate(found["heart_rate"], curves, given=heart_rate is not None)
    for short, name, words in (("ed", "end_diastole", "end-diastolic"), ("es", "end_systole", "end-systolic")):
        origin = "found on the LV volume curve" if name in curves.found else "named by the study"
        found[f"{short}_frame"] = _frame(f"{short}_frame", getattr(curves, name), words, origin, f"the {words} phase is not known")
        origin = "found on the RV volume curve" if f"rv_{name}" in curves.rv_found else "named by the study"
        own = getattr(curves, f"rv_{name}")
        found[f"rv_{short}_frame"] = _frame(f"rv_{short}_frame", own, f"RV's own {words}", origin, curves.no_rv_phases)
    for side, rates in (("lv", curves.lv_rates), ("rv", curves.rv_rates)):
        for short, kind, move in (("per", "ejection", "fall"), ("pfr", "filling", "rise")):
            value = None if rates is None else float(getattr(rates, kind))
            definition = f"{side.upper()} peak {kind} rate: fastest {move} of the volume, as slope of its three lowest harmonics"
            found[f"{side}_{short}"] = Index(f"{side}_{short}", value, "ml/s", definition, _RULES, curves.no_rates)
    return with_endocardium(found, segmentation.endocardium)


def _frame(name: str, phase: int | None, words: str, origin: str, reason: str | None) -> Index:
    definition = f"number of the {words} frame, counted from 1"
    if phase is None:
        return Index(name, None, "frame", definition, _RULES, reason)
    return Index(name, phase + 1.0, "frame", f"{definition}; {origin}", _RULES)


def _heart_rate(index: Index, curves: VolumeCurves, *, given: bool) -> Index:
    definition = "beats a minute, as given" if given else "60 000 ÷ cycle length in ms; cycle length: number of phases × step between them"
    return Index(index.name, index.value, index.unit, definition, _SCMR if given else _RULES, None if index.value else curves.no_cycle)
