"""`shortaxis schema`."""

from __future__ import annotations

import typer


def schema() -> None:
    """Print the JSON Schema of report.json, which every report of this version fulfils.

    [dim]Example:[/]

    shortaxis schema > report.schema.json
    """
    from shortaxis.reports.schema import SCHEMA_FILE

    typer.echo(SCHEMA_FILE.read_text(encoding="utf-8"), nl=False)
