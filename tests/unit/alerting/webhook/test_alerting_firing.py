"""Which alerts fire, as a watch's model is told."""

import pytest
from webhook_cases import alert, notification

from exporter.alerting.firing import Firing
from exporter.clock import ManualClock

GROUP = (("instance", "a:1"),)


@pytest.fixture
def clock():
    return ManualClock(1000.0)


@pytest.fixture
def firing(clock):
    return Firing(clock)


def test_alerts_with_all_labels_of_the_group_are_told(firing):
    firing.note(notification(alert(), alert("DiskFull", severity="critical"), alert("Other", "b:1")))
    assert firing.words(GROUP) == (
        "Alerts firing now: HighLoad (warning), 'The load of a:1 is high.'; "
        "DiskFull (critical), 'The load of a:1 is high.'."
    )
    assert firing.words((*GROUP, ("job", "x"))) == ""


def test_a_group_without_labels_is_told_of_none(firing):
    firing.note(notification(alert()))
    assert firing.words(()) == ""


def test_what_is_resolved_is_no_longer_told(firing):
    firing.note(notification(alert()))
    firing.note(notification(alert(status="resolved")))
    assert firing.words(GROUP) == ""


def test_what_nobody_speaks_of_for_a_day_is_over(firing, clock):
    firing.note(notification(alert()))
    clock.advance(86_399)
    assert firing.words(GROUP)
    clock.advance(2)
    assert firing.words(GROUP) == ""


def test_our_own_alerts_are_not_told_to_the_model_that_caused_them(firing):
    firing.note(notification(alert("LMWatchAnomaly")))
    assert firing.words(GROUP) == ""


def test_many_alerts_are_told_in_few_words(firing):
    firing.note(notification(*(alert(f"A{number}") for number in range(50))))
    assert firing.words(GROUP).endswith("and 46 more.")
    assert len(firing.words(GROUP)) < 300


def test_memory_is_bounded(firing):
    for number in range(30):
        firing.note(notification(*(alert(f"A{each}") for each in range(500)), group=f"G{number}"))
    assert len(firing._alerts) == 10_000
