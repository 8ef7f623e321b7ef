"""From a study to a segmentation, one phase after another so that memory does not grow with the length of the cine."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from shortaxis.endocardium import Endocardium, as_endocardium
from shortaxis.ensemble.augmenting import turned_views
from shortaxis.ensemble.finder import build_finder, frames_to_search
from shortaxis.ensemble.model_file import ModelSpec, read_model
from shortaxis.errors import InputError
from shortaxis.inference.arguments import as_device, check_frame, check_study
from shortaxis.inference.cleaning import keep_largest
from shortaxis.inference.endocardium import DEFAULT_SHIFT, ShiftedCavity, check_shift, shift_beside
from shortaxis.inference.temporal import LEAST_PHASES, Steadier
from shortaxis.inference.threads import cores_for
from shortaxis.labels import ACDC, N_CLASSES, Structure
from shortaxis.preprocessing import AlignedGrid, normalise, shows_mirrored
from shortaxis.study import Segmentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from shortaxis.ensemble.streaming import EnsembleOutput, StreamingEnsemble
    from shortaxis.preprocessing import HeartPose, PlacedGrid
    from shortaxis.study import Study


# What is said of pixels that lie outside the grid, where the networks have seen nothing: (C, 1, 1).
_BACKGROUND_ONLY: Final = np.eye(N_CLASSES, dtype=np.float32)[Structure.BACKGROUND][:, None, None]
_NOTHING: Final = np.empty(0, np.float32)
_USUAL_DISTANCE_MM: Final = 10.0
"""Slice distance where it is not given; the pose hardly depends on it."""


class OnGrid(NamedTuple):
    """Probabilities on the grid of the networks.

    Attributes:
        pooled: float32 (C, D, G, G).
        members: float32 (N, C, D, G, G).
    """

    pooled: NDArray[np.float32]
    members: NDArray[np.float32]


class FramePrediction(NamedTuple):
    """What the ensemble says of one 3D frame, on the frame's own grid.

    Attributes:
        labels: uint8 (D, H, W).
        probabilities: float32 (C, D, H, W), pooled.
        sigma: float32 (N, H, W), or (N, D, H, W) of a pooling rule that weighs every slice on its own, or None for a rule without it.
        omega: float32, as sigma.
        on_grid: What the networks said before it was brought to the frame's grid.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    sigma: NDArray[np.float32] | None
    omega: NDArray[np.float32]
    on_grid: OnGrid


