"""The policies by name: how the members of an ensemble come by their training. A new one is one file here and one line in `POLICIES`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.registry import Registry
from shortaxis.training.policies.adversarial import Adversarial
from shortaxis.training.policies.bagging import Bagging
from shortaxis.training.policies.da_dunn import DaDunn
from shortaxis.training.policies.folds import Folds
from shortaxis.training.policies.iterative import Iterative
from shortaxis.training.policies.joint import Joint
from shortaxis.training.policies.meta import MetaStacking
from shortaxis.training.policies.policy import Assembled, Policy, Stage, TrainingSet
from shortaxis.training.policies.soup import Soup
from shortaxis.training.policies.stacking import Stacking
from shortaxis.training.policies.unlearning import Unlearning

if TYPE_CHECKING:
    from collections.abc import Callable

POLICIES: Final[Registry[Callable[..., Policy]]] = Registry(
    "policy",
    {
        "adversarial": Adversarial,
        "bagging": Bagging,
        "da-dunn": DaDunn,
        "folds": Folds,
        "iterative": Iterative,
        "joint": Joint,
        "meta": MetaStacking,
        "soup": Soup,
        "stacking": Stacking,
        "unlearning": Unlearning,
    },
)


def build_policy(table: dict[str, Any]) -> Policy:
    """Build a policy from the table of a recipe: `kind` and the options of the kind.

    Raises:
        InputError: The kind is unknown, or it has no such option or refuses its value.
    """
    options = dict(table)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in POLICIES:
        msg = f"no policy is called {kind!r}; give [policy] a kind out of {', '.join(sorted(POLICIES))}"
        raise InputError(msg)
    try:
        return POLICIES[kind](**options)
    except TypeError as error:
        msg = f"policy '{kind}' does not take the options {options}: {error}"
        raise InputError(msg) from error


__all__ = ["POLICIES", "Assembled", "Policy", "Stage", "TrainingSet", "build_policy"]
