"""From a finished run to a model file that can be given away: small, with its scores in the header."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from shortaxis.ensemble.model_file import read_model, save_model
from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def export_run(run: Path, out: Path, *, half: bool = True, facts: dict[str, str] | None = None) -> dict[str, Any]:
    """Write the model of a run for release.

    Args:
        run: Folder of a finished run: `model.safetensors`, and `validation.json` where patients were held out.
        out: The `.safetensors` file to write.
        half: Store the weights as float16; they are read back as float32.
        facts: More to say in the card, such as the commit.

    Returns:
        The card that went into the header.

    Raises:
        InputError: The run is not finished, a file of it is damaged, or `out` cannot be written.
    """
    model = run / "model.safetensors"
    if not model.is_file():
        msg = f"{run} holds no finished run (no model.safetensors); finish it with `shortaxis train … --resume`"
        raise InputError(msg)
    ensemble, spec = read_model(model)
    card = spec.card | (facts or {})
    if (run / "validation.json").is_file():
        card["validation"] = _overall(run / "validation.json")
    save_model(out, ensemble, replace(spec, card=card), torch.float16 if half else torch.float32)
    return card


def read_facts(texts: Sequence[str]) -> dict[str, str]:
    """Take `NAME=TEXT` apart.

    Raises:
        InputError: A text has no name or no `=`.
    """
    facts = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.isidentifier():
            msg = f"--fact '{text}': give it as NAME=TEXT, such as commit=1a2b3c"
            raise InputError(msg)
        facts[name] = value
    return facts


def _overall(path: Path) -> dict[str, Any]:
    """The overall figures of each protocol, without the rows of single patients."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: result["overall"] for name, result in content["results"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{path}: not the scores of a run ({type(error).__name__}: {error}); score the model again with `shortaxis evaluate`"
        raise InputError(msg) from error
