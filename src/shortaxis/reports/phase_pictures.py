"""A picture of all slices of one frame with contours, for paper."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from shortaxis.reports.framing import heart_window
from shortaxis.reports.picture import MARGIN_MM, draw_outlines

if TYPE_CHECKING:
    from shortaxis.reports.content import ReportPixels

_PANEL_INCH: Final = 1.5
_DPI: Final = 150
_WINDOW: Final = (1.0, 99.5)
"""Percentiles of the frame that are shown as black and white."""
_MOST_COLUMNS: Final = 6


def phase_picture(pixels: ReportPixels, frame: int) -> tuple[bytes, float]:
    """Draw all slices of a frame side by side, cut to the heart, with the contours of the labels and without any number but the slice's.

    Args:
        pixels: Scan and labels.
        frame: Index on the T axis.

    Returns:
        A PNG, and its height divided by its width.
    """
    image, labels = pixels.image[frame], pixels.labels[frame]
    rows, columns = heart_window(pixels.labels, pixels.spacing, MARGIN_MM)
    _, y, x = pixels.spacing
    wide = min(_MOST_COLUMNS, len(image))
    high = -(-len(image) // wide)
    panel = _PANEL_INCH * (rows.stop - rows.start) * y / ((columns.stop - columns.start) * x)
    figure = Figure(figsize=(wide * _PANEL_INCH, high * panel), facecolor="black")
    FigureCanvasAgg(figure)
    shown = image[:, rows, columns]
    low, high_value = np.percentile(shown, _WINDOW)
    for d, one in enumerate(shown):
        left, bottom = d % wide / wide, 1 - (d // wide + 1) / high
        axes = figure.add_axes((left, bottom, 1 / wide, 1 / high), xticks=[], yticks=[], facecolor="black")
        axes.spines[:].set_visible(False)
        axes.imshow(one, cmap="gray", vmin=low, vmax=high_value, aspect="auto", interpolation="bilinear")
        draw_outlines(axes, labels[d, rows, columns])
        axes.text(0.03, 0.97, str(d + 1), transform=axes.transAxes, color="white", fontsize=8, ha="left", va="top")
    stream = io.BytesIO()
    figure.savefig(stream, dpi=_DPI, format="png")
    return stream.getvalue(), high * panel / (wide * _PANEL_INCH)
