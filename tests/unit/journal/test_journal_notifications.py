"""Notifications in the journal: what is a repeat, what is still to be sent, what survives."""

import pytest

from exporter.journal.notifications import AlertState
from exporter.journal.store import IN_MEMORY_RECORDS, Journal

FIRES = AlertState("f1", "firing", "2026-01-01T00:00:00Z")
ENDED = AlertState("f1", "resolved", "2026-01-01T00:00:00Z")
LATER = AlertState("f1", "firing", "2026-01-02T00:00:00Z")
OTHER = AlertState("f2", "firing", "2026-01-01T00:00:00Z")


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "j.db")
    yield journal
    journal.close()


def take(journal, *alerts, at=1000.0, group="g", payload="{}", pending=True):
    return journal.notifications.take(
        group_key=group,
        status=alerts[0].status,
        at=at,
        payload=payload,
        alerts=alerts,
        repeat_after=900.0,
        pending=pending,
    )


@pytest.mark.parametrize(
    ("first", "second", "at", "standings"),
    [
        ([FIRES], [FIRES], 1000.0, ("repeat",)),
        ([FIRES], [FIRES], 1899.0, ("repeat",)),
        ([FIRES], [FIRES], 1900.0, ("reminder",)),
        ([FIRES], [ENDED], 1001.0, ("new",)),
        ([ENDED], [FIRES], 1001.0, ("new",)),
        ([FIRES], [LATER], 1001.0, ("new",)),
        ([FIRES], [FIRES, OTHER], 1001.0, ("repeat", "new")),
        ([FIRES, OTHER], [FIRES], 1001.0, ("repeat",)),
    ],
)
def test_what_a_second_notification_is(journal, first, second, at, standings):
    assert take(journal, *first).standings == ("new",) * len(first)
    taken = take(journal, *second, at=at)
    assert taken.standings == standings
    assert (taken.number is None) == (set(standings) == {"repeat"})


def test_groups_are_apart(journal):
    take(journal, FIRES)
    assert take(journal, FIRES, group="h").standings == ("new",)


def test_a_reminder_begins_a_new_time_of_repeats(journal):
    take(journal, FIRES)
    assert take(journal, FIRES, at=1900.0).standings == ("reminder",)
    assert take(journal, FIRES, at=2000.0).standings == ("repeat",)


def test_the_life_of_a_notification(journal):
    store = journal.notifications
    number = take(journal, FIRES, payload='{"a": 1.50}').number
    assert [stored.number for stored in store.pending()] == [number]
    assert store.payload(number) == ('{"a": 1.50}', None)
    store.settle(number, {"lmwatch_summary": "s"})
    assert store.payload(number) == ('{"a": 1.50}', {"lmwatch_summary": "s"})
    store.explained(number, "ok", "v1")
    store.forwarded(number, "done")
    assert store.pending() == []
    (stored,) = store.list(5)
    assert (stored.triage, stored.verdict, stored.forward, stored.at) == ("ok", "v1", "done", 1000.0)
    assert store.verdict_of("g", 1000.0) == "v1"
    assert store.verdict_of("g", 1000.1) is None
    assert store.verdict_of("h", 0.0) is None
    assert store.payload(99) is None


def test_what_is_on_disk_is_there_after_a_restart_also_without_a_close(tmp_path):
    first = Journal(tmp_path / "j.db")
    number = take(first, FIRES, payload="p").number
    second = Journal(tmp_path / "j.db")
    assert [(stored.number, stored.forward) for stored in second.notifications.pending()] == [(number, "pending")]
    assert take(second, FIRES, at=1001.0).standings == ("repeat",)
    second.close()
    first.close()


def test_what_is_still_to_be_sent_is_never_pruned(journal):
    pending, done = take(journal, FIRES).number, take(journal, OTHER).number
    journal.notifications.forwarded(done, "done")
    journal.prune(5000.0)
    assert [stored.number for stored in journal.notifications.list(5)] == [pending]
    assert take(journal, FIRES, at=1001.0).standings == ("new",), "its last state was forgotten"


def test_in_memory_the_oldest_that_are_done_with_give_way():
    journal = Journal(None)
    first = take(journal, FIRES, group="first").number
    for number in range(IN_MEMORY_RECORDS + 10):
        take(journal, FIRES, group=str(number), pending=False)
    kept = journal.notifications.list(5000)
    assert len(kept) == IN_MEMORY_RECORDS + 1
    assert kept[-1].number == first
    journal.close()


def test_the_newest_of_each_group_is_found(journal):
    take(journal, FIRES, at=1.0, group="old", payload="0")
    take(journal, FIRES, at=1000.0, payload="1")
    take(journal, ENDED, at=1001.0, payload="2")
    take(journal, FIRES, at=1002.0, group="h", payload="3")
    assert sorted(journal.notifications.newest_of_groups(900.0)) == ["2", "3"]
