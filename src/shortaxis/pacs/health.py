"""Health and metrics of a node over HTTP."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from shortaxis.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def serve_health(address: str, port: int, state: Callable[[], dict[str, Any]], metrics: Callable[[], str]) -> Iterator[int]:
    """Answer `/health` and `/metrics` while the block runs.

    Args:
        address: IP address to listen on.
        port: Port; 0 lets the system choose.
        state: Gives the content of `/health`; its `status` is `ok`, or the answer has the code 503.
        metrics: Gives the content of `/metrics`.

    Yields:
        The port.

    Raises:
        InputError: The port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                content = state()
                code = HTTPStatus.OK if content["status"] == "ok" else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(code, "application/json", json.dumps(content))
            elif self.path == "/metrics":
                self._answer(HTTPStatus.OK, "text/plain; version=0.0.4", metrics())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "known are /health and /metrics\n")

        def _answer(self, code: HTTPStatus, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the base class)
            """Log no request."""

    try:
        server = ThreadingHTTPServer((address, port), Handler)
    except OSError as error:
        msg = f"--http-port {port}: cannot be listened on ({error.strerror or error}); choose another port"
        raise InputError(msg) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
