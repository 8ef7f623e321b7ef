"""What every data set looks like to the rest of the package: named, annotated 3D frames that load when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from shortaxis.errors import InputError
from shortaxis.io.nifti import read_labels
from shortaxis.labels import UNKNOWN, Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from shortaxis.labels import LabelScheme
    from shortaxis.study import Frame


@dataclass(frozen=True)
class LabelFile:
    """Where the labels of a frame lie.

    Attributes:
        path: The NIfTI file.
        scheme: What its integers mean.
        index: Which phase of the file the frame is, counted from 0; None where the file is the frame.
    """

    path: Path
    scheme: LabelScheme
    index: int | None = None


@dataclass(frozen=True)
class FrameRef:
    """One annotated frame that is known but not yet read.

    Attributes:
        name: Unique within the data set, such as `patient001_frame01`.
        patient: The patient's identifier.
        phase: `ED`, `ES`, or None where the data set does not say.
        group: Diagnostic group, or None.
        load: Reads the pixels and labels.
        labels: Where the labels lie, or None where they are in no NIfTI file.
        annotated: The structures that were annotated.
        vendor: Scanner vendor, as the data set writes it, or None.
        centre: Recruiting centre, as the data set writes it, or None.
        field_strength_t: Strength of the scanner's field in tesla, or None.
    """

    name: str
    patient: str
    phase: str | None
    group: str | None
    load: Callable[[], Frame]
    labels: LabelFile | None = field(default=None, compare=False)
    annotated: frozenset[Structure] = frozenset(Structure)
    vendor: str | None = None
    centre: str | None = None
    field_strength_t: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every structure was annotated."""
        return self.annotated >= frozenset(Structure)

    def load_annotated(self) -> Frame:
        """Read the pixels and all that was annotated: for training, a reader may leave the rim of a structure open (`UNKNOWN`)."""
        frame = self.load()
        if self.labels is None or not (frame.labels == UNKNOWN).any():
            return frame
        labels = read_labels(self.labels.path, self.labels.scheme)[self.labels.index or 0]
        return replace(frame, labels=np.where(np.isin(labels, list(self.annotated)), labels, Structure.BACKGROUND).astype(np.uint8))


@dataclass(frozen=True)
class Dataset:
    """Annotated frames in a fixed order.

    Attributes:
        name: Such as `acdc`.
        refs: One entry a frame, sorted by name.
    """

    name: str
    refs: tuple[FrameRef, ...]

    def __len__(self) -> int:
        return len(self.refs)

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames one after another."""
        return (ref.load() for ref in self.refs)

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, each once, in order of first appearance."""
        return tuple(dict.fromkeys(ref.patient for ref in self.refs))

    @property
    def groups(self) -> dict[str, str | None]:
        """The diagnostic group of each patient."""
        return {ref.patient: ref.group for ref in self.refs}

    def select(self, patients: Collection[str]) -> Dataset:
        """Keep the frames of these patients only."""
        wanted = set(patients)
        return Dataset(self.name, tuple(ref for ref in self.refs if ref.patient in wanted))

    def whole(self) -> Dataset:
        """Keep the frames in which every structure was annotated."""
        return Dataset(self.name, tuple(ref for ref in self.refs if ref.is_whole))


def joined(datasets: Sequence[Dataset]) -> Dataset:
    """Several data sets as one, in their order.

    Raises:
        InputError: Two of them hold a patient of the same name.
    """
    owners: dict[str, str] = {}
    for dataset in datasets:
        for patient in dataset.patients:
            other = owners.setdefault(patient, dataset.name)
            if other != dataset.name:
                msg = f"the data sets '{other}' and '{dataset.name}' both hold a patient called {patient}; rename one of them"
                raise InputError(msg)
    return Dataset("+".join(dataset.name for dataset in datasets), tuple(ref for dataset in datasets for ref in dataset.refs))
