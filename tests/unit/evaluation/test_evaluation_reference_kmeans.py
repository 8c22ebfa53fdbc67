"""Two clusters a series, and the vote of models of the past."""

import numpy as np
import pytest
from eval_reference_cases import calm, case_of
from hypothesis import given
from hypothesis import strategies as st

from exporter.evaluation.reference.kmeans import fit
from exporter.evaluation.reference.kmeans_vote import kmeans_vote


def column(*numbers):
    return np.array([[[number] for number in numbers]], dtype=np.float64)


def test_centres_are_the_means_of_both_clusters_and_oddness_spans_what_was_learned():
    """Centres 1 and 11: 2 and 10 are 5 away on average, 0 and 12 are 6, 14 is 8, and 1 is 5."""
    model = fit(column(0, 2, 10, 12), fewest=2)
    assert model.centres.tolist() == [[[1.0], [11.0]]]
    assert (model.nearest.tolist(), model.farthest.tolist()) == ([5.0], [6.0])
    assert model.oddness(column(2, 0, 14, 1)).tolist() == [[0.0, 1.0, 3.0, 0.0]]


def test_distances_are_euclidean():
    model = fit(np.array([[[0.0, 0.0], [3.0, 4.0]]]), fewest=2)
    assert model.distance(np.array([[[0.0, 0.0], [3.0, 0.0]]])).tolist() == [[2.5, 3.5]]


def test_vectors_with_a_gap_teach_nothing_and_have_no_oddness():
    model = fit(column(np.nan, 0, 2, np.nan, 10, 12), fewest=4)
    assert model.centres.tolist() == [[[1.0], [11.0]]]
    assert np.isnan(model.oddness(column(np.nan))).all()


def test_too_few_vectors_give_no_model():
    assert np.isnan(fit(column(np.nan, 0, 2), fewest=3).oddness(column(0, 50))).all()


def test_a_series_that_did_not_move_finds_nothing_odd():
    assert fit(column(0, 0, 0), fewest=2).oddness(column(0, 50)).tolist() == [[0.0, 0.0]]


def test_one_outlier_does_not_become_a_cluster():
    """Of 201 vectors the farthest is not where the second centre starts, and two real clusters hold it."""
    numbers = [0.0, 1.0] * 50 + [10.0, 11.0] * 50 + [21.0]
    assert fit(column(*numbers), fewest=2).centres.ravel().tolist() == pytest.approx([0.5, (50 * 21 + 21) / 101])


@given(st.lists(st.lists(st.floats(-100, 100), min_size=8, max_size=8), min_size=1, max_size=4))
def test_each_series_is_learned_as_if_it_were_alone(rows):
    vectors = np.array(rows)[:, :, None]
    together = fit(vectors, fewest=2)
    for row in range(len(rows)):
        alone = fit(vectors[row : row + 1], fewest=2)
        np.testing.assert_allclose(together.centres[row], alone.centres[0])


def scores_of(values, interval=300.0):
    return kmeans_vote(case_of(values, interval), 1)


def test_there_is_no_score_until_a_model_has_learned_and_where_one_of_nine_values_is_missing():
    """At one value in 5 minutes a model learns from 144 instants, and the first comes after half of them."""
    values = calm(1, 300)
    values[0, 200] = np.nan
    assert np.flatnonzero(np.isnan(scores_of(values)[0])).tolist() == [*range(72), *range(200, 209)]


def test_a_jump_is_called_odd_by_all_models():
    values = calm(1, 1000)
    values[0, 900:] += 200.0
    scores = scores_of(values)[0]
    assert scores[900:903].max() > 0.8
    assert np.mean(scores[72:900] >= 0.5) < 0.01


@pytest.mark.parametrize(("earlier", "odd"), [(None, True), (600, False), (100, True)])
def test_what_one_model_of_the_past_knows_is_not_odd_until_it_is_forgotten(earlier, odd):
    """A model each 72 instants, 18 of them: they look back over 18 · 72 + 72 instants."""
    values = calm(1, 1700)
    values[0, 1600:1610] += 200.0
    if earlier is not None:
        values[0, earlier : earlier + 10] += 202.0
    assert bool(scores_of(values)[0, 1598:1615].max() > 0.55) is odd


def test_a_metric_that_was_constant_is_never_odd():
    values = np.full((1, 400), 7.0)
    values[0, 300:] = 9.0
    assert np.nanmax(scores_of(values)[0, :301]) == 0.0


def test_scores_are_means_of_5_minutes():
    """A spike is in the vectors of 9 instants; at one value a minute the mean of 5 is whole for 5 of them."""
    values = calm(1, 1000, spread=1.0)
    values[0, 900] += 1e6
    scores = scores_of(values, 60.0)[0]
    assert scores[904:909].min() > 0.99
    assert np.diff(scores[899:905]).tolist() == pytest.approx([0.15] * 5, abs=0.05)
    assert scores[913:950].max() < 0.5
