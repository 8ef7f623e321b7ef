"""What an inspection has to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from shortaxis.errors import InputError

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final = ("error", "warning", "note")
"""The worst first. An error keeps the input from being used, a warning spoils what comes out, a note only says how things are."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        severity: One of `SEVERITIES`.
        message: What it is, in one sentence.
        remedy: How to mend it.
    """

    severity: Severity
    message: str
    remedy: str

    @staticmethod
    def of_error(error: InputError, path: Path) -> Finding:
        """Take an error that reading the input would raise: its sentence says, behind the last semicolon, how to mend it."""
        message, _, remedy = str(error).removeprefix(f"{path}: ").rpartition("; ")
        return Finding("error", message or remedy, remedy if message else "")


@dataclass
class Inspection:
    """What was found in one input, or in one part of it.

    Attributes:
        path: The file or folder, as it was given.
        kind: What it is, in words.
        command: The command for it, or None.
        facts: What was found, in the order in which it is shown; plain JSON types.
        findings: What is wrong or worth knowing.
        parts: The studies or images that it consists of, where it is more than one thing.
    """

    path: Path
    kind: str
    command: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    parts: list[Inspection] = field(default_factory=list)

    def add(self, severity: Severity, message: str, remedy: str) -> None:
        """Take a finding."""
        self.findings.append(Finding(severity, message, remedy))

    @property
    def all_findings(self) -> list[Finding]:
        """Its own findings and those of its parts."""
        return [*self.findings, *(finding for part in self.parts for finding in part.all_findings)]

    @property
    def has_errors(self) -> bool:
        """Whether something keeps it from being used."""
        return any(finding.severity == "error" for finding in self.all_findings)

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing worse than a note."""
        return all(finding.severity == "note" for finding in self.all_findings)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "command": self.command,
            "clean": self.is_clean,
            "facts": self.facts,
            "findings": [asdict(finding) for finding in self.findings],
            "parts": [part.to_dict() for part in self.parts],
        }
