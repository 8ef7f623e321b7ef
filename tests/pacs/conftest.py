"""A node without networks: a worker that writes one small object, and a destination that collects."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pynetdicom import AE

from shortaxis.pacs.destination import DeliveryError
from shortaxis.pacs.node import Node
from shortaxis.pacs.options import NodeOptions
from shortaxis.pacs.study_worker import StudyRefusedError
from shortaxis.phantom import make_phantom
from shortaxis.phantom.dicom import write_dicom
from shortaxis.segmenting.opening import OpenModel
from shortaxis.segmenting.trusting import Judged
from shortaxis.study import Segmentation

MR = "1.2.840.10008.5.1.4.1.1.4"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
EXPLICIT = "1.2.840.10008.1.2.1"
CANARY = "CANARY"


def mr_image(study: str = "1.2.3", instance: str = "1.2.3.4", sop_class: str = MR) -> Dataset:
    """An object with a canary wherever a name may stand."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID, image.StudyInstanceUID = sop_class, instance, study
    image.SeriesInstanceUID = f"{study}.9"
    image.PatientName, image.PatientID, image.StudyDescription = f"{CANARY}^NAME", f"{CANARY}-ID", f"{CANARY} study"
    image.PatientBirthDate, image.InstitutionName, image.AccessionNumber = "19011231", f"{CANARY} hospital", CANARY
    image.Modality = "MR"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = EXPLICIT
    return image


class StubWorker:
    """Finds one object in every study, or refuses all; counts what it is asked."""

    def __init__(self):
        self.seen: list[int] = []
        self.refusal: str | None = None
        self.during = lambda: None

    def segment(self, images, out):
        self.seen.append(len(list(images.iterdir())))
        self.during()
        if self.refusal is not None:
            raise StudyRefusedError(self.refusal)
        out.mkdir(parents=True, exist_ok=True)
        result = mr_image(str(dcmread(min(images.iterdir()), force=True).StudyInstanceUID), f"1.9.{len(self.seen)}", SR)
        result.save_as(out / "result.dcm", enforce_file_format=True)

    def answer_refusal(self, images, reason, out):
        out.mkdir(parents=True, exist_ok=True)
        mr_image(instance="1.9.9", sop_class=SR).save_as(out / "refusal.sr.dcm", enforce_file_format=True)
        return True


class StubDestination:
    """Collects the UIDs of what it is sent; may be out of order for some calls."""

    def __init__(self):
        self.received: list[list[str]] = []
        self.failures = 0

    def send(self, files):
        if self.failures:
            self.failures -= 1
            raise DeliveryError("stub: is down")
        self.received.append([str(dcmread(file).SOPInstanceUID) for file in files])


@pytest.fixture
def setup(tmp_path):
    """Make nodes over one folder; `now` is their clock."""
    made = SimpleNamespace(now=0.0, worker=StubWorker(), destination=StubDestination(), folder=tmp_path / "node")

    def node(**options):
        given = {"folder": made.folder, "destination": "PACS@127.0.0.1:4242", "quiet_seconds": 10.0, "min_free_bytes": 0, "port": 0}
        if getattr(made, "node", None) is not None:
            made.node.spool.close()
        made.node = Node(
            NodeOptions(**given | {"address": "127.0.0.1"} | options), made.worker, destination=made.destination, clock=lambda: made.now
        )
        return made.node

    made.make = node
    yield made
    if getattr(made, "node", None) is not None:
        made.node.spool.close()


@contextmanager
def running(node):
    """Run a node in a thread; give its DICOM and HTTP ports."""
    ports, ready = [], threading.Event()

    def on_listening(port, http):
        ports.extend([port, http])
        ready.set()

    thread = threading.Thread(target=node.run, args=(on_listening,), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield ports
    finally:
        node.stop()
        thread.join(20)


def send(port, images, *, calling="SCANNER", called="SHORTAXIS"):
    """Send images by C-STORE; give the status of each, or None where there is no association."""
    ae = AE(ae_title=calling)
    for sop_class in {image.SOPClassUID for image in images}:
        ae.add_requested_context(sop_class, EXPLICIT)
    association = ae.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return None
    statuses = [association.send_c_store(image).Status for image in images]
    association.release()
    return statuses


def until(condition, seconds=20.0):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def heart(tmp_path_factory):
    """A small DICOM study with its true labels."""
    phantom = make_phantom(3, n_phases=6, n_slices=5, spacing=(12.0, 4.0, 4.0))
    folder = tmp_path_factory.mktemp("dicom") / "heart"
    write_dicom(folder, phantom.study, vendor="GE")
    return SimpleNamespace(study=folder, labels=phantom.labels)


@pytest.fixture
def oracle(heart, monkeypatch):
    """Let the true labels stand for what networks find, so that tests are quick and the numbers are known."""

    def judged(_opened, study, **_options):
        return Judged(Segmentation(study, heart.labels), rv_sureness=np.ones(study.n_phases))

    model = SimpleNamespace(device="cpu")
    opened = OpenModel(model, {"name": "oracle", "sha256": "0" * 64}, None)
    monkeypatch.setattr("shortaxis.segmenting.single.segment_judged", judged)
    monkeypatch.setattr("shortaxis.segmenting.single.reoriented", lambda *_: None)
    monkeypatch.setattr("shortaxis.segmenting.run.open_model", lambda *_args, **_options: opened)
    return SimpleNamespace(study=heart.study, labels=heart.labels, opened=opened)
