"""What the user says about series is applied before they are scored."""

import numpy as np
import pytest
from screening_support import INSTANTS, kinds, noise, screened

from exporter.config.model import Selection
from exporter.screening.policy import policy_of


def spiked(amount, rows=5):
    values = noise(rows)
    values[:, -1] += amount
    return values


def test_each_series_has_the_policy_of_its_entry():
    policy = policy_of(
        [
            Selection(series="a", direction="below", min_change="5%", band=True),
            Selection(series="b", min_change="2.5", valid_min=0.0),
            Selection(series="c", direction="above", valid_max=1.0, for_="5m"),
        ],
        np.array([2, 0, 0, 1]),
    )
    assert policy.direction.tolist() == [1, -1, -1, 0]
    assert policy.min_change_relative.tolist() == [0, 0.05, 0.05, 0]
    assert policy.min_change_absolute.tolist() == [0, 0, 0, 2.5]
    assert policy.valid_min.tolist() == [-np.inf, -np.inf, -np.inf, 0.0]
    assert policy.valid_max.tolist() == [1.0, np.inf, np.inf, np.inf]
    assert policy.for_seconds.tolist() == [300.0, 0, 0, 0]
    assert policy.band.tolist() == [False, True, True, False]
    assert policy.rows(slice(1, 3)).direction.tolist() == [-1, -1]
    assert policy.rows(slice(0, 2)).for_seconds.tolist() == [300.0, 0]


@pytest.mark.parametrize(
    ("direction", "amount", "kind"),
    [
        ("both", 100, "spike"),
        ("both", -100, "drop"),
        ("above", 100, "spike"),
        ("above", -100, None),
        ("below", 100, None),
        ("below", -100, "drop"),
    ],
)
def test_only_the_wanted_direction_counts(direction, amount, kind):
    result = screened(spiked(amount), direction=direction)
    assert kinds(result) == [kind] * 5
    if kind is None:
        assert result.score.max() < 0.3


@pytest.mark.parametrize(
    ("direction", "matter"),
    [("both", [True, True, False]), ("above", [True, False, False]), ("below", [False, True, False])],
)
def test_an_infinite_change_matters_in_its_direction_and_an_unknown_one_never(direction, matter):
    policy = policy_of([Selection(series="a", direction=direction, min_change="5%")], np.zeros(3, np.intp))
    change = np.array([[np.inf], [-np.inf], [np.nan]])
    assert policy.matters(change, np.ones((3, 1)))[:, 0].tolist() == matter


@pytest.mark.parametrize(("direction", "shift"), [("above", -60), ("below", 60)])
def test_a_level_shift_in_the_other_direction_does_not_count(direction, shift):
    values = noise(5)
    values[:, -30:] += shift
    assert screened(values, direction=direction).score.max() < 0.3
    assert screened(values).score.min() > 0.5


@pytest.mark.parametrize(
    ("min_change", "found"), [("80%", True), ("130%", False), ("80", True), ("130", False), ("0", True)]
)
def test_a_change_smaller_than_the_smallest_that_matters_does_not_count(min_change, found):
    score = screened(spiked(100), min_change=min_change).score
    assert (score > 0.5).tolist() == [found] * 5


def test_a_constant_may_move_by_less_than_the_smallest_change_that_matters():
    values = np.full((1, INSTANTS), 8.0)
    values[0, -1] = 9.0
    assert screened(values).score[0] > 0.5
    assert screened(values, min_change="2").score[0] == 0.0


def test_a_freeze_is_neither_above_nor_below_but_going_to_zero_is_below():
    frozen, stopped = noise(5), noise(5)
    frozen[:, -10:] = frozen[:, -10, None]
    stopped[:, -10:] = 0.0
    assert set(kinds(screened(frozen))) == {"flatline"}
    assert set(kinds(screened(frozen, direction="below"))) == {None}
    assert set(kinds(screened(stopped, direction="below"))) == {"flatline"}
    assert set(kinds(screened(stopped, direction="above"))) == {None}


def test_an_absent_series_is_missing_whatever_the_direction():
    values = noise(3)
    values[1:, -6:] = np.nan
    assert kinds(screened(values, direction="below", min_change="50%")) == [None, "missing", "missing"]


def test_a_value_outside_the_valid_range_scores_high_whatever_the_history_says():
    always = np.full((1, INSTANTS), 1.5)
    assert screened(always).score[0] == 0.0
    above, below = screened(always, valid_max=1.0), screened(-always, valid_min=-1.0)
    assert above.score[0] > 0.95
    assert below.score[0] > 0.95
    assert (kinds(above), kinds(below)) == (["spike"], ["drop"])
    assert above.evidence(0)[0].detector == "valid range"


def test_a_value_outside_the_valid_range_needs_no_history():
    result = screened([[0.5, 1.5]], valid_max=1.0)
    assert result.score[0] > 0.95
    assert kinds(result) == ["spike"]
    assert [fact.text for fact in result.evidence(0)] == [
        "1.5 is above 1, the highest value that the configuration calls valid"
    ]


def test_values_outside_the_valid_range_do_not_teach_the_baseline():
    values = noise(5)
    values[:, 10:200:20] = -1000.0
    values[:, -1] -= 60
    assert set(kinds(screened(values))) == {None}
    result = screened(values, valid_min=0.0)
    assert set(kinds(result)) == {"drop"}
    assert (result.expected_lower > 0).all()
