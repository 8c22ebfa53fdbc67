"""Beyond all that the last days saw: how much it counts, by hand, and what was seen before counts no more."""

import numpy as np
import pytest
from screening_support import MIDNIGHT, baseline_with, followed, kinds, noise, past_of, screened

from exporter.screening.beyond import (
    _BOUNDARY,
    _MOST,
    _WORTH,
    beyond,
)
from exporter.screening.past import LEAST_SLOTS
from exporter.screening.result import KINDS
from exporter.screening.strange import MOST_STRANGE, strangeness

NEWEST, HOURLY, SIX = range(3)


def oddness(detection, baseline):
    """How many boundaries it counts."""
    return (detection.log_tail / baseline.boundary).tolist()


def counted(excesses, days=14.0):
    """The sum by hand: excesses in ranges of the newest value and of the means."""
    steps = sum(min(excess / worth, _MOST) for excess, worth in zip(excesses, _WORTH.tolist(), strict=True))
    return steps * min((days + 1) / 11, 1) / _BOUNDARY


@pytest.mark.parametrize(
    ("newest", "means", "excesses"),
    [
        pytest.param(5.0, (5, 5), (0, 0, 0), id="in the middle"),
        pytest.param(10.0, (10, 10), (0, 0, 0), id="at the end of what was seen"),
        pytest.param(11.0, (5, 5), (0.1, 0, 0), id="the newest value a tenth of the range above"),
        pytest.param(-1.0, (5, 5), (0.1, 0, 0), id="the same below"),
        pytest.param(1e6, (5, 5), (1e5, 0, 0), id="however high a flash goes, it counts at most so much"),
        pytest.param(5.0, (11, 10.5), (0, 0.1, 0.05), id="the means alone"),
        pytest.param(12.0, (11, 11), (0.2, 0.1, 0.1), id="all of them"),
        pytest.param(12.0, (-1, np.nan), (0.2, 0.1, 0), id="in different directions, some not known"),
    ],
)
def test_excesses_are_counted_in_steps_and_added(newest, means, excesses):
    baseline = baseline_with(past_of(means=means), [[newest]])
    assert oddness(beyond(baseline), baseline) == pytest.approx([counted(excesses)])


@pytest.mark.parametrize("days", [1, 2, 5, 14, 60])
def test_a_longer_history_is_trusted_more(days):
    baseline = baseline_with(past_of(hours=24 * days), [[11.0]])
    assert oddness(beyond(baseline), baseline) == pytest.approx([counted((0.1, 0, 0), days)])


def test_a_history_of_less_than_a_day_says_nothing():
    for hours, silent in ((LEAST_SLOTS - 1, True), (LEAST_SLOTS, False)):
        baseline = baseline_with(past_of(hours=hours), [[1000.0]])
        detection = beyond(baseline)
        assert (oddness(detection, baseline) == [0.0]) == silent
        assert (detection.words(0, "") is None) == silent


@pytest.mark.parametrize(
    ("newest", "means", "kind"),
    [
        (30.0, (5, 5), "spike"),
        (-30.0, (5, 5), "drop"),
        (5.0, (30, 5), "spike"),
        (5.0, (5, 30), "level_shift"),
        (5.0, (5, -30), "level_shift"),
    ],
)
def test_what_goes_on_for_hours_is_a_level(newest, means, kind):
    detection = beyond(baseline_with(past_of(means=means), [[newest]]))
    assert KINDS[detection.kind[0]] == kind


_AS_HOUR = 0.1 / _WORTH[1] * _WORTH[2]
"""Of six hours, what counts as much as a tenth of the range does of the last hour."""


@pytest.mark.parametrize(
    ("newest", "means", "goes_on"),
    [
        pytest.param(5.0, (5, 30), (0, 0, 0), id="six hours whose last one is calm have passed"),
        pytest.param(5.0, (11, 30), (0, 0.1, _AS_HOUR), id="six hours count no more than the last hour does"),
        pytest.param(5.0, (30, 11), (0, 2, 0.1), id="an hour farther out than six adds nothing to them"),
        pytest.param(5.0, (-1, -20), (0, 0.1, _AS_HOUR), id="the same below"),
        pytest.param(5.0, (-1, 30), (0, 0.1, 0), id="six hours above have passed when the last one is below"),
        pytest.param(5.0, (np.nan, 30), (0, 0, 2), id="an hour that is not known has not passed"),
        pytest.param(12.0, (5, 5), (0.2, 0, 0), id="the newest value is always of now"),
    ],
)
def test_six_hours_last_no_longer_than_their_last_hour_does(newest, means, goes_on):
    baseline = baseline_with(past_of(means=means), [[newest]])
    detection = beyond(baseline)
    assert (detection.lasting / baseline.boundary).tolist() == pytest.approx([counted(goes_on)])
    assert (detection.lasting >= detection.log_tail).all()


