"""The receiving side of a node: C-ECHO and C-STORE.

Objects of any storage class are accepted, since many archives take a study for lost when one object is rejected. Only MR images are kept;
the others, among them the node's own results when an archive sends them back, are acknowledged and dropped.
"""

from __future__ import annotations

import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from shortaxis.errors import InputError
from shortaxis.pacs.tls import server_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shortaxis.pacs.options import NodeOptions
    from shortaxis.pacs.spool import Spool
    from shortaxis.pacs.tallies import Tallies

MR_IMAGES: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image Storage
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image Storage
    }
)
SUCCESS, OUT_OF_RESOURCES, MISMATCH = 0x0000, 0xA700, 0xA900
"""Status of a C-STORE answer (PS3.4, table B.2-1)."""
_WANTED: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID")
_SECONDS: Final = 60
"""After which a peer that says nothing is given up."""
LOG: Final = logging.getLogger("shortaxis.node")


class Receiver:
    """Takes images from peers into a spool.

    Args:
        options: Who may send.
        spool: Where images go.
        tallies: What is counted.
    """

    def __init__(self, options: NodeOptions, spool: Spool, tallies: Tallies) -> None:
        self._options = options
        self._spool = spool
        self._tallies = tallies

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Listen while the block runs.

        Yields:
            The port.

        Raises:
            InputError: The port cannot be had, or the TLS files are unfit.
        """
        from pynetdicom import AE, _config, evt  # noqa: PLC0415 (an optional package)
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # noqa: PLC0415 (made when it is imported)

        silence_libraries()
        options = self._options
        ae = AE(ae_title=options.ae_title)
        ae.maximum_associations = options.max_associations
        ae.require_called_aet = True
        ae.require_calling_aet = list(options.calling)
        ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = _SECONDS
        ae.add_supported_context(Verification)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_REJECTED, self._on_rejected),
            (evt.EVT_ABORTED, self._on_aborted),
        ]
        context = None if options.tls is None else server_context(options.tls)
        try:
            server = ae.start_server((options.address, options.port), block=False, ssl_context=context, evt_handlers=handlers)
        except OSError as error:
            msg = f"--port {options.port}: cannot be listened on ({error.strerror or error}); choose another port"
            raise InputError(msg) from error
        listener: Any = server  # it is a server, since `block` is False
        unrestricted, _config.UNRESTRICTED_STORAGE_SERVICE = _config.UNRESTRICTED_STORAGE_SERVICE, True
        try:
            yield int(listener.socket.getsockname()[1])
        finally:
            listener.shutdown()
            _config.UNRESTRICTED_STORAGE_SERVICE = unrestricted

    def _on_store(self, event: Any) -> int:
        """Keep one image; the answer is a success only when it is on the disk."""
        try:
            content = event.encoded_dataset()
            header = _uids(content)
        except Exception as error:  # a damaged object may fail in any way
            LOG.warning("an object cannot be read (%s); it is refused", type(error).__name__)
            self._tallies.add("images_refused")
            return MISMATCH
        sop_class, sop_uid, study_uid = header
        if sop_class not in MR_IMAGES:
            self._tallies.add("objects_ignored")
            return SUCCESS
        if not sop_uid or not study_uid:
            LOG.warning("an image lacks its SOPInstanceUID or StudyInstanceUID; it is refused")
            self._tallies.add("images_refused")
            return MISMATCH
        try:
            free = self._spool.free_bytes()
            if free < self._options.min_free_bytes:
                LOG.error("the disk of --folder has %d MB free; images are refused until there is more", free // 1_000_000)
                self._tallies.add("images_refused")
                return OUT_OF_RESOURCES
            self._spool.store(study_uid, sop_uid, content)
        except OSError as error:
            LOG.error("an image cannot be stored (%s); it is refused, and its sender should send it again", error.strerror)  # noqa: TRY400
            self._tallies.add("images_refused")
            return OUT_OF_RESOURCES
        self._tallies.add("images_received")
        return SUCCESS

    def _on_rejected(self, event: Any) -> None:
        requestor = event.assoc.requestor
        called = event.assoc.acceptor.primitive
        name = called.called_ae_title if called is not None else ""
        LOG.warning(
            "association of %s at %s to %s is rejected; check --calling, --ae-title and --max-associations",
            requestor.ae_title,
            requestor.address,
            name or self._options.ae_title,
        )
        self._tallies.add("associations_rejected")

    def _on_aborted(self, event: Any) -> None:
        LOG.warning("association of %s was aborted; images that it was told are stored stay", event.assoc.requestor.ae_title)


def silence_libraries() -> None:
    """Keep pydicom's and pynetdicom's own messages out of the log: they may quote values of headers."""
    for name in ("pynetdicom", "pydicom"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def _uids(content: bytes) -> tuple[str, str, str]:
    """Read the UIDs of `_WANTED` from a file; empty where one is missing. Nothing is decoded that could be complained about."""
    from pydicom import dcmread  # noqa: PLC0415 (an optional package)

    header = dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=list(_WANTED))
    found = []
    for keyword in _WANTED:
        element = header.get_item(keyword) if keyword in header else None
        value = getattr(element, "value", None) or b""
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
        found.append(text.strip(" \0"))
    return found[0], found[1], found[2]
