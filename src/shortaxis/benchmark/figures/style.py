"""One look for all figures: vector graphics that can be read with any kind of colour vision, and that are the same bytes every time."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from shortaxis.errors import InputError
from shortaxis.io.atomic import atomic_path
from shortaxis.reports.picture import OUTLINES

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS: Final[dict[str, dict[str, Any]]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "ModDate": None},
    ".png": {},
}
"""File endings, and what is left out of their metadata so that equal figures are equal files."""

STRUCTURES: Final = dict(zip(("dsc_rv", "dsc_myo", "dsc_lv"), (colour for _, _, colour in OUTLINES), strict=True))
"""Colour of each structure's figures: that of its contour on every picture of this package."""

INK: Final = "#222222"
FAINT: Final = "#8a8a8a"
GRID: Final = "#e2e2e2"

FAMILIES: Final = {
    "single": ("One network", "#999999"),
    "fixed": ("Fixed (Eq. 2)", "#0072B2"),
    "uncertainty": ("Uncertainty (Eq. 3)", "#D55E00"),
    "apart": ("Trained apart", "#009E73"),
    "augmenting": ("Augmenting", "#CC79A7"),
    "other": ("Other pooling", "#E69F00"),
}
"""Name and colour of each family of rows: colours of Okabe and Ito (Color Universal Design, 2008)."""

_SETTINGS: Final[dict[Any, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same letters on every machine
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "savefig.dpi": 200,
    "svg.fonttype": "path",  # letters travel with the file
    "svg.hashsalt": "shortaxis",
    "pdf.fonttype": 42,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the look of the figures inside of the block; matplotlib's settings are as before after it."""
    with mpl.rc_context(_SETTINGS):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, without any window system."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def outlined(width: float = 0.9) -> list[Any]:
    """Path effects that put a dark rim around a line, so that yellow can be seen on white."""
    return [Stroke(linewidth=1.8 + width, foreground=INK), Normal()]


def check_format(path: Path | str) -> None:
    """Refuse a file whose ending is no format of figures, before anything is computed.

    Raises:
        InputError: It is none.
    """
    if Path(path).suffix.lower() not in FORMATS:
        msg = f"{path}: figures are written as {', '.join(FORMATS)}; give --out such an ending"
        raise InputError(msg)


def save_figure(figure: Figure, path: Path | str) -> None:
    """Write a figure, whole or not at all; equal figures give equal files.

    Raises:
        InputError: The ending is no format of figures, or the file cannot be written.
    """
    check_format(path)
    suffix = Path(path).suffix.lower()
    with styled(), atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix[1:], metadata=FORMATS[suffix])
