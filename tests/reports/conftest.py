"""Reports of phantoms, as a segmentation would give them: the true labels, and maps and verdicts made up from them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import shortaxis as sa
from shortaxis.indices import SEGMENTS, regional_indices, structure_volumes
from shortaxis.metrics.end_coefficient import end_slices
from shortaxis.phantom import make_phantom
from shortaxis.reports import content

HALF_WIDTHS = {"lv_edv": 13.8, "lv_esv": 11.4, "lv_ef": 5.9, "lv_mass": 27.1, "rv_edv": 26.2, "rv_esv": 29.0, "rv_ef": 22.6}
REASONS = ["the outline is blurred", "the section is small, near the apex or beyond it"]


def report_of(phantom, *, name="heart", per_frame_files=False, calibrated=True, flags=None):
    """A report and its pixels from a phantom."""
    study, labels = phantom.study, phantom.labels
    found = sa.indices(sa.Segmentation(study, labels))
    rows = {}
    for key, index in found.items():
        half = HALF_WIDTHS.get(key) if calibrated and index.value is not None else None
        interval = None if half is None else (max(0.0, index.value - half), index.value + half)
        fields = {field: getattr(index, field) for field in ("value", "unit", "definition", "source", "reason")}
        rows[key] = content.IndexRow(**fields, interval=interval, interval_level=None if half is None else 0.9)
    report = content.StudyReport(
        schema_version=content.SCHEMA_VERSION,
        study=name,
        patient=None,
        images=[image_of(study, f"{name}.nii.gz")],
        phases="found",
        indices=rows,
        segments=segments_of(study, labels),
        segments_reason=None,
        frames=frames_of(study, labels, name, per_frame_files, calibrated),
        flags=default_flags() if flags is None else flags,
        provenance=content.Provenance(
            "0.1.0",
            "2026-01-01T09:30:00+00:00",
            f"shortaxis segment {name}.nii.gz --out out",
            "release",
            "f" * 64,
            calibrated,
            "cpu",
            41.2,
            {},
        ),
    )
    return report, pixels_of(study, labels)


def image_of(study, file):
    _, slices, rows, columns = study.pixels.shape
    return content.ImageFacts(file, "NIfTI", "0" * 64, study.n_phases, slices, rows, columns, study.spacing, [])


def segments_of(study, labels):
    regional = regional_indices(sa.Segmentation(study, labels))
    measures = ("wall_thickness_ed", "wall_thickness_es", "wall_thickening")
    if regional["wall_thickness_ed_mean"].value is None:
        return []
    return [
        content.WallSegment(number, segment, *(regional[f"{measure}_aha{number:02}"].value for measure in measures))
        for number, segment in enumerate(SEGMENTS, 1)
    ]


def frames_of(study, labels, name, per_frame_files, calibrated):
    phases = {study.end_systole: "ES", study.end_diastole: "ED"}
    depth = study.n_slices
    frames = []
    for place, volumes in enumerate(structure_volumes(labels, study.spacing)):
        image = f"{name}_frame{place + 1:02}.nii.gz" if per_frame_files else f"{name}.nii.gz"
        judged = []
        for index in sorted(end_slices(depth)) if calibrated else ():
            # The last slice is always to be checked, the first one in the second half of the cine.
            check = index == depth - 1 or (index == 0 and place >= study.n_phases / 2)
            level = "basal" if index < depth / 2 else "apical"
            judged.append(
                content.EndSlice(index + 1, level, "check" if check else "trust", 0.71 if check else 0.12, REASONS if check else [])
            )
        time = study.phase_times[place] if study.phase_times and not per_frame_files else None
        millilitres = {part: float(volumes[sa.Structure[part]]) for part in ("RV", "MYO", "LV")}
        frames.append(content.FrameRow(image, place + 1, phases.get(place), time, *millilitres.values(), judged))
    return frames


def default_flags():
    return [
        content.Flag(
            "base_not_covered",
            "warning",
            "The basal slice still shows the full ventricle.",
            "Check that the stack reaches the valve plane.",
            0.93,
            0.8,
        ),
        content.Flag("stroke_volumes_disagree", "note", "LV and RV stroke volumes differ.", "Look at the basal slices.", 14.2, 20.0, "%"),
    ]


def pixels_of(study, labels):
    """Entropy is high at outlines; two members that are torn there."""
    masks = np.stack([labels == part for part in range(4)]).astype(np.float32)
    soft = np.stack([gaussian_filter(mask, (0, 0, 1.2, 1.2)) for mask in masks])
    soft /= soft.sum(axis=0)
    entropy = -(soft * np.log(np.maximum(soft, 1e-9))).sum(axis=0) / np.log(4)
    sigma = np.stack([gaussian_filter(soft, (0, 0, 0, width, width)).mean(axis=2).var(axis=0, ddof=1) for width in (0.5, 2)], axis=1)
    omega = np.exp(sigma) / np.exp(sigma).sum(axis=1, keepdims=True)
    maps = {"sigma": sigma.astype(np.float32), "omega": omega.astype(np.float32)}
    return content.ReportPixels(study.pixels, labels, study.spacing, entropy=np.round(255 * entropy).astype(np.uint8), **maps)


@pytest.fixture(scope="session")
def cine():
    """A cine of 12 phases and 8 slices: its report and pixels."""
    return report_of(make_phantom(seed=4, n_phases=12, n_slices=8, spacing=(9.0, 2.0, 2.0), matrix=(80, 80)), name="cine")


@pytest.fixture(scope="session")
def two_frames():
    """ED and ES in files of their own, of times unknown, and of a model without a calibration."""
    phantom = make_phantom(seed=5, phases=("ED", "ES"), n_slices=6, spacing=(9.0, 2.0, 2.0), matrix=(80, 80))
    return report_of(phantom, name="patient", per_frame_files=True, calibrated=False, flags=[])


@pytest.fixture(scope="session")
def one_slice():
    """A single slice of a single frame, where neither phases nor segments are known."""
    phantom = make_phantom(seed=6, phases=(3,), n_slices=1, spacing=(9.0, 2.0, 2.0), matrix=(80, 80))
    report, pixels = report_of(phantom, name="slice", flags=[])
    return msgspec.structs.replace(report, phases="unknown", segments_reason="1 slice has a closed ring"), pixels
