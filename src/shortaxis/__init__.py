"""Segment short-axis cine cardiac MR with end-to-end trained ensembles that know where they are unsure.

The public names load when they are first used, so that `import shortaxis` is quick and needs no torch.

Examples:
    >>> import shortaxis as sa
    >>> sa.Structure.LV.value
    3
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shortaxis.datasets import open_dataset
    from shortaxis.ensemble import StreamingEnsemble
    from shortaxis.errors import InputError
    from shortaxis.evaluation import evaluate_folders
    from shortaxis.indices import indices
    from shortaxis.inference import load_model
    from shortaxis.io import read
    from shortaxis.labels import LabelScheme, Structure
    from shortaxis.phantom import make_phantom
    from shortaxis.study import Frame, Segmentation, Study, Subject

__version__ = "0.1.0"
__all__ = [
    "Frame",
    "InputError",
    "LabelScheme",
    "Segmentation",
    "StreamingEnsemble",
    "Structure",
    "Study",
    "Subject",
    "evaluate_folders",
    "indices",
    "load_model",
    "make_phantom",
    "open_dataset",
    "read",
]

_HOMES = {
    "Frame": "study",
    "InputError": "errors",
    "LabelScheme": "labels",
    "Segmentation": "study",
    "StreamingEnsemble": "ensemble",
    "Structure": "labels",
    "Study": "study",
    "Subject": "study",
    "evaluate_folders": "evaluation",
    "indices": "indices",
    "load_model": "inference",
    "make_phantom": "phantom",
    "open_dataset": "datasets",
    "read": "io",
}

if not TYPE_CHECKING:  # pragma: no branch (a type checker reads the imports above, and still finds misspelt names)

    def __getattr__(name: str) -> Any:
        """Import a public name from the module where it lives."""
        if name not in _HOMES:
            msg = f"module '{__name__}' has no attribute '{name}'"
            raise AttributeError(msg)
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

    def __dir__() -> list[str]:
        """List the public names, loaded or not."""
        return sorted({*globals(), *__all__})
