from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shortaxis.errors import InputError
from shortaxis.quality.appearance import APPEARANCE
from shortaxis.quality.domain import learn_domain

K = len(APPEARANCE)
MIXING = np.eye(K) + 0.4 * np.eye(K, k=1)


def draw(n, seed):
    """Correlated normal figures, each of its own mean."""
    return np.random.default_rng(seed).normal(size=(n, K)) @ MIXING + np.arange(K)


@pytest.fixture(scope="module")
def domain():
    return learn_domain(draw(200, 0))


def test_new_scans_of_the_same_kind_are_inside_in_95_of_100(domain):
    inside = np.mean([domain.is_inside(scan) for scan in draw(1000, 1)])
    assert inside == pytest.approx(0.95, abs=0.04)


def test_few_scans_do_not_make_the_domain_too_narrow():
    domains = [learn_domain(draw(40, seed)) for seed in range(5)]
    shares = [np.mean([domain.is_inside(scan) for scan in draw(100, 100 + seed)]) for seed, domain in enumerate(domains)]
    assert np.mean(shares) == pytest.approx(0.95, abs=0.06)


def test_a_far_scan_is_outside_and_what_is_odd_comes_first(domain):
    scan = np.arange(K, dtype=float)
    assert domain.is_inside(scan)
    assert domain.unlike(scan) == ()
    names = list(APPEARANCE)
    scan[names.index("pixel")] += 6
    scan[names.index("contrast")] -= 9
    assert not domain.is_inside(scan)
    assert domain.unlike(scan) == (APPEARANCE["contrast"], APPEARANCE["pixel"])


def test_no_more_than_three_figures_are_named(domain):
    assert len(domain.unlike(np.arange(K) + 20.0)) == 3


def test_an_unusual_combination_of_usual_figures_is_farther_than_a_usual_one(domain):
    away = np.zeros(K)
    away[:2] = 1.5, 1.5
    against = away * np.where(np.arange(K) == 1, -1, 1)
    assert domain.distance(np.arange(K) + against) > domain.distance(np.arange(K) + away)


def test_distance_is_counted_in_standard_deviations():
    # Independent figures of a large sample: one that is 3 deviations off lies about 3 away.
    wide = learn_domain(np.random.default_rng(4).normal(0, 5, (400, K)))
    assert wide.distance(15.0 * np.eye(K)[2]) == pytest.approx(3, abs=0.4)


def test_a_scan_that_cannot_be_described_is_not_inside(domain):
    assert not domain.is_inside(None)


def test_a_figure_that_never_varies_does_not_put_every_other_scan_infinitely_far():
    scans = draw(60, 2)
    scans[:, 1] = 2.0
    domain = learn_domain(scans)
    assert np.isfinite(domain.distance(scans[0] + 0.001 * np.eye(K)[1]))
    assert domain.is_inside(scans.mean(axis=0) + 0.001 * np.eye(K)[1])


def test_figures_of_another_version_are_refused(domain):
    with pytest.raises(InputError, match="figures"):
        replace(domain, figures=("pixel",))


def test_scans_of_another_hospital_that_took_part_are_outside_where_their_distance_alone_would_not_say_so():
    known = draw(100, 0)
    towards = np.zeros(K)
    towards[list(APPEARANCE).index("contrast")] = 3.0
    others, new = draw(20, 1) + towards, draw(200, 2) + towards
    alone, both = learn_domain(known), learn_domain(known, others)
    assert np.mean([alone.is_inside(scan) for scan in new]) > 0.4
    assert np.mean([both.is_inside(scan) for scan in new]) < 0.2
    assert np.mean([both.is_inside(scan) for scan in draw(500, 3)]) > 0.88
