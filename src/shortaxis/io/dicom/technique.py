"""What else than a cine a series of the heart may be: told by its name, its sequence and the contrast agent.

A name is the series description, or the protocol name where there is none: some makers give one protocol name to the whole examination. It
is a hint that people write freely, and never shown. Words for tagging, parametric maps, perfusion, late enhancement and phase contrast
settle the matter, except that those for maps, perfusion and enhancement beside a word for a cine do not: cines are acquired during stress
and after the contrast agent too. `pc` and `flow` alone only raise a doubt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shortaxis.io.dicom.headers import IN_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shortaxis.io.dicom.headers import Plane

_NAMED: Final = {
    "tagging": re.compile(
        r"(?<![a-z])(grid|line|c?sl|sa|sax|cine|my)?tag(s|g[a-z]*|\d[a-z0-9]*)?(?![a-z])|[cs]spamm|spamm|\bharp\b|\bdense\b"
    ),
    "a T1, T2 or T2* map": re.compile(
        r"molli|\bsasha\b|smart ?t?1? ?map|\bmap(s|ping)?\b|t[12] ?\*? ?(star)? ?map|\bt2 ?(\*|star)|\becv\b|relaxometry"
    ),
    "perfusion": re.compile(r"perf(usion|\b)|first ?pass|\bfpp\b"),
    "phase contrast": re.compile(r"\bq ?flow|\bvenc|phase ?contrast|\bpca\b|\bvelocity|through ?plane|thru ?plane"),
}
_UNLESS_CINE: Final = {"a T1, T2 or T2* map", "perfusion"}
"""Techniques that a name does not settle where it speaks of a cine too."""
_MAYBE_FLOW: Final = re.compile(r"\bflow\d*\b(?! ?comp)|\bpc\b")
_ENHANCED: Final = re.compile(r"\blge\b|\bmde\b|late ?(gad|gd|enh)|delayed?(?![a-z])|\bpsir\b|viab|\bdhe\b|scar\b")
_CINE: Final = re.compile(r"cine|ssfp|fiesta|b ?tfe|b ?ffe|trufi")
_TOKENS: Final = {
    "a T1, T2 or T2* map": tuple(
        f"{kind}{gap}MAP" for kind in ("T1", "T2", "T2 STAR", "T2_STAR", "R2", "R2_STAR") for gap in (" ", "_", "")
    ),
    "perfusion": ("PERFUSION",),
    "tagging": ("TAGGING",),
}
"""Values of ImageType that name a technique."""
_SAME_MOMENT: Final = 50.0
"""ms within which trigger delays are the same moment of the cycle."""
_FIRST_DELAY: Final = 20.0
"""ms below which a trigger delay may be no more than the place of a first phase."""
_BALANCED: Final = re.compile(r"ssfp|fiesta|b-?tfe|b-?ffe|trufi|\btfi|\*tfi|balanced")


def named_technique(planes: Sequence[Plane]) -> str | None:
    """Give the technique that the headers of a series name, where it is none of a cine.

    Args:
        planes: Images of one series.

    Returns:
        The technique in words, or None.
    """
    plane = planes[0]
    if plane.is_tagged:
        return "tagging"
    text = _words(plane.description)
    is_cine = _CINE.search(text) is not None
    sequence = _words(plane.sequence_name)
    for technique, words in _NAMED.items():
        settled = words.search(text) and not (is_cine and technique in _UNLESS_CINE)
        if settled or (technique in {"tagging", "perfusion"} and words.search(sequence)):
            return technique
    if _ENHANCED.search(text) and not is_cine:
        return "late enhancement"
    return next((technique for technique, tokens in _TOKENS.items() if set(tokens) & set(plane.image_type)), None)


def doubtful_technique(planes: Sequence[Plane], slices: Sequence[Sequence[Plane]]) -> str | None:
    """Say what speaks against a cine without settling it; it matters where another series could be the cine.

    Args:
        planes: All images.
        slices: The images of each slice.
    """
    text = _words(planes[0].description)
    if _MAYBE_FLOW.search(text):
        return "is named like a flow measurement"
    if any(_NAMED[technique].search(text) for technique in _UNLESS_CINE):
        return "is named like another technique too"
    for clock in IN_MS:
        if all(clock in plane.clocks for plane in planes):
            delays = [[plane.clocks[clock] for plane in images] for images in slices]
            if all(min(one) > _FIRST_DELAY and max(one) - min(one) < _SAME_MOMENT for one in delays):
                return "shows each slice at one moment of the heartbeat only, as perfusion does"
    if all(plane.has_contrast and "mp" in plane.sequence_name.split() for plane in planes):
        return "has a contrast agent and a prepared magnetisation, as perfusion and late enhancement do"
    return None


def _words(text: str) -> str:
    return re.sub(r"[^a-z0-9*]+", " ", text)


def is_balanced(plane: Plane) -> bool:
    """Tell whether a pulse sequence is a balanced steady-state one, as those of cines mostly are."""
    words = plane.sequence_name.split()
    return _BALANCED.search(plane.sequence_name) is not None or ("ss" in words and "sp" not in words)
