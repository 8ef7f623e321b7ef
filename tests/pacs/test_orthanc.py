"""A round trip through a real server: a study goes in, SEG, SR and PDF come out in the right study, on the right pixels, with the numbers."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from pydicom import dcmread
from typer.testing import CliRunner

from shortaxis.cli import app
from shortaxis.ensemble.model_file import ModelSpec, save_model
from shortaxis.io.dicom import read_dicom, read_dicom_seg
from shortaxis.pacs.destination import StoreDestination
from shortaxis.pacs.node import Node
from shortaxis.pacs.options import NodeOptions
from shortaxis.pacs.study_worker import open_worker
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from tests.pacs.conftest import running, send, until
from tests.pacs.orthanc import orthanc

MEMBER = {"network": "unet", "options": {"widths": [4, 8]}}
SEG, SR, PDF = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.104.1"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    torch.manual_seed(0)
    grid = {"kind": "physical", "spacing_mm": 4.0, "size": 32}
    spec = ModelSpec("tiny", [MEMBER, MEMBER], {"rule": "uncertainty"}, grid, {"data": "none"})
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, spec.build(), spec)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom") / "heart"
    write_dicom(folder, make_phantom(3, n_phases=6, n_slices=5, spacing=(12.0, 4.0, 4.0)).study, vendor="GE")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with orthanc(tmp_path_factory.mktemp("orthanc")) as made:
        yield made


def on_server(server, study_uid):
    """All objects that the server has in a study, read back over HTTP."""
    found = {}
    for one in json.loads(server.get(f"/dicom-web/instances?StudyInstanceUID={study_uid}&limit=500")):
        identifier = next(
            name for name in json.loads(server.get("/instances")) if uid_of(server, name) == one["00080018"]["Value"][0]
        )
        found.setdefault(one["00080016"]["Value"][0], []).append(dcmread(io.BytesIO(server.get(f"/instances/{identifier}/file"))))
    return found


def uid_of(server, identifier):
    return json.loads(server.get(f"/instances/{identifier}"))["MainDicomTags"]["SOPInstanceUID"]


def numbers_of(report):
    """Value by the meaning of the name of each measurement in a report, first come first."""
    found = {}
    for group in next(item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "126010").ContentSequence:
        for item in group.ContentSequence:
            if item.ValueType == "NUM":
                found.setdefault(item.ConceptNameCodeSequence[0].CodeValue, float(item.MeasuredValueSequence[0].NumericValue))
    return found


def test_a_study_that_the_server_sends_is_answered_in_the_server(server, study, model_file, tmp_path):
    options = NodeOptions(
        tmp_path / "node", f"ORTHANC@127.0.0.1:{server.dicom}", address="127.0.0.1", port=0, quiet_seconds=0.5, min_free_bytes=0
    )
    images = [dcmread(path) for path in sorted(study.rglob("*.dcm"))]
    assert set(send(server.dicom, images, called="ORTHANC")) == {0}
    node = Node(options, open_worker(options, model_file, "cpu", 1))
    assert isinstance(node._destination, StoreDestination)
    with running(node) as (port, _):
        modality = json.dumps({"AET": "SHORTAXIS", "Host": "127.0.0.1", "Port": port}).encode()
        put(server, "/modalities/node", modality)
        patient_study = json.loads(server.get("/studies"))[0]
        post(server, "/modalities/node/store", json.dumps([patient_study]).encode())
        until(lambda: node.tallies["studies_delivered"] + node.tallies["studies_refused"], 120)
    record = node.spool.record(node.spool.recorded()[0])
    assert record.status == "done", record.reason
    check_round_trip(server, study, images[0], tmp_path)


def check_round_trip(server, study, image, tmp_path):
    found = on_server(server, image.StudyInstanceUID)
    assert {sop_class: len(objects) for sop_class, objects in found.items() if sop_class in {SEG, SR, PDF}} == {SEG: 2, SR: 1, PDF: 1}
    assert {one.PatientID for objects in found.values() for one in objects} == {image.PatientID}
    source = read_dicom(study)
    folder = tmp_path / "seg"
    folder.mkdir()
    for number, one in enumerate(found[SEG]):
        one.save_as(folder / f"{number}.dcm")
    labels = read_dicom_seg(folder, source)
    report = found[SR][0]
    numbers = numbers_of(report)
    for structure, phase, code in ((3, 0, "8821-1"), (3, 1, "8823-7"), (1, 0, "8822-9"), (1, 1, "8824-5")):
        frames = {int(one.InstanceNumber) - 1: one for one in found[SEG]}
        where = labels.phases.index(sorted(frames)[0]) if phase == 0 else labels.phases.index(sorted(frames)[1])
        volumes = sorted(float(np.sum(one == structure)) * source.voxel_ml for one in labels.labels)
        if code in numbers:
            assert any(np.isclose(numbers[code], volume, atol=0.01) for volume in volumes), (code, numbers, volumes, where)
    assert found[PDF][0].EncapsulatedDocument.startswith(b"%PDF")
    evidence = {
        str(instance.ReferencedSOPInstanceUID)
        for item in report.CurrentRequestedProcedureEvidenceSequence
        for series in item.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert {str(one.SOPInstanceUID) for one in found[SEG]} <= evidence


def test_a_study_comes_and_its_results_go_by_dicomweb(server, study, model_file, tmp_path):
    images = [dcmread(path) for path in sorted(study.rglob("*.dcm"))]
    for number, image in enumerate(images, 1):
        image.StudyInstanceUID = f"{image.StudyInstanceUID[:40]}.1"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.{number}"
        image.SeriesInstanceUID = f"{image.SeriesInstanceUID[:40]}.1"
    send(server.dicom, images, called="ORTHANC")
    words = ["segment", f"{server.web}/studies/{images[0].StudyInstanceUID}", "--out", tmp_path / "out", "--model", model_file]
    result = CliRunner().invoke(app, [*map(str, words), "--store", server.web, "--threads", "1"])
    assert result.exit_code in {0, 1}, result.output
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
    import urllib.request

    with urllib.request.urlopen(urllib.request.Request(server.http + path, data=body, method=method), timeout=60) as answer:
        answer.read()
