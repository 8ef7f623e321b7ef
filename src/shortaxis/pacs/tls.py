"""TLS for DICOM associations."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from shortaxis.pacs.options import TlsFiles


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """How peers are received: with authorities given, they must show a certificate.

    Raises:
        InputError: A file is no PEM file, or the key does not fit the certificate.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load(context, files)
    if files.authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """How results are sent: the server must show a certificate for its name.

    Raises:
        InputError: As `server_context`.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key)
        if files.authorities is not None:
            context.load_verify_locations(files.authorities)
    except (ssl.SSLError, OSError) as error:
        msg = f"{files.certificate}: cannot be used for TLS ({error.reason if isinstance(error, ssl.SSLError) else error.strerror})"
        raise InputError(f"{msg}; give a certificate and its key as PEM files") from error
