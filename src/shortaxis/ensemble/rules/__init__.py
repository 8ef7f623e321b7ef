"""The pooling rules by name. A new rule is one file here and one line in `POOLINGS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shortaxis.ensemble.rules.entropy import Entropy
from shortaxis.ensemble.rules.fixed import Fixed
from shortaxis.ensemble.rules.learned_temperature import LearnedTemperature
from shortaxis.ensemble.rules.meta import Meta
from shortaxis.ensemble.rules.mutual_information import MutualInformation
from shortaxis.ensemble.rules.rule import PoolingRule
from shortaxis.ensemble.rules.uncertainty import Uncertainty
from shortaxis.ensemble.rules.weighing import Weighing
from shortaxis.errors import InputError
from shortaxis.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable


def _learned_temperature(of: str = "uncertainty", **options: Any) -> LearnedTemperature:
    """The rule called `of` with a temperature that is trained; its option `temperature` is where it starts."""
    rule = build_pooling(of, **options)
    if not isinstance(rule, Weighing):
        msg = f"learned-temperature pooling: '{of}' has no temperature that could be learned"
        raise InputError(msg)
    return LearnedTemperature(rule)


POOLINGS: Final[Registry[Callable[..., PoolingRule]]] = Registry(
    "pooling rule",
    {
        "entropy": Entropy,
        "fixed": Fixed,
        "learned-temperature": _learned_temperature,
        "meta": Meta,
        "mutual-information": MutualInformation,
        "uncertainty": Uncertainty,
    },
)


def build_pooling(name: str, **options: Any) -> PoolingRule:
    """Build a pooling rule by its registered name.

    Raises:
        InputError: The name is unknown, or the rule has no such option or refuses its value.
    """
    rule = POOLINGS.named(name)
    if isinstance(options.get("weights"), list):
        options["weights"] = tuple(options["weights"])
    try:
        return rule(**options)
    except InputError:
        raise
    except Exception as error:  # a constructor may fail in any way
        msg = f"pooling rule '{name}' does not take the options {options}: {error}"
        raise InputError(msg) from error


__all__ = [
    "POOLINGS",
    "Entropy",
    "Fixed",
    "LearnedTemperature",
    "Meta",
    "MutualInformation",
    "PoolingRule",
    "Uncertainty",
    "Weighing",
    "build_pooling",
]
