"""Fig. 3: the end slices of one frame as everyone sees them: truth, each member, networks trained solo, the ensemble, and σ_i and ω̄_i."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.lines import Line2D

from shortaxis.benchmark.figures.style import INK, new_figure, styled
from shortaxis.datasets import open_dataset
from shortaxis.errors import InputError
from shortaxis.inference.cleaning import keep_largest
from shortaxis.metrics.end_coefficient import paper_end_score, reference_end_score
from shortaxis.metrics.overlap import slice_confusion
from shortaxis.metrics.protocols import stretch
from shortaxis.reports.framing import heart_window
from shortaxis.reports.picture import MARGIN_MM, OUTLINES, draw_outlines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

    from shortaxis.ensemble.model_file import ModelSpec
    from shortaxis.inference.predictor import FramePrediction, Model
    from shortaxis.reports.framing import Window
    from shortaxis.study import Frame

SLICES: Final = (0, 1, -2, -1)
_GREY: Final = (1.0, 99.5)
"""Percentiles of the frame that are shown as black and white."""
_PANEL: Final = 1.15
"""Edge of a panel in inches."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One column of the figure.

    Attributes:
        name: Heading.
        labels: uint8 (D, H, W), or None for the image alone.
        is_prediction: Whether it is held against the truth.
    """

    name: str
    labels: NDArray[np.uint8] | None
    is_prediction: bool = True


def read_case(case: str) -> Frame:
    """Read one annotated frame.

    Args:
        case: `KIND:PATH/NAME`, such as `acdc:acdc/testing/patient114_frame11` or `phantom:5/phantom003_ES`.

    Raises:
        InputError: There is no such data set or frame.
    """
    spec, _, name = case.rpartition("/")
    if not spec:
        msg = f"{case}: write KIND:PATH/NAME, such as acdc:acdc/testing/patient114_frame11 or phantom:5/phantom003_ES"
        raise InputError(msg)
    dataset = open_dataset(spec)
    found = next((ref for ref in dataset.refs if ref.name == name), None)
    if found is None:
        near = ", ".join(ref.name for ref in dataset.refs[:3])
        msg = f"{spec}: holds no annotated frame '{name}'; its frames are named like {near}"
        raise InputError(msg)
    return found.load()


def study_case(frame: Frame, model: Model, solo: Sequence[tuple[str, Model]] = ()) -> tuple[list[Seen], FramePrediction]:
    """Let everyone segment one frame.

    Args:
        frame: The frame.
        model: The ensemble.
        solo: Other models by name, such as one network trained alone.

    Returns:
        The columns of the figure, image and truth first, and what the ensemble said.
    """
    spacing = (frame.spacing[1], frame.spacing[2])
    grid = model.place(frame.image[None], frame.spacing)
    prediction = model.segment_frame(frame.image, spacing, grid=grid)
    shape = (frame.image.shape[1], frame.image.shape[2])
    names = member_names(model.spec)
    members = [
        Seen(f"{name}\nin the ensemble", keep_largest(grid.restore(said, shape, spacing).argmax(axis=0).astype(np.uint8)))
        for name, said in zip(names, prediction.on_grid.members, strict=True)
    ]
    alone = [Seen(f"{name}\nsolo", other.segment_frame(frame.image, spacing).labels) for name, other in solo]
    several = members if len(members) > 1 else []
    ensemble = Seen("Ensemble" if several else names[0], prediction.labels)
    return [
        Seen("Image", None, is_prediction=False),
        Seen("Truth", frame.labels, is_prediction=False),
        *several,
        *alone,
        ensemble,
    ], prediction


def draw_case(frame: Frame, columns: Sequence[Seen], prediction: FramePrediction, *, names: Sequence[str], title: str) -> Figure:
    """Draw one row an end slice, one column a view, and σ_i and ω̄_i of each member below.

    Args:
        frame: The frame.
        columns: From `study_case`.
        prediction: What the ensemble said.
        names: The members.
        title: Stands above.
    """
    seen = [seen.labels for seen in columns if seen.labels is not None]
    window = heart_window(np.stack(seen), frame.spacing, MARGIN_MM)
    slices = list(dict.fromkeys(index % len(frame.image) for index in SLICES))
    aspect = window.height * frame.spacing[1] / (window.width * frame.spacing[2])
    maps = _maps(prediction, names) if len(names) > 1 else []
    above, below = len(slices) * _PANEL * aspect + 1.15, (_PANEL * aspect + 0.45) if maps else 0.0
    with styled():
        figure = new_figure(max(len(columns) * _PANEL + 0.4, 5.4), above + below)
        parts: Any = figure.subfigures(2, 1, height_ratios=(above, below)) if maps else [figure]
        _views(parts[0], frame, columns, slices, window)
        handles = [Line2D([], [], color=colour, linewidth=2, label=name) for name, _, colour in OUTLINES]
        parts[0].legend(handles=handles, loc="outside lower center", ncols=3)
        parts[0].suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=9)
        if maps:
            _weights(parts[1], maps, window, frame)
    return figure


def _views(part: Figure | SubFigure, frame: Frame, columns: Sequence[Seen], slices: Sequence[int], window: Window) -> None:
    grid: NDArray[Any] = part.subplots(len(slices), len(columns), squeeze=False)
    low, high = np.percentile(frame.image, _GREY)
    for row, index in enumerate(slices):
        image = frame.image[index][window.rows, window.columns]
        for column, seen in enumerate(columns):
            axes = grid[row, column]
            _show(axes, image, frame, cmap="gray", vmin=low, vmax=high)
            if seen.labels is not None:
                draw_outlines(axes, seen.labels[index][window.rows, window.columns])
            if row == 0:
                axes.set_title(seen.name, loc="center", fontsize=7, fontweight="normal")
            if column == 0:
                axes.set_ylabel(_slice_name(index, len(frame.image)), fontsize=8)
            if row == len(slices) - 1 and seen.is_prediction and seen.labels is not None:
                axes.set_xlabel(_end_scores(frame, seen.labels), fontsize=6.5, color=INK)


def _weights(
    part: Figure | SubFigure, maps: Sequence[tuple[str, NDArray[np.float32], tuple[float, float]]], window: Window, frame: Frame
) -> None:
    panels = part.subplots(1, len(maps), squeeze=False)[0]
    for axes, (name, values, (low, high)) in zip(panels, maps, strict=True):
        shown = _show(axes, values[window.rows, window.columns], frame, cmap="cividis", vmin=low, vmax=high)
        axes.set_title(name, loc="center", fontsize=7, fontweight="normal")
        bar = part.colorbar(shown, ax=axes, shrink=0.85, pad=0.03)
        bar.ax.tick_params(labelsize=6)
        bar.outline.set_linewidth(0.4)


def _maps(prediction: FramePrediction, names: Sequence[str]) -> list[tuple[str, NDArray[np.float32], tuple[float, float]]]:
    """σ_i and ω̄_i of each member with the range of its colours; all σ share one range, and all ω̄."""
    maps = []
    for symbol, values in ((r"$\sigma$", prediction.sigma), (r"$\bar\omega$", prediction.omega)):
        if values is None or np.ptp(values) == 0:
            continue  # a rule without σ, or constant weights: nothing to see
        limits = (float(values.min()), float(values.max()))
        maps += [(f"{symbol} of {name}", map_, limits) for name, map_ in zip(names, values, strict=True)]
    return maps


def _show(axes: Axes, values: NDArray[np.generic], frame: Frame, **options: Any) -> AxesImage:
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return axes.imshow(values, aspect=frame.spacing[1] / frame.spacing[2], interpolation="bilinear", **options)


def _slice_name(index: int, depth: int) -> str:
    counted = {0: "0", 1: "1", depth - 1: "−1", depth - 2: "−2"}
    return f"slice {counted[index] if depth > 3 else index}"


def _end_scores(frame: Frame, labels: NDArray[np.uint8]) -> str:
    """Mean end-slice DSC of a view under both readings of Eq. 6, in per cent."""
    reference = 100 * reference_end_score(slice_confusion(stretch(frame.labels), stretch(labels)))
    paper = 100 * paper_end_score(slice_confusion(frame.labels, labels))
    return f"end-slice DSC [%]\nreference {reference:.0f}\npaper {'−' if np.isnan(paper) else f'{paper:.0f}'}"


def member_names(spec: ModelSpec) -> list[str]:
    """Short names of the members, numbered where several are of one kind."""
    kinds = [{"unet": "UNet", "deeplabv3plus": "D3P"}.get(member["network"], member["network"]) for member in spec.members]
    return [f"{kind} {kinds[: index + 1].count(kind)}" if kinds.count(kind) > 1 else kind for index, kind in enumerate(kinds)]
