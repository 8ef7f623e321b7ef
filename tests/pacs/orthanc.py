"""A real server for the tests: Orthanc with its DICOMweb plug-in (Debian packages orthanc and orthanc-dicomweb)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def orthanc(folder: Path, **settings):
    """Run Orthanc over an empty database on loopback; give its ports and its DICOMweb address."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program is None or not PLUGIN.is_file():
        pytest.skip("no Orthanc with DICOMweb: apt-get install orthanc orthanc-dicomweb")
    http, dicom = free_port(), free_port()
    configuration = {
        "StorageDirectory": str(folder / "database"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowEcho": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    } | settings
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log, subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log) as process:
        try:
            made = SimpleNamespace(http=f"http://127.0.0.1:{http}", dicom=dicom, web=f"dicomweb+http://127.0.0.1:{http}/dicom-web")
            made.get = lambda path: urllib.request.urlopen(made.http + path, timeout=20).read()
            _wait(made, process)
            yield made
        finally:
            process.terminate()
            process.wait(20)


def _wait(server, process):
    for _ in range(600):
        try:
            server.get("/dicom-web/studies")
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "Orthanc ended"
            time.sleep(0.1)
        else:
            return
    pytest.fail("Orthanc does not answer")
