"""One page that shows a segmented study: slices across, end-diastole above end-systole, contours on the images, indices below.

Contours are drawn where labels change, on the image's own pixels; nothing is smoothed. The colours are vermilion, yellow and sky blue of
Okabe and Ito (Color Universal Design, 2008), which stay apart for every kind of colour vision and on every grey.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shortaxis.indices import indices
from shortaxis.io.atomic import atomic_path
from shortaxis.labels import Structure
from shortaxis.reports.framing import heart_window

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from shortaxis.indices import Index
    from shortaxis.study import Segmentation

OUTLINES: Final = (
    ("RV cavity", (Structure.RV,), "#56B4E9"),
    ("Epicardium", (Structure.MYO, Structure.LV), "#F0E442"),
    ("LV cavity", (Structure.LV,), "#D55E00"),
)
"""Name, structures inside, and colour of each contour; the epicardium encloses wall and cavity."""

MOST_SLICES: Final = 6
MARGIN_MM: Final = 18.0
_WINDOW: Final = (1.0, 99.5)
"""Percentiles of the frame that are shown as black and white."""

_PANEL, _GAP, _LEFT, _TOP, _BOTTOM, _NARROWEST = 2.0, 0.03, 0.35, 0.55, 0.85, 8.0
"""Lengths on the page in inches."""

_TEXT: Final = "#e8e8e8"
_FAINT: Final = "#9a9a9a"


def save_picture(segmentation: Segmentation, path: Path | str, *, title: str = "", remark: str = "") -> None:
    """Write the picture of a study.

    Args:
        segmentation: Labels of a study; its ED and ES phases are shown, or its first phase where neither is known.
        path: The `.png` file, written whole or not at all.
        title: Stands above, such as the study's name.
        remark: Stands below the indices.

    Raises:
        InputError: The file cannot be written.
    """
    study = segmentation.study
    named = {"ED": study.end_diastole, "ES": study.end_systole}
    phases = {name: index for name, index in named.items() if index is not None} or {"frame 1": 0}
    slices = _choose_slices(segmentation.labels[list(phases.values())])
    rows, columns = heart_window(segmentation.labels, study.spacing, MARGIN_MM)
    _, y, x = study.spacing
    page = _Page(len(phases), len(slices), (rows.stop - rows.start) * y / ((columns.stop - columns.start) * x))
    for row, (name, phase) in enumerate(phases.items()):
        image = study.pixels[phase][:, rows, columns]
        low, high = np.percentile(image, _WINDOW)
        for column, depth in enumerate(slices):
            axes = page.panel(row, column)
            axes.imshow(image[depth], cmap="gray", vmin=low, vmax=high, aspect="auto", interpolation="bilinear")
            draw_outlines(axes, segmentation.labels[phase, depth, rows, columns])
            if row == 0:
                axes.set_title(f"{depth + 1}/{study.n_slices}", fontsize=7, color=_FAINT, pad=3)
            if column == 0:
                axes.set_ylabel(name, fontsize=11, fontweight="bold", labelpad=5, color=_TEXT)
    page.head(title)
    found = indices(segmentation)
    page.foot([_sentence(found, "LV"), _sentence(found, "RV")], remark)
    with atomic_path(path) as temporary:
        page.figure.savefig(temporary, dpi=150, format="png")


class _Page:
    """Where things stand on the page, in inches."""

    def __init__(self, rows: int, columns: int, aspect: float) -> None:
        self.size = (_PANEL, _PANEL * aspect)
        self.width = max(_LEFT + columns * (self.size[0] + _GAP), _NARROWEST)
        self.height = _TOP + rows * (self.size[1] + _GAP) + _BOTTOM
        self.figure = Figure(figsize=(self.width, self.height), facecolor="black")
        FigureCanvasAgg(self.figure)

    def panel(self, row: int, column: int) -> Axes:
        """Make the axes of one image."""
        width, height = self.size
        left, bottom = _LEFT + column * (width + _GAP), self.height - _TOP - row * (height + _GAP) - height
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place, xticks=[], yticks=[], facecolor="black")
        axes.spines[:].set_visible(False)
        return axes

    def head(self, title: str) -> None:
        """Write the title, and the legend on the same line."""
        y = self.height - _TOP / 2.4
        self._text(y, title, size=12, weight="bold")
        handles = [Line2D([], [], color=colour, linewidth=2, label=label) for label, _, colour in OUTLINES]
        self.figure.legend(
            handles=handles,
            loc="center right",
            bbox_to_anchor=(1 - _GAP / self.width, y / self.height),
            ncols=len(handles),
            frameon=False,
            fontsize=9,
            labelcolor=_TEXT,
            borderaxespad=0,
        )

    def foot(self, sentences: list[str], remark: str) -> None:
        """Write what was measured, and a remark below."""
        for line, sentence in enumerate(sentences):
            self._text(_BOTTOM - 0.25 - 0.22 * line, sentence, size=10)
        self._text(0.13, remark, size=7.5, color=_FAINT)

    def _text(self, y: float, text: str, *, size: float, weight: str = "normal", color: str = _TEXT) -> None:
        self.figure.text(_LEFT / self.width, y / self.height, text, fontsize=size, fontweight=weight, color=color, ha="left", va="center")


def _choose_slices(labels: NDArray[np.uint8]) -> list[int]:
    """At most `MOST_SLICES`, evenly from the first to the last with any label; of an empty segmentation from all."""
    found = np.flatnonzero(labels.any(axis=(0, 2, 3)))
    first, last = (int(found[0]), int(found[-1])) if found.size else (0, labels.shape[1] - 1)
    return sorted({round(position) for position in np.linspace(first, last, min(MOST_SLICES, last - first + 1))})


def draw_outlines(axes: Axes, labels: NDArray[np.uint8]) -> None:
    """Draw the contours of `OUTLINES` of a slice, uint8 (H, W), where labels change."""
    for _, inside, colour in OUTLINES:
        mask = np.isin(labels, inside)
        if mask.any() and min(mask.shape) > 1:
            # A rim of background closes the contour of what touches the border.
            padded = np.pad(mask.astype(np.float32), 1)
            x, y = (np.arange(-1, n + 1) for n in (mask.shape[1], mask.shape[0]))
            axes.contour(x, y, padded, levels=[0.5], colors=[colour], linewidths=1.1)
            axes.set(xlim=(-0.5, mask.shape[1] - 0.5), ylim=(mask.shape[0] - 0.5, -0.5))


def _sentence(found: dict[str, Index], side: str) -> str:
    names = ("edv", "esv", "sv", "ef")
    parts = [f"{name.upper()} {_value(found[f'{side.lower()}_{name}'])}" for name in names]
    if side == "LV":
        parts.append(f"mass {_value(found['lv_mass'])}")
    return f"{side}   " + "   ·   ".join(parts)


def _value(index: Index) -> str:
    return "unknown" if index.value is None else f"{index.value:.0f} {index.unit}"
