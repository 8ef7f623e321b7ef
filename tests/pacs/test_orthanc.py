"""A round trip through a real server: SEG, SR and PDF come back in the right study, on the right pixels, with the right numbers."""

from __future__ import annotations

import io
import json
import urllib.request

import numpy as np
import pytest
from pydicom import dcmread
from tests.pacs.conftest import running, send, until
from tests.pacs.orthanc import orthanc
from typer.testing import CliRunner

from shortaxis.cli import app
from shortaxis.io.dicom import read_dicom, read_dicom_seg
from shortaxis.pacs.destination import StoreDestination
from shortaxis.pacs.node import Node
from shortaxis.pacs.options import NodeOptions
from shortaxis.pacs.study_worker import StudyWorker

SEG, SR, PDF = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with orthanc(tmp_path_factory.mktemp("orthanc")) as made:
        yield made


def on_server(server, study_uid):
    """All objects that the server has in a study, read back over HTTP."""
    found = {}
    for one in json.loads(server.get("/instances?expand")):
        dataset = dcmread(io.BytesIO(server.get(f"/instances/{one['ID']}/file")))
        if dataset.StudyInstanceUID == study_uid:
            found.setdefault(str(dataset.SOPClassUID), []).append(dataset)
    return found


def numbers_of(report):
    """Value by the meaning of the name of each measurement in a report, first come first."""
    found = {}
    for group in next(item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010").ContentSequence:
        for item in group.ContentSequence:
            if item.ValueType == "NUM":
                found.setdefault(item.ConceptNameCodeSequence[0].CodeValue, float(item.MeasuredValueSequence[0].NumericValue))
    return found


def test_a_study_that_the_server_sends_is_answered_in_the_server(server, oracle, tmp_path):
    study = oracle.study
    options = NodeOptions(
        tmp_path / "node", f"ORTHANC@127.0.0.1:{server.dicom}", address="127.0.0.1", port=0, quiet_seconds=0.5, min_free_bytes=0
    )
    images = [dcmread(path) for path in sorted(study.rglob("*.dcm"))]
    assert set(send(server.dicom, images, called="ORTHANC")) == {0}
    node = Node(options, StudyWorker(oracle.opened, options))
    assert isinstance(node._destination, StoreDestination)
    with running(node) as (port, _):
        modality = json.dumps({"AET": "SHORTAXIS", "Host": "127.0.0.1", "Port": port}).encode()
        put(server, "/modalities/node", modality)
        patient_study = json.loads(server.get("/studies"))[0]
        post(server, "/modalities/node/store", json.dumps([patient_study]).encode())
        until(lambda: node.tallies["studies_delivered"] + node.tallies["studies_refused"], 120)
    record = node.spool.record(node.spool.recorded()[0])
    assert record.status == "done", record.reason
    check_round_trip(server, oracle, images[0], tmp_path)


def check_round_trip(server, oracle, image, tmp_path):
    found = on_server(server, image.StudyInstanceUID)
    assert {sop_class: len(objects) for sop_class, objects in found.items() if sop_class in {SEG, SR, PDF}} == {SEG: 2, SR: 1, PDF: 1}
    assert {one.PatientID for objects in found.values() for one in objects} == {image.PatientID}
    source = read_dicom(oracle.study)
    folder = tmp_path / "seg"
    folder.mkdir()
    for number, one in enumerate(found[SEG]):
        one.save_as(folder / f"{number}.dcm")
    labels = read_dicom_seg(folder, source)
    report = found[SR][0]
    numbers = numbers_of(report)
    for phase, name, structure, code in ((0, "ED", 3, "8821-1"), (1, "ES", 3, "8823-7"), (0, "ED", 1, "8822-9"), (1, "ES", 1, "8824-5")):
        volume = float(np.sum(labels.labels[phase] == structure)) * source.voxel_ml
        assert numbers[code] == pytest.approx(volume, abs=0.01), name
    assert (labels.labels == oracle.labels[list(labels.phases)]).all()
    assert found[PDF][0].EncapsulatedDocument.startswith(b"%PDF")
    evidence = {
        str(instance.ReferencedSOPInstanceUID)
        for item in report.CurrentRequestedProcedureEvidenceSequence
        for series in item.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert {str(one.SOPInstanceUID) for one in found[SEG]} <= evidence


def test_a_study_comes_and_its_results_go_by_dicomweb(server, oracle, tmp_path):
    study = oracle.study
    images = [dcmread(path) for path in sorted(study.rglob("*.dcm"))]
    for number, image in enumerate(images, 1):
        image.StudyInstanceUID = f"{image.StudyInstanceUID[:40]}.1"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.{number}"
        image.SeriesInstanceUID = f"{image.SeriesInstanceUID[:40]}.1"
    send(server.dicom, images, called="ORTHANC")
    words = ["segment", f"{server.web}/studies/{images[0].StudyInstanceUID}", "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, [*map(str, words), "--store", server.web])
    assert result.exit_code == 0, result.output
    found = on_server(server, images[0].StudyInstanceUID)
    assert {SEG, SR, PDF} <= found.keys()
    for path in (tmp_path / "out").rglob("*"):
        assert images[0].StudyInstanceUID not in str(path)
        if path.suffix in {".json", ".csv", ".html"}:
            assert images[0].StudyInstanceUID not in path.read_text()


def put(server, path, body):
    request(server, path, body, "PUT")


def post(server, path, body):
    request(server, path, body, "POST")


def request(server, path, body, method):
    with urllib.request.urlopen(urllib.request.Request(server.http + path, data=body, method=method), timeout=60) as answer:
        answer.read()
