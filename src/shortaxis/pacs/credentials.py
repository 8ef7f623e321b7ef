"""How this program shows a DICOMweb server who it is: from the environment, read anew for each request, and never printed."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

from shortaxis.errors import InputError

TOKEN: Final = "SHORTAXIS_DICOMWEB_TOKEN"  # noqa: S105 (the name of a variable)
TOKEN_FILE: Final = "SHORTAXIS_DICOMWEB_TOKEN_FILE"  # noqa: S105
USER: Final = "SHORTAXIS_DICOMWEB_USER"
PASSWORD: Final = "SHORTAXIS_DICOMWEB_PASSWORD"  # noqa: S105
HINT: Final = f"{TOKEN} or {TOKEN_FILE}, or {USER} and {PASSWORD}"


def authorization() -> str | None:
    """Give the value of the Authorization header: a bearer token, or a user with a password; None where neither is set.

    Raises:
        InputError: The file of the token cannot be read, or the token has characters that no header takes.
    """
    token = os.environ.get(TOKEN)
    if path := os.environ.get(TOKEN_FILE):
        try:
            token = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{TOKEN_FILE}: the file that it names cannot be read as text; check the path"
            raise InputError(msg) from error
    if token:
        if not token.isascii() or not token.isprintable():
            msg = f"{TOKEN}: holds characters that no token has; set it again"
            raise InputError(msg)
        return f"Bearer {token}"
    user = os.environ.get(USER)
    if user:
        pair = f"{user}:{os.environ.get(PASSWORD, '')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return None
