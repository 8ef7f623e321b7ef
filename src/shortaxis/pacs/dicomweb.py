"""Studies from a DICOMweb server, and results to one: QIDO-RS, WADO-RS and STOW-RS.

An address is `dicomweb+https://HOST/PATH`, that of a study `dicomweb+https://HOST/PATH/studies/UID`. Messages name the server and never the
study.

Source: DICOM PS3.18, chapters 10.4 (WADO-RS), 10.5 (STOW-RS) and 10.6 (QIDO-RS).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from shortaxis.errors import InputError
from shortaxis.io.dicom.scanning import lenient_pydicom
from shortaxis.pacs.credentials import HINT, authorization

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ADDRESS: Final = re.compile(r"dicomweb\+(?P<base>https?://.+?)(?:/studies/(?P<study>[^/?#]*))?/?")
_PREFIX: Final = "dicomweb+"
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_LONGEST_UID: Final = 64
_NAME_LENGTH: Final = 12
_SECONDS: Final = (15, 300)
"""Until a server must be reached, and until it must say something."""
_ATTEMPTS: Final = 4
_WAIT_MS: Final = 1000
_RETRIED: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_WHOLE: Final = 1 << 40
"""Bytes of a chunk that no request exceeds: some servers do not take chunked requests."""
_SERIES_UID: Final = "0020000E"


@dataclass(frozen=True)
class WebAddress:
    """A DICOMweb server, or a study on one.

    Attributes:
        base: URL of the service.
        study: StudyInstanceUID, or None.
    """

    base: str
    study: str | None = None


def is_web_address(text: str) -> bool:
    """Whether an input is an address of DICOMweb."""
    return text.startswith(_PREFIX)


def web_address(text: str, *, of_study: bool) -> WebAddress:
    """Take an address apart.

    Args:
        text: `dicomweb+https://HOST/PATH`, with `/studies/UID` for a study.
        of_study: Whether it must be that of a study, or that of a server.

    Raises:
        InputError: It is neither, holds a user or a password, or has no valid UID.
    """
    match = _ADDRESS.fullmatch(text)
    parts = urlsplit(match["base"]) if match else None
    if match is None or parts is None or not parts.hostname or parts.query or parts.fragment:
        msg = f"{_PREFIX}…: is no address of DICOMweb; write it as dicomweb+https://HOST/PATH{'/studies/UID' if of_study else ''}"
        raise InputError(msg)
    shown = f"{_PREFIX}{parts.scheme}://{parts.hostname}"
    if parts.username is not None or parts.password is not None:
        msg = f"{shown}: holds a user or a password, which would show in process lists; set {HINT} instead"
        raise InputError(msg)
    study = match["study"]
    if of_study and (not study or len(study) > _LONGEST_UID or _UID.fullmatch(study) is None):
        msg = f"{shown}: names no study; write dicomweb+https://HOST/PATH/studies/UID"
        raise InputError(msg)
    if not of_study and study is not None:
        msg = f"{shown}: names a study, and results go to a server; leave out /studies/UID"
        raise InputError(msg)
    return WebAddress(match["base"], study)


@contextmanager
def fetched(inputs: Sequence[str]) -> Iterator[list[str]]:
    """Put folders with the MR images in place of studies on DICOMweb servers, while the block runs.

    The folder of a study is named `dicomweb-` and 12 digits of the hash of its UID: the same every time, so that a run can be resumed.

    Args:
        inputs: Paths, and addresses of studies.

    Yields:
        The paths, in the same order.

    Raises:
        InputError: A server cannot be reached or refuses, a study has no MR images, or the disk is full.
    """
    addresses = {text: web_address(text, of_study=True) for text in inputs if is_web_address(text)}
    if not addresses:
        yield list(inputs)
        return
    with tempfile.TemporaryDirectory(prefix="shortaxis-") as folder:
        places = {}
        for text, address in addresses.items():
            name = hashlib.sha256((address.study or "").encode()).hexdigest()[:_NAME_LENGTH]
            places[text] = str(Path(folder) / f"dicomweb-{name}")
            fetch_study(address, Path(places[text]))
        yield [places.get(text, text) for text in inputs]


def fetch_study(address: WebAddress, folder: Path) -> int:
    """Load the MR images of a study.

    Args:
        address: That of a study.
        folder: Where the files go; made where it is missing.

    Returns:
        The number of files.

    Raises:
        InputError: As `fetched`.
    """
    client = _client(address, retry=True)
    with _told(address, "studies"):
        series = client.search_for_series(study_instance_uid=address.study, search_filters={"Modality": "MR"})
    uids = [str(one[_SERIES_UID]["Value"][0]) for one in series if one.get(_SERIES_UID, {}).get("Value")]
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for uid in uids:
            with _told(address, "images"), lenient_pydicom(folder):
                for dataset in client.iter_series(address.study, uid):
                    _save(dataset, folder)
                    count += 1
    except OSError as error:
        msg = f"{folder.parent}: cannot be written ({error.strerror or error}); free some space, or set TMPDIR to a larger disk"
        raise InputError(msg) from error
    if not count:
        msg = f"{address.base}: the study is not there, or has no MR images; check its UID, and the rights of the user or token"
        raise InputError(msg)
    return count


def _save(dataset: Any, folder: Path) -> None:
    """Write an image under a name that says nothing, and without a time of its own: a run can then be resumed."""
    name = hashlib.sha256(str(dataset.SOPInstanceUID).encode()).hexdigest()
    path = folder / f"{name[:32]}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    os.utime(path, (0, 0))


def store_files(address: WebAddress, files: Sequence[Path], *, retry: bool = True) -> None:
    """Store DICOM files on a server.

    Args:
        address: That of a server.
        files: The files, all of one study.
        retry: Try again a few times where the server is overloaded or fails.

    Raises:
        InputError: The server cannot be reached or refuses one of them, or a file is gone.
    """
    from pydicom import dcmread  # noqa: PLC0415 (an optional package)

    client = _client(address, retry=retry)
    client.set_chunk_size(_WHOLE)
    with _told(address, "results"), lenient_pydicom(files[0]):
        answer = client.store_instances([dcmread(file) for file in files])
    failed = answer.get("FailedSOPSequence") or ()
    if failed:
        reasons = sorted({f"{int(item.get('FailureReason') or 0):04X}" for item in failed})
        msg = f"{address.base}: refused {len(failed)} of {len(files)} results (failure reason {', '.join(reasons)}); see the server's log"
        raise InputError(msg)


def _client(address: WebAddress, *, retry: bool) -> Any:
    try:
        import requests  # noqa: PLC0415 (an optional package)
        from dicomweb_client import DICOMwebClient  # noqa: PLC0415
    except ImportError as error:
        msg = "DICOMweb needs packages that are not installed; run: pip install 'shortaxis[hospital]'"
        raise InputError(msg) from error

    class Authorization(requests.auth.AuthBase):
        """Read anew for each request, since a token expires."""

        def __call__(self, request: Any) -> Any:
            if value := authorization():
                request.headers["Authorization"] = value
            return request

    session = requests.Session()
    session.auth = Authorization()
    client = DICOMwebClient(address.base, session=session, timeout=_SECONDS, permissive_uid=True)
    client.set_http_retry_params(retry, _ATTEMPTS, _WAIT_MS, _RETRIED)
    return client


@contextmanager
def _told(address: WebAddress, what: str) -> Iterator[None]:
    """Say of a server that does not answer as it should which one it is, and never the URL of the request, which names the study."""
    import requests  # noqa: PLC0415
    from retrying import RetryError  # noqa: PLC0415 (comes with dicomweb-client)

    try:
        yield
    except InputError:
        raise
    except RetryError as error:  # the last answer was an error too
        code = getattr(error.last_attempt.value, "status_code", None)
        raise InputError(f"{address.base}: {_answer(code)}") from None
    except requests.HTTPError as error:
        code = None if error.response is None else error.response.status_code
        raise InputError(f"{address.base}: {_answer(code)}") from None
    except requests.exceptions.SSLError:
        msg = f"{address.base}: its certificate cannot be trusted; set REQUESTS_CA_BUNDLE to a file with the authority that signed it"
        raise InputError(msg) from None
    except requests.Timeout:
        msg = f"{address.base}: does not answer; check that the server runs and can be reached"
        raise InputError(msg) from None
    except requests.ConnectionError:
        msg = f"{address.base}: cannot be reached; check the address, and that the server runs"
        raise InputError(msg) from None
    except (requests.RequestException, ValueError, KeyError, AttributeError) as error:
        msg = f"{address.base}: sends {what} that are no DICOMweb ({type(error).__name__}); check the path of the address"
        raise InputError(msg) from None


def _answer(code: int | None) -> str:
    """What an HTTP status means here, and what to do."""
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return f"refuses access (HTTP {code}); check {HINT}: a token may have expired"
    if code == HTTPStatus.NOT_FOUND:
        return "has no such study or service (HTTP 404); check the address"
    if code is not None and code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"fails (HTTP {code}); see the server's log and try again"
    return f"refuses the request (HTTP {code}); see the server's log"