def test_of_the_judged_values_the_farthest_counts():
    baseline = baseline_with(past_of(2), [[11.0, 12.0, 5.0], [5.0, -1.0, np.nan]], judged=3)
    assert oddness(beyond(baseline), baseline) == pytest.approx([counted((0.2, 0, 0)), counted((0.1, 0, 0))])


@pytest.mark.parametrize(
    ("selection", "newest", "counts"),
    [
        ({"direction": "above"}, 12.0, True),
        ({"direction": "above"}, -2.0, False),
        ({"direction": "below"}, 12.0, False),
        ({"direction": "below"}, -2.0, True),
        ({"min_change": "6"}, 12.0, True),
        ({"min_change": "8"}, 12.0, False),
        ({"min_change": "130%"}, 12.0, True),
        ({"min_change": "150%"}, 12.0, False),
    ],
)
def test_what_does_not_matter_to_the_user_does_not_count(selection, newest, counts):
    """The smallest change is measured from the median of the history, which is 5."""
    baseline = baseline_with(past_of(), [[newest]], **selection)
    assert oddness(beyond(baseline), baseline) == pytest.approx([counted((0.2, 0, 0)) if counts else 0.0])


@pytest.mark.parametrize(("offset", "scale"), [(1.7e9, 3600.0), (1e-300, 1e-302), (-1e299, 1e298), (0.0, 1.0)])
def test_the_size_of_the_values_makes_no_difference(offset, scale):
    past = past_of(offset=offset, scale=scale)
    baseline = baseline_with(past, [[offset + 12.0 * scale]])
    assert oddness(beyond(baseline), baseline) == pytest.approx([counted((0.2, 0, 0))], rel=1e-4)


def test_the_words_tell_what_counts_most_with_its_numbers():
    past = past_of(scale=2.0, offset=100.0, means=(5, 11))
    assert beyond(baseline_with(past, [[110.0]])).words(0, "bytes") == (
        "the mean of the last 6 hours is 122 B, above the highest of the last 14 d (120) by 0.1 times the usual range"
    )
    assert beyond(baseline_with(past_of(), [[-2.5]])).words(0, "") == (
        "now -2.5, below the lowest of the last 14 d (0) by 0.25 times the usual range"
    )
    assert beyond(baseline_with(past_of(), [[5.0]])).words(0, "") is None


@pytest.mark.parametrize(
    ("interval", "span"),
    [
        pytest.param(900.0, "6 hours", id="several values an hour"),
        pytest.param(3600.0, "6 hours", id="a value an hour"),
        pytest.param(5400.0, "9 hours", id="a value each hour and a half"),
        pytest.param(7200.0, "12 hours", id="a value each two hours"),
    ],
)
def test_the_words_name_the_span_that_was_averaged(interval, span):
    """A level that has just stood for six slots, each an hour or one interval."""
    slots = max(interval, 3600.0)
    values = noise(1, round(14 * 24 * 3600.0 / interval))
    values[0, -round(6 * slots / interval) :] = 116.0
    last = followed(values, interval=interval).results[-1]
    texts = [fact.text for fact in last.evidence(0) if fact.detector == "beyond"]
    assert len(texts) == 1
    assert texts[0].startswith(f"the mean of the last {span} is ")


def test_rows_are_judged_apart():
    baseline = baseline_with(past_of(3), [[5.0], [12.0], [-1.0]])
    assert oddness(beyond(baseline), baseline) == pytest.approx([counted((excess, 0, 0)) for excess in (0, 0.2, 0.1)])