class Model:
    """A trained ensemble with the grid it was trained on.

    Args:
        ensemble: The members and their pooling rule.
        spec: Names the grid; see `ModelSpec`.
        device: Where the networks run.
        path: The file that it was loaded from, or None.

    Raises:
        InputError: The grid needs a finder and there is none.
    """

    def __init__(
        self,
        ensemble: StreamingEnsemble,
        spec: ModelSpec,
        device: str | torch.device = "cpu",
        *,
        path: Path | None = None,
    ) -> None:
        self.spec = spec
        self.path = path
        self._endocardial_shift: float | None = None
        self.grid = spec.build_grid()
        self.augmenting = spec.build_augmenting()
        self.device = torch.device(device)
        self.ensemble = ensemble.eval().to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.finder = None if ensemble.finder is None else build_finder(ensemble.finder, spec.finder)
        if self.finder is None and isinstance(self.grid, AlignedGrid):
            msg = f"the model '{spec.name}' works on an aligned grid but has no finder; use the file that its training ended with"
            raise InputError(msg)

    @property
    def endocardial_shift(self) -> float:
        """How far `Endocardium.COMPACT` lies from the border that the networks draw, see `shortaxis.inference.endocardium`.

        It is what was set here, else what the calibration beside the model file holds, else `DEFAULT_SHIFT`.

        Raises:
            InputError: When set, it is no number from 0 to 10; or that calibration cannot be read or is of another model file.
        """
        if self._endocardial_shift is None:
            beside = None if self.path is None else shift_beside(self.path)
            self._endocardial_shift = DEFAULT_SHIFT if beside is None else beside
        return self._endocardial_shift

    @endocardial_shift.setter
    def endocardial_shift(self, shift: float) -> None:
        self._endocardial_shift = check_shift(shift)

    def segment(
        self,
        study: Study,
        *,
        keep_probabilities: bool = False,
        keep_uncertainty: bool = True,
        clean: bool = True,
        temporal: bool = True,
        endocardium: Endocardium | str = Endocardium.TRABECULAE,
        pose: HeartPose | None = None,
        on_phase: Callable[[int, FramePrediction], None] | None = None,
    ) -> Segmentation:
        """Segment every phase of a study.

        Args:
            study: The study.
            keep_probabilities: Keep the pooled probabilities, 16 bytes a voxel.
            keep_uncertainty: Keep σ and ω̄.
            clean: Keep the largest connected part of each structure only.
            temporal: In a cine of ten phases or more, decide anew what contradicts its neighbours in time; see
                `shortaxis.inference.temporal`. `repairs` says where that was.
            endocardium: Where the border of the LV cavity is drawn, `trabeculae` or `compact`. Only the labels of LV and myocardium depend
                on it; probabilities, σ and ω̄ are those of the networks. The border is moved last, so `repairs` and what `on_phase` sees
                have the border that the networks draw.
            pose: How the heart lies, where another frame of the same scan has shown it; None looks for it here.
            on_phase: Called with the index of each phase and all that was said of it alone, when it is done.

        Returns:
            Labels, and what was asked to be kept, on the study's own grid.

        Raises:
            InputError: It is no study; a phase has one single grey value, so that there is nothing to segment, or holds NaN or infinity; or
                `endocardium` is not known, or the shift for it not valid.
        """
        check_study(study)
        border = as_endocardium(endocardium)
        frames: list[FramePrediction] = []
        labels = np.empty(study.pixels.shape, np.uint8)
        for phase, image in enumerate(study.pixels):
            _refuse_unfit(image, phase)
        if pose is None:
            pose = self.find_pose(study.pixels, study.spacing, study.end_diastole, mirrored=shows_mirrored(study.affine))
        grid = self.grid_at(pose)
        # Filled phase by phase: a list to be stacked at the end would take the memory twice.
        shape = (study.n_phases, N_CLASSES, *study.pixels.shape[1:])
        probabilities = np.empty(shape, np.float32) if keep_probabilities else None
        steadier = Steadier(study, grid) if temporal and study.n_phases >= LEAST_PHASES else None
        cavity = ShiftedCavity(study.pixels.shape, self.endocardial_shift) if border is Endocardium.COMPACT else None
        for phase, image in enumerate(study.pixels):
            result = self.segment_frame(image, (study.spacing[1], study.spacing[2]), clean=clean, grid=grid)
            labels[phase] = result.labels
            if steadier is not None:
                steadier.take(result.on_grid.pooled)
            if cavity is not None:
                cavity.add(phase, result.probabilities)
            if probabilities is not None:
                probabilities[phase] = result.probabilities
            if keep_uncertainty:
                # Not views of nothing: those would keep the whole arrays in memory.
                frames.append(result._replace(probabilities=_NOTHING, on_grid=OnGrid(_NOTHING, _NOTHING)))
            if on_phase is not None:
                on_phase(phase, result)
        repairs = () if steadier is None else steadier.mend(labels, clean=clean, cavity=cavity)
        if cavity is not None:
            cavity.move(labels)
        sigmas = [frame.sigma for frame in frames if frame.sigma is not None]
        return Segmentation(
            study,
            labels,
            probabilities=probabilities,
            sigma=np.stack(sigmas) if sigmas else None,
            omega=np.stack([frame.omega for frame in frames]) if frames else None,
            repairs=repairs,
            pose=pose,
            endocardium=border,
        )

    def find_pose(
        self,
        pixels: NDArray[np.generic],
        spacing: tuple[float, float, float],
        end_diastole: int | None = None,
        *,
        mirrored: bool = False,
    ) -> HeartPose | None:
        """Find how the heart lies in a study.

        Args:
            pixels: (T, D, H, W), any real dtype, finite.
            spacing: (z, y, x) in mm.
            end_diastole: Index of the ED phase, or None.
            mirrored: Whether the slices are stored mirrored; see `shows_mirrored`.

        Returns:
            The pose, or None of a model that needs none.
        """
        if not isinstance(self.grid, AlignedGrid) or self.finder is None:
            return None
        with cores_for(self.device):
            return self.finder.find(frames_to_search(pixels, end_diastole), spacing, mirrored=mirrored)

    def grid_at(self, pose: HeartPose | None) -> PlacedGrid:
        """The networks' grid for one study: an aligned grid on the heart, or upright on the picture where the pose is not sure."""
        if not isinstance(self.grid, AlignedGrid):
            return self.grid
        return self.grid.at(pose) if pose is not None and pose.is_sure else self.grid.upright()

    def place(self, frame: NDArray[np.generic], spacing: tuple[float, float, float]) -> PlacedGrid:
        """The networks' grid for a frame (D, H, W) of which nothing else is known."""
        return self.grid_at(self.find_pose(frame[None], spacing))

    def segment_frame(
        self,
        image: NDArray[np.generic],
        spacing: tuple[float, float],
        *,
        clean: bool = True,
        grid: PlacedGrid | None = None,
    ) -> FramePrediction:
        """Segment one 3D frame.

        Args:
            image: (D, H, W), any real dtype, finite.
            spacing: In-plane spacing in mm, (y, x).
            clean: As `segment`.
            grid: Where the networks look, see `place`; None places it by this frame alone.

        Raises:
            InputError: The image has other axes, or the spacing is not that of two axes.
        """
        check_frame(image, spacing)
        spacing = (float(spacing[0]), float(spacing[1]))
        if grid is None:
            grid = self.place(image, (_USUAL_DISTANCE_MM, *spacing))
        with cores_for(self.device):
            output = self.run_networks(normalise(grid.sample(image, spacing)))
            return self.bring_back(output, (image.shape[1], image.shape[2]), spacing, clean=clean, grid=grid)

    def bring_back(
        self,
        output: EnsembleOutput,
        shape: tuple[int, int],
        spacing: tuple[float, float],
        *,
        grid: PlacedGrid,
        clean: bool = True,
    ) -> FramePrediction:
        """Bring what the ensemble said of one frame to the frame's own grid of `shape` (H, W) and `spacing` (y, x), and label it there."""
        pooled = output.probabilities.transpose(0, 1).cpu().numpy()
        probabilities = grid.restore(pooled, shape, spacing)
        unseen = ~grid.covers(shape, spacing)
        probabilities[:, :, unseen] = _BACKGROUND_ONLY
        labels = probabilities.argmax(axis=0).astype(np.uint8)
        return FramePrediction(
            keep_largest(labels) if clean else labels,
            probabilities,
            None if output.sigma is None else grid.restore(self._map(output.sigma), shape, spacing),
            grid.restore(self._map(output.omega), shape, spacing),
            OnGrid(pooled, output.members.transpose(1, 2).cpu().numpy()),
        )

    def _map(self, values: Tensor) -> NDArray[np.float32]:
        """σ or ω̄ (N, F, H, W) of the one frame without its axis F; of a rule that weighs every slice, (N, D, H, W), as it is."""
        stored: NDArray[np.float32] = (values if self.ensemble.per_slice else values[:, 0]).cpu().numpy()
        return stored

    @torch.inference_mode()
    def run_networks(self, slices: NDArray[np.float32]) -> EnsembleOutput:
        """Run the ensemble on one normalised frame on the grid, float32 (D, G, G).

        Raises:
            InputError: The ensemble does not take slices of this size, or tells other classes apart than those of `Structure`.
        """
        batch = torch.from_numpy(slices)[:, None].to(self.device, memory_format=torch.channels_last)
        reduced = torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()
        with reduced:
            output = self.augmenting(self.ensemble, batch)
        if output.probabilities.shape[1] != N_CLASSES:
            msg = f"the ensemble tells {output.probabilities.shape[1]} classes apart, a model needs {N_CLASSES}: {ACDC.describe()}"
            raise InputError(msg)
        return output


