"""Fig. 2: DSC against the weight of the first of two members under Fixed pooling (Eq. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.lines import Line2D

from shortaxis.benchmark.figures.style import INK, STRUCTURES, new_figure, outlined, styled
from shortaxis.benchmark.paper import paper_order
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from shortaxis.benchmark.result import Result

NAMES: Final = {"unet": "UNet", "deeplabv3plus": "D3P"}
CURVES: Final = {"dsc_average": ("Average", INK), "dsc_rv": ("RV", ""), "dsc_myo": ("MYO", ""), "dsc_lv": ("LV", "")}
MARKERS: Final = {"dsc_average": "o", "dsc_rv": "s", "dsc_myo": "^", "dsc_lv": "D"}
"""One shape a curve: nobody has to tell them by colour alone."""


def sweeps_of(results: Sequence[Result]) -> dict[str, list[dict[str, Any]]]:
    """The sweeps that lie in results, by row and in the paper's order.

    Raises:
        InputError: There is none.
    """
    rows = sorted({result.row for result in results if result.weight_sweep is not None}, key=paper_order)
    if not rows:
        msg = (
            "no result holds a sweep of weights; run a row of two members under Fixed pooling with a hold-out, such as "
            "`shortaxis benchmark run --rows rows/2unet-fixed --hold-out 4 --sweep`, or give --model and --data"
        )
        raise InputError(msg)
    return {row: [result.weight_sweep for result in results if result.row == row and result.weight_sweep is not None] for row in rows}


def draw_weights(
    sweeps: Mapping[str, Sequence[dict[str, Any]]], *, protocol: str = "reference", patients: str = "held-out patients"
) -> Figure:
    """Draw one panel a row: the mean over trainings, and its range as a band.

    Args:
        sweeps: For each row what `sweep_weights` gave for each training.
        protocol: Protocol of the DSC: `reference` or `paper`.
        patients: Whose DSC it is, in words.

    Raises:
        InputError: The sweeps do not hold this protocol.
    """
    known = next(iter(sweeps.values()))[0]["protocols"]
    if protocol not in known:
        msg = f"the weights were not swept under the protocol '{protocol}'; choose one of {', '.join(known)}"
        raise InputError(msg)
    with styled():
        figure = new_figure(3.3 * len(sweeps) + 0.4, 2.9 if len(sweeps) > 1 else 3.1)
        panels = figure.subplots(1, len(sweeps), squeeze=False, sharey=True)[0]
        for index, (axes, (row, trained)) in enumerate(zip(panels, sweeps.items(), strict=True)):
            _panel(axes, row, trained, protocol)
            axes.set_title(f"{'abcdefgh'[index % 8]})  {_members(trained[0])}" if len(sweeps) > 1 else _members(trained[0]))
        panels[0].set_ylabel(f"DSC [%], {patients}\n(protocol {protocol})")
        handles = [
            Line2D([], [], color=_colour(name), marker=MARKERS[name], markersize=4, path_effects=outlined(), label=label)
            for name, (label, _) in CURVES.items()
        ]
        best = Line2D([], [], color=INK, marker="o", markersize=8, markerfacecolor="none", linestyle="none", label="Best average")
        figure.legend(handles=[*handles, best], loc="outside lower center", ncols=5 if len(sweeps) > 1 else 3)
    return figure


def _panel(axes: Axes, row: str, trained: Sequence[dict[str, Any]], protocol: str) -> None:
    weights = np.array(trained[0]["weights"])
    for name in reversed(CURVES):
        values = np.array([[np.nan if value is None else value for value in sweep["protocols"][protocol][name]] for sweep in trained])
        mean: NDArray[np.float64] = values.mean(axis=0)
        if len(values) > 1:
            axes.fill_between(weights, values.min(axis=0), values.max(axis=0), color=_colour(name), alpha=0.22, linewidth=0)
        axes.plot(weights, mean, color=_colour(name), marker=MARKERS[name], markersize=3.5, path_effects=outlined(), gid=f"{row}-{name}")
        if name == "dsc_average" and not np.isnan(mean).all():
            best = int(np.nanargmax(mean))
            axes.plot(weights[best], mean[best], marker="o", markersize=9, markerfacecolor="none", markeredgecolor=INK, linestyle="none")
            axes.annotate(
                f"{mean[best]:.2f}", (weights[best], mean[best]), xytext=(0, 8), textcoords="offset points", ha="center", fontsize=7.5
            )
    first, second = _named(trained[0])
    axes.set(xlim=(-0.03, 1.03), xlabel=f"Weight of {first} (the rest is {second}'s)")
    axes.margins(y=0.12)


def _members(sweep: dict[str, Any]) -> str:
    names = [NAMES.get(name, name) for name in sweep["members"]]
    return f"2{names[0]}" if names[0] == names[1] else f"1{names[0]} + 1{names[1]}"


def _named(sweep: dict[str, Any]) -> tuple[str, str]:
    first, second = (NAMES.get(name, name) for name in sweep["members"])
    return (f"{first} 1", f"{second} 2") if first == second else (first, second)


def _colour(name: str) -> str:
    return STRUCTURES.get(name, INK)
