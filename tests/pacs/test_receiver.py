"""The node on the wire, over loopback."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from tests.pacs.conftest import CANARY, SR, mr_image, running, send, until

from shortaxis.pacs.destination import DeliveryError, StoreDestination
from shortaxis.pacs.options import TlsFiles


def test_images_go_in_and_results_come_out_without_a_name_in_log_or_paths(setup, capfd):
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    logging.getLogger("shortaxis.node").setLevel(logging.DEBUG)
    node = setup.make(http_port=0, answer_refusals=True)
    with running(node) as (port, http):
        assert send(port, [mr_image(instance=f"1.2.3.{number}") for number in range(3)]) == [0, 0, 0]
        setup.now = 11.0
        until(lambda: node.tallies["studies_delivered"])
        pages = [urllib.request.urlopen(f"http://127.0.0.1:{http}/{page}").read().decode() for page in ("health", "metrics")]
    logging.getLogger().removeHandler(handler)
    log = capfd.readouterr().err
    names = "".join(name for _, folders, files in os.walk(setup.folder) for name in (*folders, *files))
    records = "".join(path.read_text() for path in (setup.folder / "records").iterdir())
    for text in (log, names, records, *pages):
        assert CANARY not in text
        assert "1.2.3" not in text
        assert "1901" not in text
    assert json.loads(pages[0])["status"] == "ok"
    assert "shortaxis_images_received_total 3" in pages[1]
    assert "segmented" in log


def test_echo_is_answered_and_strangers_are_not(setup, caplog):
    node = setup.make(calling=("SCANNER",))
    with running(node) as (port, _):
        ae = AE(ae_title="SCANNER")
        ae.add_requested_context(Verification)
        association = ae.associate("127.0.0.1", port, ae_title="SHORTAXIS")
        assert association.send_c_echo().Status == 0
        association.release()
        assert send(port, [mr_image()], calling="STRANGER") is None
        assert send(port, [mr_image()], called="OTHER") is None
        until(lambda: node.tallies["associations_rejected"] == 2)
    assert "STRANGER" in caplog.text


def test_what_is_no_mr_image_is_acknowledged_and_dropped(setup):
    node = setup.make(quiet_seconds=0.0)
    with running(node) as (port, _):
        assert send(port, [mr_image(sop_class=SR)]) == [0]
    assert node.tallies["objects_ignored"] == 1
    assert node.spool.n_arriving() == 0


def test_an_image_without_its_study_is_refused(setup):
    image = mr_image()
    del image.StudyInstanceUID
    node = setup.make()
    with running(node) as (port, _):
        assert send(port, [image]) == [0xA900]


def test_a_full_disk_is_answered_as_such_and_shows_in_health(setup):
    node = setup.make(min_free_bytes=1 << 62, http_port=0)
    with running(node) as (port, http):
        assert send(port, [mr_image()]) == [0xA700]
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(f"http://127.0.0.1:{http}/health")
        assert answer.value.code == 503
    assert node.spool.n_arriving() == 0


def test_a_peer_that_goes_away_in_mid_transfer_leaves_what_was_whole(setup):
    node = setup.make(quiet_seconds=1e6)
    with running(node) as (port, _):
        ae = AE(ae_title="SCANNER")
        ae.add_requested_context(mr_image().SOPClassUID, "1.2.840.10008.1.2.1")
        association = ae.associate("127.0.0.1", port, ae_title="SHORTAXIS")
        association.send_c_store(mr_image())
        association.abort()
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(b"\x01\x00\x00\x00\x01\x00half of a request")
        assert send(port, [mr_image(instance="1.2.3.5")]) == [0]
    assert len(node.spool.instances(node.spool.key("1.2.3"))) == 2


def test_more_associations_than_allowed_are_turned_away_for_the_moment(setup):
    node = setup.make(max_associations=1)
    with running(node) as (port, _):
        ae = AE(ae_title="SCANNER")
        ae.add_requested_context(Verification)
        first = ae.associate("127.0.0.1", port, ae_title="SHORTAXIS")
        assert first.is_established
        assert send(port, [mr_image()]) is None
        first.release()
        until(lambda: send(port, [mr_image()]) == [0])


@pytest.fixture
def tls(tmp_path):
    """A certificate for 127.0.0.1 that is its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command = ["openssl", "req", "-x509", *words, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return TlsFiles(certificate, key, certificate)


def test_over_tls_a_peer_needs_the_certificate(setup, tls, tmp_path):
    image = tmp_path / "image.dcm"
    mr_image().save_as(image, enforce_file_format=True)
    node = setup.make(tls=tls)
    with running(node) as (port, _):
        StoreDestination("SHORTAXIS", "127.0.0.1", port, "SCANNER", tls).send([image])
        assert send(port, [mr_image(instance="1.2.3.9")]) is None
        with pytest.raises(DeliveryError, match="association"):
            StoreDestination("OTHER", "127.0.0.1", port, "SCANNER", tls).send([image])
    assert len(node.spool.instances(node.spool.key("1.2.3"))) == 1
