"""`shortaxis speed`."""

from __future__ import annotations

from typing import Annotated

import typer

from shortaxis.cli.console import print_json, show


def speed(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Recipe by name, or the path of a .toml file.")] = "release",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    steps: Annotated[int, typer.Option(min=1, help="Training steps to time.")] = 50,
    warm_up: Annotated[int, typer.Option(min=1, help="Training steps before, for tuning and compiling.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON to stdout.")] = False,
) -> None:
    """Time training in the steady state, augmentation included, on made-up frames with the depths of ACDC.

    [dim]Example:[/]

    shortaxis speed release --device cuda
    """
    from shortaxis.benchmark.speed import training_speed
    from shortaxis.training import load_recipe

    measured = training_speed(load_recipe(recipe), device=device, steps=steps, warm_up=warm_up)
    if json:
        print_json(measured.to_dict())
        return
    memory = "" if measured.peak_memory_gib is None else f", {measured.peak_memory_gib:.1f} GiB of its memory"
    show(
        f"{measured.recipe} on {measured.hardware} (torch {measured.torch}): {measured.slices_per_second:.1f} slices/s over "
        f"{measured.steps} steps\n{measured.gflop_per_slice:.1f} GFLOP a slice, {measured.tflops:.2f} TFLOP/s, "
        f"{measured.padding:.1%} padding{memory}"
    )
