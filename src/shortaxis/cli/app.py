"""The program: its commands, and what becomes of an error that one of them meets."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from shortaxis import __version__
from shortaxis.cli.benchmark import benchmark
from shortaxis.cli.calibrate import calibrate
from shortaxis.cli.console import INPUT_ERROR, INTERNAL_ERROR, INTERRUPTED, complain
from shortaxis.cli.demo import demo
from shortaxis.cli.doctor import doctor
from shortaxis.cli.evaluate import evaluate
from shortaxis.cli.export import export
from shortaxis.cli.figures import figures
from shortaxis.cli.model import model
from shortaxis.cli.networks import networks
from shortaxis.cli.node import node
from shortaxis.cli.pack import pack
from shortaxis.cli.phantom import phantom
from shortaxis.cli.schema import schema
from shortaxis.cli.segment import segment
from shortaxis.cli.soup import soup
from shortaxis.cli.speed import speed
from shortaxis.cli.split import split
from shortaxis.cli.train import train
from shortaxis.errors import DataWarning, InputError
from shortaxis.plugins import load_plugin


class Program(TyperGroup):
    """The group of all commands. `--debug` and `--plugin` may stand anywhere on the line; without `--debug` no error shows a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bring the program's own options to the front, where they are looked for."""
        end = args.index("--") if "--" in args else len(args)
        words, ours, others = iter(args[:end]), [], []
        for word in words:
            if word == "--debug" or word.startswith("--plugin="):
                ours.append(word)
            elif word == "--plugin":
                ours.append(f"--plugin={next(words, '')}")
            else:
                others.append(word)
        return super().parse_args(ctx, [*ours, *others, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an `InputError` becomes one sentence and exit code 2, any other error exit code 3."""
        debug = bool(ctx.params.get("debug"))
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except InputError as error:
                if debug:
                    raise
                complain(error)
                raise typer.Exit(INPUT_ERROR) from error
            except KeyboardInterrupt as error:
                complain("nothing half-written is left; `segment` and `train` go on with --resume", "Interrupted")
                raise typer.Exit(INTERRUPTED) from error
            except Exception as error:
                if debug or _is_control_flow(error):
                    raise
                complain(f"{type(error).__name__}: {error}".rstrip(": "), "Internal error")
                complain("run the same command with --debug and send all that it prints", "Please report it")
                raise typer.Exit(INTERNAL_ERROR) from error


def _is_control_flow(error: Exception) -> bool:
    """Whether typer deals with it: a usage error, an exit, a closed pipe."""
    return isinstance(error, BrokenPipeError) or any(base.__module__.startswith(("click", "typer")) for base in type(error).__mro__)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Show the warnings of this package as one line; those of libraries are for developers (`--debug`)."""
    if category is DataWarning or (category is UserWarning and "shortaxis" in filename):
        complain(str(message), "Warning")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"shortaxis {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done · 1 done with findings · 2 input or arguments wrong · 3 internal error",
)


@app.callback()
def program(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of any error.")] = False,  # noqa: ARG001 (read by `Program`)
    plugin: Annotated[
        list[Path] | None,
        typer.Option(
            "--plugin",
            metavar="FILE",
            envvar="SHORTAXIS_PLUGINS",
            help="Python file, or installed module, that adds networks, rules, losses or readers of your own; may be given more than once.",
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and leave.")] = False,  # noqa: ARG001
) -> None:
    """Segment short-axis cine cardiac MR with ensembles that know where they are unsure.

    [dim]Example:[/] shortaxis segment patient101_4d.nii.gz --out labels --ed 1 --es 12
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 shows ? and not an error
    for name in plugin or ():
        load_plugin(str(name))


for command in (
    segment,
    doctor,
    evaluate,
    train,
    demo,
    networks,
    node,
    model,
    export,
    soup,
    calibrate,
    speed,
    split,
    pack,
    phantom,
    schema,
    figures,
):
    app.command()(command)
app.add_typer(benchmark, name="benchmark")
