"""The worker of a node on real DICOM files, with true labels in place of networks: what is written, refused, and not said."""

from __future__ import annotations

import gzip
import logging

from pydicom import dcmread
from tests.pacs.conftest import CANARY, StubDestination
from typer.testing import CliRunner

from shortaxis.cli import app
from shortaxis.pacs.node import Node
from shortaxis.pacs.options import NodeOptions
from shortaxis.pacs.study_worker import StudyWorker


def node_with(images, oracle, folder, **options):
    """A node in which these files have arrived, and its destination."""
    settings = NodeOptions(folder, "PACS@127.0.0.1:4242", quiet_seconds=0.0, min_free_bytes=0, **options)
    destination = StubDestination()
    node = Node(settings, StudyWorker(oracle.opened, settings), destination=destination)
    for path in images:
        header = dcmread(path)
        node.spool.store(str(header.StudyInstanceUID), str(header.SOPInstanceUID), path.read_bytes())
    while node.step():
        pass
    node.spool.close()
    return node, destination


def test_nothing_but_dicom_files_holds_a_name_a_date_or_a_uid(oracle, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    images = sorted(oracle.study.rglob("*.dcm"))
    node, destination = node_with(images, oracle, tmp_path / "node")
    assert [len(uids) for uids in destination.received] == [4]
    header = dcmread(images[0])
    secrets = [
        CANARY,
        *(str(header[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientBirthDate")),
    ]
    texts = [caplog.text, node.metrics(), str(node.state())]
    for path in (tmp_path / "node").rglob("*"):
        texts.append(str(path.relative_to(tmp_path)))
        if path.is_file() and path.suffix not in {".dcm", ""}:
            content = path.read_bytes()
            texts.append((gzip.decompress(content) if path.suffix == ".gz" else content).decode("latin-1"))
    for secret in secrets:
        assert not [text[:200] for text in texts if secret in text], secret


def test_a_study_without_a_cine_is_refused_and_the_answer_says_why(oracle, tmp_path, caplog):
    images = sorted(oracle.study.rglob("*.dcm"))[:1]
    node, destination = node_with(images, oracle, tmp_path / "node", answer_refusals=True)
    record = node.spool.record(node.spool.recorded()[0])
    assert record.status == "refused"
    assert "series" in record.reason
    assert str(tmp_path) not in record.reason
    assert [len(uids) for uids in destination.received] == [1]
    answer = next((tmp_path / "node" / "results").rglob("*.sr.dcm"))
    assert dcmread(answer).StudyInstanceUID == dcmread(images[0]).StudyInstanceUID
    assert record.reason in caplog.text


def test_a_study_in_which_nothing_is_found_gets_no_numbers(oracle, heart, tmp_path, monkeypatch):
    monkeypatch.setattr(heart, "labels", heart.labels * 0)
    node, destination = node_with(sorted(oracle.study.rglob("*.dcm")), oracle, tmp_path / "node")
    assert "nothing was found" in node.spool.record(node.spool.recorded()[0]).reason
    assert destination.received == []


def test_wrong_options_end_with_exit_code_two_and_one_line(tmp_path):
    for words in (["--to", "nowhere"], ["--to", "A@b:1", "--tls-key", "key.pem"], ["--to", "dicomweb+https://pacs/x/studies/1.2"]):
        result = CliRunner().invoke(app, ["node", "--folder", str(tmp_path / "node"), *words])
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
    assert not (tmp_path / "node" / "incoming").exists()
