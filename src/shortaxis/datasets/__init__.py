"""Data sets of annotated frames: one file a data set, one line in `READERS`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from shortaxis.datasets.acdc import INFO, read_acdc
from shortaxis.datasets.dataset import Dataset, FrameRef, LabelFile, joined
from shortaxis.datasets.mnms import SPLITS, read_mnms
from shortaxis.datasets.nnunet import DESCRIPTION, read_nnunet
from shortaxis.datasets.packed import read_packed
from shortaxis.datasets.sunnybrook import read_sunnybrook
from shortaxis.errors import InputError
from shortaxis.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["READERS", "Dataset", "FrameRef", "LabelFile", "kind_of", "open_dataset", "recognise"]


def _read_phantom(count: Path) -> Dataset:
    """Open `N` or `N@SEED` virtual patients."""
    from shortaxis.datasets.phantom import phantom_dataset  # noqa: PLC0415 (needed by few)

    number, _, seed = str(count).partition("@")
    if not (number.isdecimal() and (seed or "0").isdecimal()):
        msg = f"phantom:{count} is not understood; write phantom:10, or phantom:10@3 for 10 patients of seed 3"
        raise InputError(msg)
    return phantom_dataset(int(number), int(seed or 0))


READERS: Final[Registry[Callable[[Path], Dataset]]] = Registry(
    "kind of data set",
    {
        "acdc": read_acdc,
        "mnms": read_mnms,
        "nnunet": read_nnunet,
        "packed": read_packed,
        "phantom": _read_phantom,
        "sunnybrook": read_sunnybrook,
    },
)
"""For each kind of data set its reader."""


def open_dataset(spec: str | Path) -> Dataset:
    """Open a data set by its kind and place.

    Args:
        spec: `KIND:PATH` with a kind of `READERS`, such as `acdc:~/acdc/training`; `phantom:10` or `phantom:10@SEED`; several of these
            with commas between them, which are joined; or a bare path, whose kind is known by what lies there.

    Raises:
        InputError: The kind is unknown or cannot be told, or what lies there cannot be read.

    Examples:
        >>> len(open_dataset("phantom:3"))
        6
    """
    if isinstance(spec, str) and "," in spec and all(kind_of(part) for part in spec.split(",")):
        return joined([open_dataset(part) for part in spec.split(",")])
    if kind := kind_of(spec):
        return READERS[kind](Path(str(spec).removeprefix(f"{kind}:")).expanduser())
    path = Path(spec).expanduser()
    if found := recognise(path):
        return READERS[found](path)
    problem = "is no data set known here" if path.exists() else "no such file or folder"
    msg = f"{spec}: {problem}; write KIND:PATH with a KIND of {', '.join(READERS)}"
    raise InputError(msg)


def kind_of(spec: str | Path) -> str | None:
    """The kind that `KIND:PATH` names; None where what stands before the colon is none, as in a bare path."""
    kind, colon, _ = str(spec).partition(":")
    return kind if colon and kind in READERS else None


def recognise(path: Path) -> str | None:
    """Tell by what lies at `path` which kind of data set it is; None where it is none."""
    if path.is_file():
        return "packed" if path.suffix.lower() == ".zip" else None
    if (path / DESCRIPTION).is_file():
        return "nnunet"
    if (path / INFO).is_file() or any(path.glob(f"*/{INFO}")):
        return "acdc"
    if any((path / folder).is_dir() for folder in SPLITS.values()):
        return "mnms"
    return None
