"""What a ruler recorded is judged as what is remembered here is, and the shipped rules use the same numbers."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screening_support import LENGTHS, baseline_with, names, past_of

from exporter.config.model import Selection
from exporter.screening.baseline import Settings
from exporter.screening.beyond import _BOUNDARY, _MOST, _WORTH, beyond
from exporter.screening.groups import group_rows
from exporter.screening.past import TRUSTED_DAYS
from exporter.screening.policy import policy_of
from exporter.screening.recorded import Closer, recorded_scores, screen_recorded, worth_a_look
from exporter.screening.screen import screen
from exporter.screening.tails import score_of
from exporter.series.frame import Frame
from exporter.series.labels import Series

RULES = (Path(__file__).parents[3] / "rules" / "screening.rules.yml").read_text()
INTERVAL = 300.0
DISTANCE = st.floats(-2.0, 2.0).filter(lambda distance: distance == 0 or abs(distance) > 1e-6)


def rule(record):
    """The expression of a recording rule, on one line."""
    (expression,) = re.findall(rf"- record: {record}\n\s+expr: >-\n((?:\s{{10,}}.*\n)+)", RULES)
    return " ".join(expression.split())


def test_the_rules_count_with_the_numbers_of_the_screen():
    expression = rule("lmwatch:input:beyond")
    counted = re.findall(r"clamp_max\(abs\(.*?\) / ([\d.]+), (\d+)\)", expression)
    assert [float(worth) for worth, _ in counted] == _WORTH.tolist()
    assert {float(most) for _, most in counted} == {_MOST}
    trusted, boundary = re.search(r"clamp_max\(.*days14d\[2h\]\) \+ 1\) / (\d+), 1\) / ([\d.]+)$", expression).groups()
    assert (float(trusted), float(boundary)) == (TRUSTED_DAYS + 1, _BOUNDARY)


def recorded_of(distances, days, policy, settings=None, closer=True):
    """One series whose values and means were between 0 and 10, and are now beyond by so many ranges of 10."""
    distances = np.array(distances, dtype=np.float64)[:, None]
    present = np.where(distances > 0, 10 + 10 * distances, np.where(distances < 0, 10 * distances, 5.0))
    steps = np.minimum(np.abs(distances[:, 0]) / _WORTH, _MOST)
    sign = next((np.sign(one) for one in distances[:, 0].tolist() if one), 0.0)
    total = sign * steps.sum() * min((days + 1) / (TRUSTED_DAYS + 1), 1) / _BOUNDARY
    frame = Frame("t", names(1), np.zeros(1, np.intp), np.array([1.7e9]), np.array([[total]]), INTERVAL)
    ends = np.zeros((LENGTHS, 1)), np.full((LENGTHS, 1), 10.0)
    one = [np.array([number]) for number in (10.0, 5.0, days)]
    near = Closer(np.array([0]), present, *ends, distances, *one)
    if not closer:
        near = Closer.of_nothing(np.empty(0, np.intp))
    nothing = Frame("t", (), frame.select[:0], np.empty(0), np.empty((0, 0)), INTERVAL)
    windows = screen(nothing, policy.rows(slice(0)))
    kept = np.empty(0, np.intp)
    result = screen_recorded(frame, policy, settings or Settings(), near, windows=windows, window_rows=kept)
    return result, present[:, 0]


@given(
    distances=st.tuples(DISTANCE, DISTANCE, DISTANCE),
    hours=st.integers(24, 24 * 14),
    selection=st.sampled_from([{}, {"direction": "above"}, {"direction": "below"}, {"min_change": "12"}]),
)
def test_the_same_figures_give_the_same_score_kind_and_words_as_a_history_kept_here(distances, hours, selection):
    policy = policy_of([Selection(series="load", **selection)], np.zeros(1, dtype=np.intp))
    result, present = recorded_of(distances, hours / 24, policy)
    past = past_of(hours=hours, means=present[1:])
    baseline = baseline_with(past, [[present[0]]], **selection)
    detection = beyond(baseline)
    np.testing.assert_allclose(result.score, score_of(detection.log_tail, baseline.boundary), atol=1e-9)
    np.testing.assert_allclose(result.lasting, score_of(detection.lasting, baseline.boundary), atol=1e-9)
    if result.score[0] >= 0.5:
        assert result.kind[0] == detection.kind[0]
    words = detection.words(0, "")
    assert [fact.text for fact in result.evidence(0)] == ([words] if words else [])


@given(distances=st.tuples(DISTANCE, DISTANCE, DISTANCE), days=st.floats(1, 14))
def test_the_recorded_sum_alone_gives_the_same_score(distances, days):
    policy = policy_of([Selection(series="load")], np.zeros(1, dtype=np.intp))
    closer, _ = recorded_of(distances, days, policy)
    alone, _ = recorded_of(distances, days, policy, closer=False)
    np.testing.assert_allclose(alone.score, closer.score, atol=1e-9)


def test_sensitivity_moves_the_boundary_as_it_does_for_the_screen():
    policy = policy_of([Selection(series="load")], np.zeros(1, dtype=np.intp))
    for days in (1.0, 30.0, 365.0):
        result, _ = recorded_of((0.3, 0.1, 0.0), 14.0, policy, Settings(sensitivity_days=days))
        oddness = (0.3 / 0.2 + 0.1 / 0.15) / 3.2 / (days / 30) ** 0.85
        assert result.score[0] == pytest.approx(oddness / (1 + oddness))


def test_what_is_not_known_has_no_score_and_infinite_distances_have_the_highest():
    policy = policy_of([Selection(series="load", direction="above")], np.zeros(4, dtype=np.intp))
    found = recorded_scores(np.array([np.nan, -np.inf, np.inf, -5.0]), policy, Settings(), 60.0)
    assert np.isnan(found[0])
    assert found[1] == found[2] > 0.95
    assert found[3] == 0.0


@pytest.mark.parametrize("direction", ["both", "above"])
def test_a_newest_value_that_is_infinite_counts_for_the_most(direction):
    policy = policy_of([Selection(series="load", direction=direction)], np.zeros(1, dtype=np.intp))
    result, _ = recorded_of((np.inf, 0.0, 0.0), 14.0, policy)
    oddness = _MOST / _BOUNDARY
    assert result.score[0] == pytest.approx(oddness / (1 + oddness))
    assert "now +Inf, above the highest of the last 14 d" in result.evidence(0)[0].text


def grouped(groups):
    return group_rows(tuple(Series("x", (("g", group), ("n", str(n)))) for n, group in enumerate(groups)), ["g"])


def test_of_a_group_with_something_suspicious_the_oddest_are_looked_at():
    score = np.array([0.1, 0.9, 0.3, 0.2, 0.4, np.nan])
    assert worth_a_look(score, grouped("ababab"), 0.5, 2).tolist() == [1, 3]
    assert worth_a_look(score, grouped("ababab"), 0.5, 3).tolist() == [1, 3, 5]
    assert worth_a_look(score, grouped("ababab"), 0.95, 3).tolist() == []
    assert worth_a_look(np.empty(0), grouped(""), 0.5, 3).tolist() == []


def test_in_a_storm_no_more_than_500_are_looked_at_and_they_are_the_oddest():
    score = np.linspace(0.5, 0.9, 5000)
    assert worth_a_look(score, grouped([str(n % 500) for n in range(5000)]), 0.5, 24).tolist() == [*range(4500, 5000)]
