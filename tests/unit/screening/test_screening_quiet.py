"""In its quiet hours a series is marked as quiet: those of its entry, or else those of the watch."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config.model import Selection, Watch
from exporter.screening.policy import policy_of

NIGHT = ["02:00-04:30"]
SUNDAY = [{"weekdays": ["sunday"], "location": "Europe/Berlin"}]


def entry(quiet_hours=None):
    return Selection.model_validate(
        {"series": "load"} if quiet_hours is None else {"series": "load", "quiet_hours": quiet_hours}
    )


def hours(written):
    return Watch.model_validate({"name": "a", "source": "b", "select": ["up"], "quiet_hours": written}).quiet_hours


def at(moment):
    return datetime.fromisoformat(moment).timestamp()


def test_without_quiet_hours_no_series_is_ever_quiet():
    policy = policy_of([entry(), entry([])], np.array([0, 1, 0]))
    assert (policy.quiet.tolist(), policy.quiet_sets) == ([-1, -1, -1], ())
    assert policy.quiet_at(at("2027-05-09T03:00Z")).tolist() == [False] * 3


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2027-05-09T01:00Z", [False, True, False]),  # Sunday
        ("2027-05-09T03:00Z", [True, True, False]),
        ("2027-05-10T03:00Z", [True, False, False]),
        ("2027-05-10T04:30Z", [False, False, False]),
    ],
)
def test_an_entry_takes_the_hours_of_the_watch_its_own_or_none(moment, quiet):
    policy = policy_of([entry(), entry(SUNDAY), entry([])], np.array([0, 1, 2]), hours(NIGHT))
    assert policy.quiet_at(at(moment)).tolist() == quiet


def test_quiet_is_while_any_of_the_intervals_holds():
    policy = policy_of([entry()], np.array([0]), hours([*NIGHT, *SUNDAY]))
    moments = ["2027-05-09T12:00Z", "2027-05-10T03:00Z", "2027-05-10T12:00Z"]
    assert [policy.quiet_at(at(moment)).tolist() for moment in moments] == [[True], [True], [False]]


def test_series_of_one_watch_are_loud_again_at_different_times_when_the_clocks_change():
    """02:00 to 04:30 in Berlin ends at 02:30 UTC on the day that begins summer time, in New York two weeks earlier."""
    policy = policy_of([entry(["02:00-04:30 Europe/Berlin"]), entry(["02:00-04:30 America/New_York"])], np.arange(2))
    assert policy.quiet_at(at("2027-03-14T08:29Z")).tolist() == [False, True]
    assert policy.quiet_at(at("2027-03-14T08:30Z")).tolist() == [False, False]
    assert policy.quiet_at(at("2027-03-28T02:29Z")).tolist() == [True, False]
    assert policy.quiet_at(at("2027-03-28T02:30Z")).tolist() == [False, False]


def test_equal_hours_are_kept_once_however_they_are_written():
    written = {"times": [{"start_time": "02:00", "end_time": "04:30"}], "location": "UTC"}
    policy = policy_of([entry(), entry([written]), entry(SUNDAY), entry([])], np.array([3, 2, 1, 0, 0]), hours(NIGHT))
    assert len(policy.quiet_sets) == 2
    assert policy.quiet.tolist() == [-1, 1, 0, 0, 0]


def test_some_rows_keep_their_own_hours():
    policy = policy_of([entry(NIGHT), entry(SUNDAY), entry()], np.array([2, 1, 0, 1]))
    sunday = at("2027-05-09T12:00Z")
    assert policy.quiet_at(sunday).tolist() == [False, True, False, True]
    assert policy.rows(slice(1, 3)).quiet_at(sunday).tolist() == [True, False]
    assert policy.rows(np.array([3, 0])).quiet_at(sunday).tolist() == [True, False]


def test_no_series_are_no_marks():
    marks = policy_of([entry(NIGHT)], np.empty(0, dtype=np.intp)).quiet_at(at("2027-05-09T03:00Z"))
    assert (marks.shape, marks.dtype) == ((0,), np.bool_)


HOURS = st.lists(
    st.sampled_from([*NIGHT, *SUNDAY, "mon-fri 22:00-06:00", {"days_of_month": ["-3:-1"]}, {"months": ["may"]}]),
    max_size=3,
)


@given(
    of_watch=HOURS,
    of_entries=st.lists(st.none() | HOURS, min_size=1, max_size=5),
    time=st.integers(int(at("2027-01-01T00:00Z")), int(at("2028-01-01T00:00Z"))),
    data=st.data(),
)
def test_marks_are_what_each_series_alone_would_have(of_watch, of_entries, time, data):
    select = np.array(data.draw(st.lists(st.integers(0, len(of_entries) - 1), max_size=12)), dtype=np.intp)
    marks = policy_of([entry(each) for each in of_entries], select, hours(of_watch)).quiet_at(float(time))
    own = [hours(of_watch if each is None else each) for each in of_entries]
    assert marks.tolist() == [any(interval.holds(time) for interval in own[place]) for place in select]
