"""Elements of a page. Text and attributes are escaped when they are written, so that no name of a file or a patient can become markup."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable

Content = Element | str | None


def element(tag: str, *content: Content, **attributes: str | float | None) -> Element:
    """Make an element.

    Args:
        tag: Such as `p`.
        *content: Texts and elements inside, in their order; None is left out.
        **attributes: Such as `aria_label="…"`: underscores stand for hyphens, `class_` for `class`; None is left out.

    Examples:
        >>> write(element("p", "1 < 2", class_="note"))
        '<p class="note">1 &lt; 2</p>'
    """
    made = Element(tag, {_attribute(name): _plain(value) for name, value in attributes.items() if value is not None})
    last: Element | None = None
    for part in content:
        if isinstance(part, Element):
            made.append(part)
            last = part
        elif part is not None and last is None:
            made.text = (made.text or "") + part
        elif part is not None and last is not None:
            last.tail = (last.tail or "") + part
    return made


def write(*content: Content) -> str:
    """Write elements and texts as HTML."""
    # The html method escapes all text but that of <script> and <style>, which no part of a page is made of here.
    return "".join(tostring(element("x", part), encoding="unicode", method="html")[3:-4] for part in content)


def table(head: Iterable[Content], rows: Iterable[Iterable[Content]], *, caption: str, class_: str | None = None) -> Element:
    """Make a table whose first column names its rows.

    Args:
        head: Heads of the columns.
        rows: Cells of each row.
        caption: What the table shows.
        class_: Its class.
    """
    lines = [
        element("tr", *(element("td", cell) if place else element("th", cell, scope="row") for place, cell in enumerate(row)))
        for row in rows
    ]
    heads = element("tr", *(element("th", cell, scope="col") for cell in head))
    made = element("table", element("caption", caption), element("thead", heads), element("tbody", *lines), class_=class_)
    # A wide table scrolls by itself instead of making the page scroll sideways; a region that scrolls takes the focus for the keyboard.
    return element("div", made, class_="scroll", role="region", tabindex="0", aria_label=caption)


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.5g}"
