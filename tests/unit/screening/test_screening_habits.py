"""What a series' window shows again and again is its habit."""

import numpy as np
import pytest
from screening_support import followed, noise, past_of

from exporter.screening.habits import MARGIN, MARGIN_OF_ABSENCE, weight_of
from exporter.screening.past import LEAST_SLOTS, Past

BOUNDARY = -8.0
PLAIN = 8.0


@pytest.mark.parametrize(
    ("hours", "record", "demanded"),
    [
        pytest.param(0, 0.0, PLAIN, id="without history the boundary is what it is"),
        pytest.param(LEAST_SLOTS, 0.0, MARGIN * PLAIN, id="with a day of calm history, the margin"),
        pytest.param(14 * 24, 0.0, MARGIN * PLAIN, id="with more history no more than that"),
        pytest.param(14 * 24, 20.0, 20.0 + MARGIN * PLAIN, id="the record, and the margin on top"),
        pytest.param(LEAST_SLOTS / 2, 20.0, PLAIN / 2 + (20.0 + MARGIN * PLAIN) / 2, id="half known, half of both"),
        pytest.param(14 * 24, np.nan, MARGIN * PLAIN, id="a record that is not known is none"),
    ],
)
def test_a_surprise_reaches_the_boundary_where_it_reaches_what_is_demanded(hours, record, demanded):
    weight = weight_of(past_of(2, hours=hours, record=record), BOUNDARY)
    assert weight * demanded == pytest.approx([PLAIN, PLAIN])


def test_absence_and_standing_still_are_believed_with_a_margin_of_their_own():
    """Hourly history says nothing of them, so what is odd about them counts sooner."""
    past = past_of(record=20.0)
    weight = weight_of(past, BOUNDARY, MARGIN_OF_ABSENCE)
    assert weight * (20.0 + MARGIN_OF_ABSENCE * PLAIN) == pytest.approx([PLAIN])
    assert weight > weight_of(past, BOUNDARY)


def test_no_surprise_ever_counts_more_than_it_is():
    assert weight_of(Past.none(3), BOUNDARY).tolist() == [1.0, 1.0, 1.0]
    for hours in range(0, 50, 5):
        assert (weight_of(past_of(hours=hours), BOUNDARY) <= 1.0).all()


def test_a_nightly_oddness_is_an_anomaly_once_and_then_a_habit():
    """A backup at 2 o'clock doubles the load for half an hour; intervals of 15 minutes."""
    values = noise(1, 96 * 9)
    for day in range(3, 9):
        values[0, 96 * day + 8 : 96 * day + 10] += 100
    result = followed(values, interval=900.0)
    assert result.alarm[0, 96 * 3 + 8]
    assert not result.alarm[0, 96 * 5 :].any()


def test_oddness_that_is_no_habit_is_found_after_calm_days_too():
    values = noise(20, 96 * 4)
    values[:, -1] += 200
    assert followed(values, interval=900.0).alarm[:, -1].all()