def load_model(path: Path | str | None = None, device: str | torch.device = "cpu", *, views: int = 1) -> Model:
    """Load a model.

    Args:
        path: A `.safetensors` file that training wrote; None is the released model that lies in the package.
        device: Where the networks run, such as `cpu` or `cuda`.
        views: Ask about each frame in so many views, 1 to 9, turned a little, and take the mean; see `turned_views`. It takes as many times
            the arithmetic.

    Raises:
        InputError: The file is missing, damaged, or of another architecture, or brings views of its own where `views` asks for others; or
            the device is not there.

    Examples:
        >>> model = load_model()
        >>> len(model.ensemble.members)
        2
    """
    device = as_device(device)
    path = released_model_path() if path is None else Path(path)
    ensemble, spec = read_model(path)
    if views != 1:
        if spec.augmenting.get("transforms"):
            own = len(spec.augmenting["transforms"]) + 1
            msg = f"{path}: the model brings {own} views of its own, so none can be added; leave the views out"
            raise InputError(msg)
        spec = replace(spec, augmenting=turned_views(views))
    return Model(ensemble, spec, device, path=path)


def released_model_path() -> Path:
    """Where the released model lies in the package."""
    return Path(str(resources.files("shortaxis") / "weights" / "release.safetensors"))


def released_finder_path() -> Path:
    """Where the released finder of the heart lies in the package."""
    return Path(str(resources.files("shortaxis") / "weights" / "finder.safetensors"))


def _refuse_unfit(image: NDArray[np.float32], phase: int) -> None:
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        msg = f"phase {phase} of the study holds NaN or infinity; replace such pixels before segmenting"
        raise InputError(msg)
    if low == high:
        msg = f"phase {phase} of the study has the single grey value {low:g}, so there is nothing to segment"
        raise InputError(msg)
