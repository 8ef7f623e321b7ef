"""`indices.json`: what was found in one study, in a form for people and programs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from shortaxis import __version__
from shortaxis.endocardium import Endocardium
from shortaxis.indices import Index, indices, structure_volumes, ventricular_indices
from shortaxis.indices.curves import HEARTBEAT_MS, LEAST_PHASES
from shortaxis.indices.endocardium import depends_on_endocardium, with_endocardium
from shortaxis.indices.unmeasured import without_volumes
from shortaxis.io.dicom import DicomSource
from shortaxis.io.nifti_header import NiftiSource
from shortaxis.labels import FOREGROUND, Structure
from shortaxis.metrics.protocols import INDICES
from shortaxis.quality.evidence import study_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shortaxis.quality.calibration import Calibration
    from shortaxis.quality.evidence import FrameEvidence
    from shortaxis.segmenting.trusting import Judged
    from shortaxis.study import Segmentation, Study

SCHEMA_VERSION: Final = 1
"""Version of `indices.json`; it rises when a reader of the old one would break."""

FOUND_PHASES: Final = (
    "the interval was learnt from patients whose ED and ES frames were known; here they were found on the LV volume curve, which may be "
    "off by a frame"
)
"""What is said of an interval of a cine whose ED and ES nobody named."""

SEVERAL_VIEWS: Final = "the interval was learnt with one view of each frame; with several, as here, some should be a little wider"
"""What is said of an interval of a frame that was looked at in several views."""

OUT_OF_RANGE: Final = "no interval is given where the value itself is outside what can be"
"""What is said instead of an interval of a value below 0 or above 100 %."""

SLICES_MISSING: Final = "slices are missing within the stack, so volumes and mass are lower bounds and no interval is given"
"""What is said instead of an interval where the stack has a gap."""

UNKNOWN_SCAN: Final = "the scan does not look like those that the intervals were learnt from, so no interval is given"
"""What is said instead of an interval of an index of which scans of other kinds have taught nothing."""

OTHER_SCAN: Final = (
    "the scan does not look like those that the intervals were learnt from, so the interval is a wider one, "
    "learnt from scans that do not either"
)
"""What is said of an interval of such a scan where it could be learnt."""

NO_RV_PHASES: Final = f"without a cine of at least {LEAST_PHASES} phases the RV's own ED and ES are not known"
"""Why frames of their own give no values of the RV at its own ED and ES."""

OTHER_ENDOCARDIUM: Final = "no interval is given: it was learnt with another endocardium ({})"
"""What is said instead of an interval that was learnt on labels whose border of the LV cavity is drawn elsewhere."""

NO_ED: Final = "without ED it is not known whether the scan looks like those that the intervals were learnt from"
"""What is said of an interval, or of its absence, where the scan cannot be compared; the interval is then as wide as for other scans."""

NOT_LEARNT: Final = "too few patients taught this index, so no interval is given"
"""What is said instead of an interval of an index that the calibration knows nothing of."""

PHANTOM: Final = "no interval is given: it is learnt from patients, and a virtual patient is none"
"""What is said instead of an interval of the phantom of `shortaxis demo`."""

_DIGITS: Final = 4
_PHASES: Final = ("ED", "ES")
_ANY_SPACING: Final = (1.0, 1.0, 1.0)
"""Of a frame that is not there: it has no volume."""


@dataclass
class Findings:
    """Collects the segmented images of one study; only the labels of ED and ES are kept.

    Attributes:
        name: The study's name, which is all that is told of the patient.
        frames: One row a frame: image, frame number counted from 1, phase, the RV's own phase, and volumes in ml.
        endocardium: Where the labels have the border of the LV cavity, of the images added; None before, or where it is not known.
        phantom: Whether it is a virtual patient, which no interval was learnt for.
        views: In how many views each frame was looked at by wish; the model's own are part of the model.
    """

    name: str
    frames: list[dict[str, Any]] = field(default_factory=list)
    views: int = 1
    phantom: bool = False

    def __post_init__(self) -> None:
        self._labels: dict[str, tuple[NDArray[np.uint8], Study]] = {}
        self._rv_own: dict[str, tuple[float, Study]] = {}
        self._body: tuple[float | None, float | None] = (None, None)
        self._of_cine: dict[str, Index] | None = None
        self._phases_found = False
        self._in_cine: list[bool] = []
        self._evidence: list[tuple[FrameEvidence, NDArray[np.float64]] | None] = []
        self._no_volumes: str | None = None
        self.endocardium: Endocardium | None = None

    def add(
        self,
        segmentation: Segmentation,
        image: str,
        first_frame: int = 1,
        judged: Judged | None = None,
    ) -> None:
        """Take the volumes of an image, and what is needed for the indices.

        Args:
            segmentation: Labels of a frame or a cine whose study names ED and ES as far as they are known.
            image: The image's file name.
            first_frame: Number of its first frame.
            judged: What is thought of it, from `judged_together`.
        """
        verdicts, risks, evidence = ((), (), ()) if judged is None else (judged.verdicts, judged.risks, judged.evidence)
        study = segmentation.study
        self.endocardium = segmentation.endocardium
        named = {study.end_systole: "ES", study.end_diastole: "ED"}
        rv_named = {study.rv_end_systole: "ES", study.rv_end_diastole: "ED"}
        self._body = (study.subject.height_cm, study.subject.weight_kg)
        if isinstance(study.source, NiftiSource):
            self._no_volumes = self._no_volumes or study.source.no_volumes
        if study.n_phases > 1:
            self._of_cine = indices(segmentation, heart_rate=_told_heart_rate(study))
            self._phases_found = study.end_diastole is None or study.end_systole is None
            named = {_phase(self._of_cine, "es"): "ES", _phase(self._of_cine, "ed"): "ED"}
            rv_named = {_phase(self._of_cine, "rv_es"): "ES", _phase(self._of_cine, "rv_ed"): "ED"}
        for index, volumes in enumerate(structure_volumes(segmentation.labels, study.spacing, study.slice_extents)):
            phase, rv_phase = named.get(index), rv_named.get(index)
            millilitres = {f"{part.name.lower()}_ml": round(float(volumes[part]), _DIGITS) for part in FOREGROUND}
            row = {"image": image, "frame": first_frame + index, "phase": phase, "rv_phase": rv_phase, **millilitres}
            self._in_cine.append(study.n_phases > 1)
            said = {"end_slices": verdicts[index], "slice_risk": risks[index] if risks else []} if verdicts else {}
            self.frames.append(row | said)
            self._evidence.append((evidence[index], np.array(risks[index])) if evidence and risks else None)
            if phase is not None and study.n_phases == 1:
                self._labels[phase] = (segmentation.labels[index], study)
            if rv_phase is not None and study.n_phases == 1:
                self._rv_own[rv_phase] = (float(volumes[Structure.RV]), study)

    def indices(self) -> dict[str, Index]:
        """The clinical indices: from the ED and ES frames, or from the cine where they are not both frames of their own.

        Those that need a phase which is not known have a reason instead of a value, and so have volumes where the spacing is implausible.
        """
        found = self._all_indices()
        return found if self._no_volumes is None else without_volumes(found, self._no_volumes)

    def _all_indices(self) -> dict[str, Index]:
        if self._of_cine is not None and self.rest_on_cine:
            return self._of_cine
        (end_diastole, ed), (end_systole, es) = (self._labels.get(phase, (None, None)) for phase in _PHASES)
        (rv_edv, rv_ed), (rv_esv, rv_es) = (self._rv_own.get(phase, (None, None)) for phase in _PHASES)
        found = ventricular_indices(
            end_diastole,
            end_systole,
            _ANY_SPACING if ed is None else ed.spacing,
            _ANY_SPACING if es is None else es.spacing,
            height_cm=self._body[0],
            weight_kg=self._body[1],
            extents_ed=None if ed is None else ed.slice_extents,
            extents_es=None if es is None else es.slice_extents,
            slices_missing=any(study is not None and bool(study.gaps) for study in (ed, es, rv_ed, rv_es)),
            rv_edv_own=rv_edv,
            rv_esv_own=rv_esv,
            no_rv_own=NO_RV_PHASES,
        )
        return with_endocardium(found, self.endocardium)

    @property
    def rest_on_cine(self) -> bool:
        """Whether the indices rest on a cine, and not on ED and ES frames of their own."""
        return self._of_cine is not None and len(self._labels) < len(_PHASES)

    @property
    def decisive(self) -> list[bool]:
        """For each frame whether it is of an image that the indices rest on."""
        return [in_cine == self.rest_on_cine for in_cine in self._in_cine]

    @property
    def phases(self) -> Literal["named", "found", "unknown"]:
        """How ED and ES came about."""
        found = self._all_indices()
        if found["lv_edv"].value is None or found["lv_esv"].value is None:
            return "unknown"
        return "found" if self.rest_on_cine and self._phases_found else "named"

    def decisive_frames(self) -> dict[str, dict[str, Any]]:
        """The rows of the frames that the indices rest on, ED first, by `ED` and `ES`; without those that are not known."""
        named = {row["phase"]: row for row, decisive in zip(self.frames, self.decisive, strict=True) if decisive}
        return {phase: named[phase] for phase in _PHASES if phase in named}

    def index_rows(self, calibration: Calibration | None) -> dict[str, dict[str, Any]]:
        """The indices in plain JSON types, with their intervals where there are any.

        Args:
            calibration: Gives the intervals, cut off where the index cannot go: below zero, and above 100 %. A value that is itself there
                has none, and a note says so. They were learnt where ED and ES were known, and with one view; where these had to be
                found on the volume curve, or there were more views, a note says so. Where slices are missing there are none, and volumes
                and mass are marked as lower bounds. A scan unlike those of the calibration has wider ones, or none. Those of the
                LV hold for the endocardium that the networks draw, and no other.
        """
        rows = {name: asdict(index) for name, index in self.indices().items()}
        slices_missing = any(row["lower_bound"] for row in rows.values())
        for row in rows.values():
            del row["name"]
            if not row["lower_bound"]:
                del row["lower_bound"]
            row["value"] = None if row["value"] is None else round(row["value"], _DIGITS)
        notes = [FOUND_PHASES] * (self.phases == "found") + [SEVERAL_VIEWS] * (self.views > 1)
        if calibration is None:
            return rows
        scan = self.scan(calibration)
        known = scan is not None and scan["known"]
        wider, none = (NO_ED, NO_ED) if scan is None else ("", NOT_LEARNT) if known else (OTHER_SCAN, UNKNOWN_SCAN)
        notes = [wider] * (not known) + notes
        note = {"interval_note": "; ".join(notes)} if notes else {}
        scales = calibration.intervals.scales(self._parts())
        for name in INDICES:
            row = rows[name]
            if row["value"] is None:
                continue
            if reason := SLICES_MISSING if slices_missing else PHANTOM if self.phantom else self._other_endocardium(name):
                row["interval_note"] = reason
                continue
            lowest, highest = 0.0, 100.0 if row["unit"] == "%" else math.inf
            if not lowest <= row["value"] <= highest:
                row["interval_note"] = OUT_OF_RANGE
                continue
            ends = calibration.intervals.interval(name, row["value"], scales, inside=known)
            if ends is None:
                row["interval_note"] = none
                continue
            interval = [round(float(end), _DIGITS) for end in (max(lowest, ends[0]), min(highest, ends[1]))]
            row |= {"interval": interval, "interval_level": calibration.intervals.level, **note}
        return rows

    def scan(self, calibration: Calibration) -> dict[str, Any] | None:
        """Whether the ED frame looks like the scans that the calibration knows, in plain JSON types; None where ED is not known."""
        evidence = self._decisive_evidence().get("ED")
        if evidence is None:
            return None
        figures, domain = evidence[0].figures, calibration.domain
        return {
            "known": domain.is_inside(figures),
            "distance": None if figures is None else round(domain.distance(figures), _DIGITS),
            "limit": round(domain.limit, _DIGITS),
            "unlike": [] if figures is None or domain.is_inside(figures) else list(domain.unlike(figures)),
        }

    def _decisive_evidence(self) -> dict[str, tuple[FrameEvidence, NDArray[np.float64]]]:
        """Evidence and slice risks of the frames that the indices rest on, by `ED` and `ES`."""
        rows = zip(self.frames, self.decisive, self._evidence, strict=True)
        return {row["phase"]: evidence for row, decisive, evidence in rows if decisive and row["phase"] and evidence is not None}

    def _parts(self) -> dict[str, NDArray[np.float64]]:
        found = self._decisive_evidence()
        return study_parts({name: one[0] for name, one in found.items()}, {name: one[1] for name, one in found.items()})

    def _other_endocardium(self, name: str) -> str | None:
        """Why an index has no interval: it depends on the endocardium, and the labels have another than the annotations; else None."""
        if self.endocardium in {None, Endocardium.TRABECULAE} or not depends_on_endocardium(name):
            return None
        return OTHER_ENDOCARDIUM.format(Endocardium.TRABECULAE.describe().removeprefix("endocardium "))

    def to_dict(self, model: dict[str, str], calibration: Calibration | None = None) -> dict[str, Any]:
        """JSON-able form.

        Args:
            model: What is to be known of the model, such as its name and SHA-256.
            calibration: As `index_rows`.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "shortaxis_version": __version__,
            "study": self.name,
            "model": model,
            "endocardium": None if self.endocardium is None else self.endocardium.value,
            **({} if calibration is None else {"scan": self.scan(calibration)}),
            "indices": self.index_rows(calibration),
            "frames": self.frames,
        }


def _told_heart_rate(study: Study) -> float | None:
    """Beats a minute as a DICOM study tells them: also right where the phases do not cover the heartbeat. None where it tells none."""
    interval = study.source.rr_interval if isinstance(study.source, DicomSource) else None
    return 60_000 / interval if interval and HEARTBEAT_MS[0] <= interval <= HEARTBEAT_MS[1] else None


def _phase(found: dict[str, Index], short: str) -> int | None:
    """The phase that the indices of a cine rest on, counted from 0."""
    value = found[f"{short}_frame"].value
    return None if value is None else int(value) - 1