def test_a_fault_seen_before_is_calm_the_second_time():
    """Hours; the faults of 3 hours come two days apart, after a week."""
    values = noise(4, 12 * 24)
    values[:, 168:171] += 200
    values[:, 216:219] += 200
    result = followed(values)
    assert result.alarm[:, 168].all()
    assert not result.alarm[:, 210:].any()


def test_a_fault_higher_than_the_one_before_is_an_anomaly_again():
    values = noise(4, 12 * 24)
    values[:, 168:171] += 200
    values[:, 216:219] += 900
    assert followed(values).alarm[:, 216:219].any(axis=1).all()


def test_days_of_history_find_what_a_window_of_hours_takes_for_normal():
    """A slow rise of days to twice of all that was seen: each window by itself is a calm trend."""
    values = noise(1, 14 * 24)
    values[0, 240:] += np.linspace(0, 100, 96)
    result = followed(values)
    assert result.alarm[0, 240:].any()
    assert kinds(screened(values[:, -24:], interval=3600.0)) == [None]


@pytest.mark.parametrize(
    ("newest", "adds"),
    [
        (5.0, 0.0),
        (5.0 + 3 * 2.0, 0.0),
        (5.0 + 6 * 2.0, np.log(2)),
        (5.0 - 30 * 2.0, np.log(10)),
        (1e300, MOST_STRANGE),
        (np.nan, 0.0),
    ],
)
def test_strangeness_is_the_logarithm_of_a_deviation_over_three(newest, adds):
    assert strangeness(baseline_with(past_of(), [[newest]])) == pytest.approx([adds])


def test_strangeness_knows_each_side_for_itself_and_what_the_user_wants():
    past = past_of(2, up=1.0, down=10.0)
    assert strangeness(baseline_with(past, [[17.0], [-7.0]])) == pytest.approx([np.log(4), 0.0])
    assert strangeness(baseline_with(past, [[17.0], [17.0]], direction="below")).tolist() == [0.0, 0.0]


def test_strangeness_goes_by_the_window_while_the_history_is_short():
    values = noise(3, 240, middle=100, spread=5)
    values[:, -1] = [100.0, 150.0, 1000.0]
    calm, odd, odder = screened(values).strangeness
    assert calm == 0
    assert np.log(2) < odd < odder <= MOST_STRANGE
    assert screened(values[:, -3:]).strangeness.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("spread", "adds"),
    [
        pytest.param(3.0, 0.0, id="as in most hours"),
        pytest.param(6.0, 0.0, id="3 deviations more"),
        pytest.param(33.0, np.log(10) / 2, id="30 deviations more count half of what a value so far away counts"),
        pytest.param(1e300, MOST_STRANGE / 2, id="at most half of the most"),
        pytest.param(0.0, 0.0, id="a calmer hour"),
    ],
)
def test_an_hour_spread_wider_than_most_is_strange(spread, adds):
    hour = 5.0 + np.linspace(-0.5, 0.5, 12) / 0.8 * spread
    far = past_of(hour_range=3.0, hour_range_up=1.0, up=np.inf, down=np.inf)
    assert strangeness(baseline_with(far, hour)) == pytest.approx([adds])


def test_an_hour_is_not_judged_by_less_than_half_of_it():
    hour = np.repeat([0.0, 1000.0], 6)
    past = past_of(up=np.inf, down=np.inf)
    known, unknown = hour.copy(), hour.copy()
    known[1:7] = np.nan
    unknown[1:8] = np.nan
    assert (strangeness(baseline_with(past, [known, unknown])) > 0).tolist() == [True, False]


def test_a_spread_hour_is_strange_whatever_the_direction_but_not_for_less_than_matters():
    hour, past = np.tile([0.0, 100.0], 6), past_of(up=np.inf, down=np.inf)
    assert strangeness(baseline_with(past, hour, direction="below")) > 0
    assert strangeness(baseline_with(past, hour, min_change=200)).tolist() == [0.0]


def test_the_history_is_told_beside_what_the_window_says():
    values = noise(1, 10 * 24)
    values[0, -1] = 500.0
    result = followed(values, times=MIDNIGHT + 3600.0 * np.arange(240)).results[-1]
    said = {fact.detector: fact.text for fact in result.evidence(0)}
    assert said["beyond"].startswith("now 500, above the highest of the last 10 d (")
    assert result.expected_upper[0] < 200
