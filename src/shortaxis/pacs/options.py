"""How a node is set up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from shortaxis.errors import InputError
from shortaxis.segmenting.wishes import DICOM_SEG

if TYPE_CHECKING:
    from pathlib import Path

_AE_TITLE: Final = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
"""1 to 16 printable characters without a backslash, no space at either end (PS3.5, VR AE)."""
_HIGHEST_PORT: Final = 65535


def refuse_ae_title(option: str, title: str) -> None:
    """Refuse a title that is no AE title.

    Raises:
        InputError: Names the option.
    """
    if _AE_TITLE.fullmatch(title) is None:
        msg = f"{option} {title!r}: is no AE title; give 1 to 16 printable ASCII characters without a backslash"
        raise InputError(msg)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files for TLS.

    Attributes:
        certificate: The certificate of this node, with its chain.
        key: Its private key.
        authorities: Certificates of those whom peers must be certified by; None takes any peer that the AE titles let in, and the system's
            authorities for the server that results go to.
    """

    certificate: Path
    key: Path
    authorities: Path | None = None


@dataclass(frozen=True)
class NodeOptions:
    """How a node is set up.

    Attributes:
        folder: Holds received images, results and the record of what was done; one node at a time.
        destination: Where results go: `AET@HOST:PORT` or `dicomweb+https://HOST/PATH`.
        ae_title: Title of this node.
        address: IP address to listen on; empty for all.
        port: Port to listen on; 0 lets the system choose.
        calling: AE titles that may send; empty for all.
        max_associations: Associations that may be open at once.
        quiet_seconds: A study is complete when nothing of it has arrived for so long.
        seg_phases: `ed-es` or `all`.
        answer_refusals: Send an SR that says why a study was not segmented.
        keep_hours: How long received images and results are kept after a study is done; 0 deletes them at once.
        min_free_bytes: Images are refused where the disk has less free space.
        http_address: IP address for health and metrics.
        http_port: Its port; None for none, 0 lets the system choose.
        tls: For incoming and outgoing DICOM associations, or None.
        keep_identifiers: Name the patient on the pages of the PDF.
    """

    folder: Path
    destination: str
    ae_title: str = "SHORTAXIS"
    address: str = ""
    port: int = 11112
    calling: tuple[str, ...] = ()
    max_associations: int = 10
    quiet_seconds: float = 60.0
    seg_phases: str = "ed-es"
    answer_refusals: bool = False
    keep_hours: float = 24.0
    min_free_bytes: int = 1 << 30
    http_address: str = "127.0.0.1"
    http_port: int | None = None
    tls: TlsFiles | None = None
    keep_identifiers: bool = False

    def __post_init__(self) -> None:
        for package in ("pynetdicom", "fpdf", "highdicom"):
            if find_spec(package) is None:
                msg = "a DICOM node needs packages that are not installed; run: pip install 'shortaxis[hospital]'"
                raise InputError(msg)
        if self.seg_phases not in DICOM_SEG:
            msg = f"--dicom-seg {self.seg_phases}: no such choice of phases; known are {', '.join(DICOM_SEG)}"
            raise InputError(msg)
        refuse_ae_title("--ae-title", self.ae_title)
        for title in self.calling:
            refuse_ae_title("--calling", title)
        self._refuse_numbers()
        for path in () if self.tls is None else (self.tls.certificate, self.tls.key, self.tls.authorities):
            if path is not None and not path.is_file():
                msg = f"{path}: no such file, and TLS needs it; check the path"
                raise InputError(msg)

    def _refuse_numbers(self) -> None:
        for option, port in (("--port", self.port), ("--http-port", self.http_port)):
            if port is not None and not 0 <= port <= _HIGHEST_PORT:
                msg = f"{option} {port}: is no port; give a number from 0 to {_HIGHEST_PORT}"
                raise InputError(msg)
        for option, number in (
            ("--quiet-seconds", self.quiet_seconds),
            ("--keep-hours", self.keep_hours),
            ("--min-free", self.min_free_bytes),
        ):
            if not 0 <= number < float("inf"):
                msg = f"{option} {number}: is negative or not finite; give zero or more"
                raise InputError(msg)
        if self.max_associations < 1:
            msg = f"--max-associations {self.max_associations}: nobody could send; give one or more"
            raise InputError(msg)
