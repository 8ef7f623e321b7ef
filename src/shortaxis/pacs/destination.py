"""Where a node sends its results: another DICOM node, or a DICOMweb server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.pacs.dicomweb import WebAddress, is_web_address, store_files, web_address
from shortaxis.pacs.options import refuse_ae_title
from shortaxis.pacs.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shortaxis.pacs.options import TlsFiles

_PEER: Final = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[0-9a-fA-F:]+\]|[^:@/\s]+):(?P<port>\d{1,5})")
_HIGHEST_PORT: Final = 65535
_SECONDS: Final = 60
_SUCCESS: Final = 0x0000
_WARNINGS: Final = range(0xB000, 0xC000)
_SYNTAXES: Final = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


class DeliveryError(Exception):
    """Results could not be sent; the message says why in one line."""


class Destination(Protocol):
    """Takes DICOM files."""

    def send(self, files: Sequence[Path]) -> None:
        """Send all files of a study; those that have arrived before do no harm.

        Raises:
            DeliveryError: One did not arrive.
        """


@dataclass(frozen=True)
class WebDestination:
    """A DICOMweb server."""

    address: WebAddress

    def send(self, files: Sequence[Path]) -> None:
        """See `Destination`."""
        try:
            store_files(self.address, files, retry=False)
        except InputError as error:
            raise DeliveryError(str(error)) from error


@dataclass(frozen=True)
class StoreDestination:
    """A DICOM node that takes C-STORE.

    Attributes:
        title: Its AE title.
        host: Its name or IP address.
        port: Its port.
        own_title: AE title of this node.
        tls: The files for TLS, or None.
    """

    title: str
    host: str
    port: int
    own_title: str
    tls: TlsFiles | None = None

    def send(self, files: Sequence[Path]) -> None:
        """See `Destination`."""
        from pydicom import dcmread  # noqa: PLC0415 (an optional package)

        with lenient_pydicom(files[0]):
            datasets = [dcmread(file) for file in files]
            association = self._associate({str(dataset.SOPClassUID) for dataset in datasets})
            try:
                for dataset in datasets:
                    self._store(association, dataset)
            finally:
                association.release()

    def _associate(self, sop_classes: set[str]) -> Any:
        from pynetdicom import AE  # noqa: PLC0415 (an optional package)

        ae = AE(ae_title=self.own_title)
        ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = ae.connection_timeout = _SECONDS
        for uid in sorted(sop_classes):
            ae.add_requested_context(uid, list(_SYNTAXES))
        tls = None if self.tls is None else (client_context(self.tls), self.host)
        association = ae.associate(self.host, self.port, ae_title=self.title, tls_args=tls)
        if not association.is_established:
            why = "rejects the association" if association.is_rejected else "gives no association"
            msg = f"{self}: {why}; check that it runs and knows {self.own_title}"
            raise DeliveryError(msg)
        return association

    def _store(self, association: Any, dataset: Any) -> None:
        try:
            status = association.send_c_store(dataset).get("Status")
        except (ValueError, RuntimeError) as error:
            msg = f"{self}: does not take {dataset.SOPClassUID.name}, or the association was lost"
            raise DeliveryError(msg) from error
        if status is None:
            msg = f"{self}: the association was lost"
            raise DeliveryError(msg)
        if status != _SUCCESS and status not in _WARNINGS:
            msg = f"{self}: refuses {dataset.SOPClassUID.name} (status {status:04X})"
            raise DeliveryError(msg)

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def destination_of(text: str, own_title: str, tls: TlsFiles | None = None) -> Destination:
    """Understand where results shall go.

    Args:
        text: `AET@HOST:PORT` or `dicomweb+https://HOST/PATH`.
        own_title: AE title of this node.
        tls: For DICOM associations.

    Raises:
        InputError: It is neither.
    """
    if is_web_address(text):
        return WebDestination(web_address(text, of_study=False))
    match = _PEER.fullmatch(text)
    if match is None or not 0 < int(match["port"]) <= _HIGHEST_PORT:
        msg = f"--to {text}: is no destination; write AET@HOST:PORT or dicomweb+https://HOST/PATH"
        raise InputError(msg)
    refuse_ae_title("--to", match["title"])
    return StoreDestination(match["title"], match["host"].strip("[]"), int(match["port"]), own_title, tls)
