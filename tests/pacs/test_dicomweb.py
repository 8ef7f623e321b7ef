"""What a DICOMweb server may answer, on a stub server over loopback."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shortaxis.errors import InputError
from shortaxis.pacs import dicomweb
from shortaxis.pacs.credentials import authorization
from shortaxis.pacs.dicomweb import WebAddress, fetch_study, fetched, web_address

STUDY = "1.2.840.99.7"


@contextmanager
def answering(*codes):
    """A server that gives these answers, the last one for ever, and keeps the requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self)
            self.send_response(codes[min(len(requests), len(codes)) - 1])
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/web", requests
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Try again at once, and without credentials of this machine."""
    monkeypatch.setattr(dicomweb, "_WAIT_MS", 1)
    for name in ("TOKEN", "TOKEN_FILE", "USER", "PASSWORD"):
        monkeypatch.delenv(f"SHORTAXIS_DICOMWEB_{name}", raising=False)


@pytest.mark.parametrize(
    ("codes", "word"), [((401,), "expired"), ((403,), "403"), ((404,), "404"), ((500,), "500"), ((503,), "503"), ((200,), "no MR images")]
)
def test_each_bad_answer_is_one_line_that_names_the_server_and_no_study(tmp_path, codes, word):
    with answering(*codes) as (base, _), pytest.raises(InputError, match=word) as caught:
        fetch_study(WebAddress(base, STUDY), tmp_path / "study")
    assert "127.0.0.1" in str(caught.value)
    assert STUDY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_fails_is_asked_again(tmp_path):
    with answering(500, 503, 200) as (base, requests), pytest.raises(InputError, match="no MR images"):
        fetch_study(WebAddress(base, STUDY), tmp_path / "study")
    assert len(requests) == 3


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be reached"):
        fetch_study(WebAddress("http://127.0.0.1:9/web", STUDY), tmp_path / "study")


def test_the_token_is_read_anew_and_shown_to_nobody_else(tmp_path, monkeypatch):
    secret = tmp_path / "token"
    monkeypatch.setenv("SHORTAXIS_DICOMWEB_TOKEN_FILE", str(secret))
    sent = []
    for token in ("first-CANARY", "second-CANARY"):
        secret.write_text(token + "\n")
        with answering(401) as (base, requests), pytest.raises(InputError) as caught:
            fetch_study(WebAddress(base, STUDY), tmp_path / "study")
        sent.append(requests[0].headers["Authorization"])
        assert "CANARY" not in str(caught.value)
    assert sent == ["Bearer first-CANARY", "Bearer second-CANARY"]


def test_a_user_with_a_password_is_basic_authentication(monkeypatch):
    monkeypatch.setenv("SHORTAXIS_DICOMWEB_USER", "alice")
    monkeypatch.setenv("SHORTAXIS_DICOMWEB_PASSWORD", "secret")
    assert authorization() == "Basic YWxpY2U6c2VjcmV0"


def test_addresses_are_taken_apart():
    address = web_address(f"dicomweb+https://pacs.example:8443/dicom-web/studies/{STUDY}", of_study=True)
    assert address == WebAddress("https://pacs.example:8443/dicom-web", STUDY)
    assert web_address("dicomweb+https://pacs.example/dicom-web/", of_study=False) == WebAddress("https://pacs.example/dicom-web")


@pytest.mark.parametrize(
    ("text", "of_study"),
    [
        ("dicomweb+ftp://pacs/web", False),
        ("dicomweb+https://", False),
        ("dicomweb+https://pacs/web", True),
        ("dicomweb+https://pacs/web/studies/", True),
        ("dicomweb+https://pacs/web/studies/1.2/series/3", True),
        ("dicomweb+https://pacs/web/studies/../../etc", True),
        ("dicomweb+https://pacs/web/studies/1.2", False),
        ("dicomweb+https://alice:CANARY@pacs/web/studies/1.2", True),
        ("dicomweb+https://pacs/web?token=CANARY", False),
    ],
)
def test_other_addresses_are_refused_without_showing_a_secret(text, of_study):
    with pytest.raises(InputError) as caught:
        web_address(text, of_study=of_study)
    assert "CANARY" not in str(caught.value)


def test_paths_pass_as_they_are():
    with fetched(["a.nii", "acdc:folder"]) as paths:
        assert paths == ["a.nii", "acdc:folder"]
