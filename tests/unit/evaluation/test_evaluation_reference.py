"""What holds for every reference detector."""

import numpy as np
import pytest
from eval_reference_cases import START, calm, case_of
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.evaluation.reference import REFERENCES, case_score
from exporter.evaluation.reference.scores import bounded, half_at

every = pytest.mark.parametrize("reference", REFERENCES.values(), ids=REFERENCES)
THAT_LOOK = [name for name in REFERENCES if name not in {"random", "never", "always"}]


def test_the_table_has_the_rows_of_the_report_in_its_order():
    assert list(REFERENCES) == [
        "random",
        "never",
        "always",
        "zscore",
        "median_mad",
        "grafana_robust",
        "kmeans_vote",
        "random_cut_forest",
    ]
    assert all(reference.name == name and reference.boundary for name, reference in REFERENCES.items())


@every
@given(
    cut=st.integers(1, 199),
    seed=st.integers(0, 3),
    later=st.sampled_from([np.nan, np.inf, -1e300, 0.0, 130.0]),
)
@settings(max_examples=5)
def test_no_score_depends_on_later_values(reference, cut, seed, later):
    values = calm(2, 200, seed)
    changed = values.copy()
    changed[:, cut:] = later
    before, after = reference.detect(case_of(values), seed), reference.detect(case_of(changed), seed)
    np.testing.assert_array_equal(before[:, :cut], after[:, :cut])


@every
def test_the_same_seed_gives_the_same_scores(reference):
    case = case_of(calm(2, 300))
    np.testing.assert_array_equal(reference.detect(case, 7), reference.detect(case, 7))


ODD = {
    "one instant": np.array([[5.0]]),
    "all missing": np.full((2, 300), np.nan),
    "constant": np.full((1, 300), 0.1),
    "zero": np.zeros((1, 300)),
    "negative": -calm(1, 300),
    "huge": np.where(np.arange(300) % 7, 1e300, -1e300)[None],
    "infinite": np.where(np.arange(300) % 50, 1.0, np.inf)[None],
    "tiny": np.where(np.arange(300) % 3, 1e-310, 3e-308)[None],
    "two values": np.where(np.arange(300) % 2, 1.0, 2.0)[None],
    "gaps": np.where(np.random.default_rng(3).random((3, 300)) < 0.3, np.nan, calm(3, 300)),
    "missing at first": np.where(np.arange(300) < 200, np.nan, calm(2, 300)),
    "a spike of 1e200": np.where(np.arange(300) == 150, 1e200, calm(1, 300)),
}


@every
@pytest.mark.parametrize("values", ODD.values(), ids=ODD)
def test_scores_lie_between_0_and_1_or_are_missing_whatever_comes(reference, values):
    scores = reference.detect(case_of(values), 1)
    assert scores.shape == values.shape
    assert scores.dtype == np.float64
    assert ((scores >= 0) & (scores <= 1) | np.isnan(scores)).all()


@every
def test_a_case_is_left_as_it_was(reference):
    values = calm(2, 200)
    before = values.copy()
    reference.detect(case_of(values), 1)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("interval", [60.0, 300.0, 3600.0])
@pytest.mark.parametrize("name", THAT_LOOK)
def test_a_planted_fault_has_the_highest_score_of_all(name, interval):
    """It lasts 45 instants, so that the median of an hour moves too, and may be seen until its end is smoothed over.

    Chance puts the highest score there in 1 of 13 cases.
    """
    values = calm(2, 1200)
    values[1, 1000:1045] += 250.0
    judged = case_score(REFERENCES[name].detect(case_of(values, interval), 1))[200:]
    assert 800 <= int(np.nanargmax(judged)) < 875
    assert np.nanmax(judged) >= 0.5


@pytest.mark.parametrize("name", THAT_LOOK)
def test_a_calm_series_is_below_the_boundary_nearly_always(name):
    scores = REFERENCES[name].detect(case_of(calm(1, 2000)), 1)
    assert np.nanmean(scores[:, 300:] >= 0.5) < 0.01


@pytest.mark.parametrize("name", THAT_LOOK)
def test_series_of_a_case_do_not_influence_each_other(name):
    """In a forest they share the draws, so that there it is the series as a whole that has to stay alike."""
    alone = case_of(calm(1, 400))
    beside = case_of(np.vstack((calm(1, 400), calm(1, 400, seed=2, middle=1e6))))
    one, other = (REFERENCES[name].detect(case, 1)[0] for case in (alone, beside))
    if name == "random_cut_forest":
        assert np.nanmax(np.abs(one - other)) < 0.2
    else:
        np.testing.assert_array_equal(one, other)


def test_random_looks_at_nothing_and_draws_anew_for_each_seed_and_case():
    detect = REFERENCES["random"].detect
    scores = detect(case_of(calm(2, 5000)), 1)
    assert scores.mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(scores, detect(case_of(np.full((2, 5000), np.nan)), 1))
    assert not np.array_equal(scores, detect(case_of(calm(2, 5000)), 2))
    assert not np.array_equal(scores, detect(case_of(calm(2, 5000), name="another"), 1))


def test_never_is_0_and_always_is_1():
    case = case_of([[1.0, np.nan, 3.0]])
    assert REFERENCES["never"].detect(case, 1).tolist() == [[0.0, 0.0, 0.0]]
    assert REFERENCES["always"].detect(case, 1).tolist() == [[1.0, 1.0, 1.0]]


def test_a_case_scores_as_its_oddest_series_does():
    scores = np.array([[0.2, np.nan, np.nan], [0.7, 0.1, np.nan]])
    np.testing.assert_array_equal(case_score(scores), [0.7, 0.1, np.nan])


def test_scores_are_a_half_at_the_boundary_and_1_at_infinity():
    np.testing.assert_array_equal(half_at(np.array([0.0, 3.0, np.inf, np.nan]), 3.0), [0.0, 0.5, 1.0, np.nan])


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=2, unique=True))
def test_more_oddness_never_scores_less(pair):
    low, high = half_at(np.array(sorted(pair)), 3.0)
    assert 0 <= low <= high < 1


def test_values_without_bounds_are_cut():
    np.testing.assert_array_equal(bounded(np.array([-np.inf, 1e200, 5.0, np.nan])), [-1e150, 1e150, 5.0, np.nan])


@every
def test_uneven_times_are_taken(reference):
    steps = np.random.default_rng(4).choice([60.0, 300.0, 7200.0], size=400)
    values = calm(1, 400)
    values[0, 300:330] = 500.0
    scores = reference.detect(case_of(values, times=START + np.cumsum(steps)), 1)
    assert ((scores >= 0) & (scores <= 1) | np.isnan(scores)).all()
