"""The JSON Schema of `report.json`, made from the types in `content.py` and published beside them as `report.schema.json`."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from shortaxis.reports import content

SCHEMA_FILE: Final = Path(__file__).with_name("report.schema.json")
"""The published file."""

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+?)(?=\n    \w+: |\Z)", re.DOTALL | re.MULTILINE)


def report_schema() -> dict[str, Any]:
    """Make the schema from the types: titles and descriptions are the classes' names and docstrings.

    Returns:
        A JSON Schema (draft 2020-12) that every `report.json` of this version fulfils.
    """
    made = msgspec.json.schema(content.StudyReport)
    parts: dict[str, Any] = made["$defs"]
    for name, part in parts.items():
        summary, attributes = _docstring(getattr(content, name))
        part["description"] = summary
        for field, schema in part["properties"].items():
            part["properties"][field] = {"description": attributes[field], **schema}
    parts["StudyReport"]["properties"]["schema_version"]["const"] = content.SCHEMA_VERSION
    head = {"$schema": _DIALECT, "$id": f"urn:shortaxis:report:{content.SCHEMA_VERSION}", "title": "Report of a short-axis study"}
    return head | {"description": parts["StudyReport"]["description"], **made}


def schema_text() -> str:
    """The schema as the published file holds it."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


def _docstring(kind: type) -> tuple[str, dict[str, str]]:
    """The first paragraph of a class's docstring and what it says of each attribute, in the words of JSON: null, not None."""
    summary, _, rest = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    return _words(summary), {name: _words(text) for name, text in _ATTRIBUTE.findall(rest)}


def _words(text: str) -> str:
    return re.sub(r"\bNone\b", "null", " ".join(text.split()))


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
