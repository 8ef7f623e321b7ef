"""The steps of a node, on a clock that the tests turn: what it does when, and what it does not do twice."""

from __future__ import annotations

import io

import pytest
from tests.pacs.conftest import mr_image

from shortaxis.errors import InputError

STUDY = "1.2.840.99.1"


def arrive(node, *numbers, study=STUDY):
    for number in numbers:
        key = node.spool.store(study, f"{study}.{number}", image_bytes(study, f"{study}.{number}"))
    return key


def image_bytes(study, instance):
    stream = io.BytesIO()
    mr_image(study, instance).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def work(node):
    while node.step():
        pass


def test_a_study_is_segmented_when_it_is_quiet_and_sent_once(setup):
    node = setup.make()
    key = arrive(node, 1, 2)
    setup.now = 9.0
    work(node)
    assert setup.worker.seen == []
    arrive(node, 3)
    setup.now = 18.9
    work(node)
    assert setup.worker.seen == []
    setup.now = 19.1
    work(node)
    assert setup.worker.seen == [3]
    assert setup.destination.received == [["1.9.1"]]
    assert node.spool.record(key).status == "done"
    setup.now = 1e4
    work(node)
    assert len(setup.destination.received) == 1


def test_a_study_that_arrives_twice_is_done_once(setup):
    node = setup.make()
    arrive(node, 1, 2)
    setup.now = 20.0
    work(node)
    arrive(node, 1, 2)
    setup.now = 40.0
    work(node)
    assert (len(setup.worker.seen), len(setup.destination.received)) == (1, 1)
    assert node.tallies["studies_repeated"] == 1


def test_it_is_done_once_too_when_its_files_were_deleted_in_between(setup):
    node = setup.make(keep_hours=0.0)
    key = arrive(node, 1, 2)
    setup.now = 20.0
    work(node)
    assert not node.spool.images(key).exists()
    assert not node.spool.results(key).exists()
    arrive(node, 1, 2)
    setup.now = 40.0
    work(node)
    assert len(setup.worker.seen) == 1
    assert not node.spool.images(key).exists()


def test_a_study_that_grows_after_it_was_done_is_done_again_with_all_images(setup):
    node = setup.make()
    arrive(node, 1, 2)
    setup.now = 20.0
    work(node)
    arrive(node, 3)
    setup.now = 40.0
    work(node)
    assert setup.worker.seen == [2, 3]
    assert len(setup.destination.received) == 2


def test_a_piece_of_a_study_whose_other_images_are_deleted_is_refused(setup):
    node = setup.make(keep_hours=0.0)
    key = arrive(node, 1, 2)
    setup.now = 20.0
    work(node)
    arrive(node, 3)
    setup.now = 40.0
    work(node)
    assert setup.worker.seen == [2]
    assert "send the whole study" in node.spool.record(key).reason


def test_images_that_arrive_while_a_study_is_segmented_are_not_lost(setup):
    node = setup.make()
    arrive(node, 1, 2)
    setup.now = 20.0
    setup.worker.during = lambda: arrive(node, 3)
    node.step()
    setup.worker.during = lambda: None
    assert setup.destination.received == []
    setup.now = 40.0
    work(node)
    assert setup.worker.seen == [2, 3]
    assert len(setup.destination.received) == 1


def test_a_destination_that_is_down_is_tried_again_later_with_the_same_objects(setup):
    node = setup.make()
    setup.destination.failures = 2
    arrive(node, 1)
    setup.now = 20.0
    work(node)
    assert setup.destination.received == []
    setup.now = 26.0
    work(node)
    setup.now = 30.0  # the second wait is twice as long
    work(node)
    assert setup.destination.received == []
    setup.now = 37.0
    work(node)
    assert setup.destination.received == [["1.9.1"]]
    assert len(setup.worker.seen) == 1


@pytest.mark.parametrize("when", ["segmenting", "before sending"])
def test_a_node_that_was_killed_goes_on_where_it_was(setup, when):
    node = setup.make()
    key = arrive(node, 1, 2)
    setup.now = 20.0

    def die():
        raise KeyboardInterrupt

    if when == "segmenting":
        setup.worker.during = die
        with pytest.raises(KeyboardInterrupt):
            node.step()
        setup.worker.during = lambda: None
    else:
        setup.destination.failures = 1
        node.step()
        node.step()
    node = setup.make()
    setup.now += 20.0
    work(node)
    assert len(setup.destination.received) == 1
    assert len(setup.worker.seen) == (2 if when == "segmenting" else 1)
    assert node.spool.record(key).status == "done"


def test_results_that_somebody_deleted_are_made_again(setup):
    node = setup.make()
    setup.destination.failures = 1
    key = arrive(node, 1)
    setup.now = 20.0
    work(node)
    next(node.spool.results(key).iterdir()).unlink()
    for setup.now in (40.0, 60.0, 80.0):
        work(node)
    assert setup.destination.received == [["1.9.2"]]


def test_a_study_that_ends_the_program_each_time_is_refused_in_the_end(setup):
    def die():
        raise MemoryError

    setup.worker.during = die
    for _ in range(3):
        node = setup.make()
        key = arrive(node, 1)
        setup.now += 20.0
        with pytest.raises(MemoryError):
            node.step()
    node = setup.make()
    setup.now += 20.0
    work(node)
    assert node.spool.record(key).status == "refused"
    assert len(setup.worker.seen) == 3


def test_a_refusal_is_logged_and_answered_only_where_that_is_wanted(setup, caplog):
    setup.worker.refusal = "holds no short-axis cine"
    for answer in (False, True):
        node = setup.make(answer_refusals=answer)
        key = arrive(node, 1, study=f"{STUDY}.{answer:d}")
        setup.now += 20.0
        work(node)
        assert node.spool.record(key).reason == "holds no short-axis cine"
        assert node.spool.record(key).status == "refused"
        assert len(setup.destination.received) == answer
    assert "no short-axis cine" in caplog.text


def test_a_full_disk_is_no_fault_of_the_study(setup):
    def full():
        raise InputError("results: cannot be written (No space left on device)")

    node = setup.make()
    arrive(node, 1)
    setup.worker.during = full
    for _ in range(5):
        setup.now += 700.0
        node.step()
    setup.worker.during = lambda: None
    setup.now += 700.0
    work(node)
    assert len(setup.destination.received) == 1


def test_many_studies_at_once_are_each_done_once(setup):
    node = setup.make()
    for number in range(12):
        arrive(node, 1, 2, study=f"{STUDY}.{number}")
    setup.now = 20.0
    work(node)
    assert setup.worker.seen == [2] * 12
    assert len(setup.destination.received) == 12
    assert "shortaxis_studies_delivered_total 12" in node.metrics()


def test_a_node_that_starts_again_does_not_look_at_what_is_done(setup):
    node = setup.make()
    arrive(node, 1)
    setup.now = 20.0
    work(node)
    node = setup.make()
    setup.now = 60.0
    work(node)
    assert len(setup.worker.seen) == 1
    assert node.tallies["studies_repeated"] == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"ae_title": "seventeen letters"}, "--ae-title"),
        ({"calling": ("",)}, "--calling"),
        ({"port": 70000}, "--port"),
        ({"seg_phases": "ed"}, "--dicom-seg"),
        ({"keep_hours": float("nan")}, "--keep-hours"),
        ({"quiet_seconds": -1.0}, "--quiet-seconds"),
        ({"max_associations": 0}, "--max-associations"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(setup, options, word):
    with pytest.raises(InputError, match=word):
        setup.make(**options)
