"""The journal keeps what it acknowledged, finds it again, and survives what happens to files and processes."""

import contextlib
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from exporter.errors import ConfigError, TransientError
from exporter.journal.database import Database
from exporter.journal.schema import STEPS
from exporter.journal.store import IN_MEMORY_RECORDS, Brief, Event, Journal, Record

ROOT = Path(__file__).parents[3]


def record(number, *, watch="health", at=None, outcome="ok", **document):
    return Record(
        id=f"v{number}",
        watch=watch,
        group=(("instance", f"host-{number}"), ("job", "node")),
        at=float(number) if at is None else at,
        outcome=outcome,
        document={"number": number, **document},
    )


def ids(records):
    return [found.id for found in records]


@pytest.fixture(params=["file", "memory"])
def journal(request, tmp_path):
    with contextlib.closing(Journal(tmp_path / "j.db" if request.param == "file" else None)) as opened:
        yield opened


@pytest.fixture
def path(tmp_path):
    return tmp_path / "j.db"


def open_journal(path):
    return contextlib.closing(Journal(path))


def test_a_record_comes_back_as_it_was_put(journal):
    put = record(1, text='quotes " and \n newlines', numbers=[1, 2.5, None, True], nested={"a": {"b": "ü"}})
    journal.put(put)
    assert journal.get("v1") == put
    assert journal.list(watch=None, since=None, limit=10, before=None) == [put]


def test_an_unknown_id_has_no_record(journal):
    assert journal.get("nobody") is None


def test_a_group_without_labels_is_kept(journal):
    put = Record(id="a", watch="w", group=(), at=1.0, outcome="ok", document={})
    journal.put(put)
    assert journal.get("a") == put


def test_a_record_with_a_known_id_replaces_the_old_one(journal):
    journal.put(record(1, outcome="timeout"))
    journal.put(record(1, outcome="ok", more=True))
    assert journal.list(limit=10) == [record(1, outcome="ok", more=True)]


def test_the_newest_come_first_whatever_the_order_of_writing(journal):
    for number in (3, 1, 5, 2, 4):
        journal.put(record(number))
    assert ids(journal.list(limit=10)) == ["v5", "v4", "v3", "v2", "v1"]


def test_of_one_moment_the_last_written_comes_first(journal):
    for number in (1, 2, 3):
        journal.put(record(number, at=7.0))
    assert ids(journal.list(limit=10)) == ["v3", "v2", "v1"]


def test_lists_can_be_narrowed_to_a_watch_and_a_time(journal):
    for number in range(6):
        journal.put(record(number, watch="even" if number % 2 == 0 else "odd"))
    assert ids(journal.list(watch="even", limit=10)) == ["v4", "v2", "v0"]
    assert ids(journal.list(since=3.0, limit=10)) == ["v5", "v4", "v3"]
    assert ids(journal.list(watch="odd", since=2.0, limit=1)) == ["v5"]
    assert journal.list(watch="neither", limit=10) == []
    assert journal.list(limit=0) == []


def test_records_are_found_by_the_server_that_was_asked(journal):
    for number, server in enumerate(("desk", "attic", "desk")):
        journal.put(record(number, server=server))
    journal.put(record(3))
    assert ids(journal.list(server="desk")) == ["v2", "v0"]
    assert ids(journal.list(server="desk", since=1.0)) == ["v2"]
    assert journal.list(server="gone") == []


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_pages_follow_each_other_without_gap_or_repetition(journal, size):
    """Also where many records are of one moment, and while newer ones arrive."""
    for number in range(9):
        journal.put(record(number, at=float(number // 4)))
    seen, before = [], None
    while page := journal.list(watch="health", limit=size, before=before):
        seen += ids(page)
        before = page[-1].id
        journal.put(record(1000 + len(seen), at=99.0))
    assert seen == [f"v{number}" for number in range(8, -1, -1)]


def test_after_a_record_that_is_gone_there_are_no_more_pages(journal):
    journal.put(record(1))
    assert journal.list(limit=10, before="pruned") == []


def test_pruning_forgets_what_is_older_and_counts_it(journal):
    for number in range(5):
        journal.put(record(number))
    assert journal.prune(3.0) == 3
    assert ids(journal.list(limit=10)) == ["v4", "v3"]
    assert journal.prune(3.0) == 0


def test_states_are_replaced_and_read_back(journal):
    assert journal.get_state("alerts") is None
    journal.put_state("alerts", {"a": 1})
    journal.put_state("alerts", {"a": [2, None]})
    assert journal.get_state("alerts") == {"a": [2, None]}


@pytest.mark.parametrize("document", [{"a": float("nan")}, {"a": object()}])
def test_a_document_that_is_no_json_is_refused_and_nothing_is_written(journal, document):
    with pytest.raises((ValueError, TypeError)):
        journal.put(Record(id="a", watch="w", group=(), at=1.0, outcome="ok", document=document))
    assert journal.get("a") is None


def test_in_memory_the_newest_thousand_are_kept():
    with open_journal(None) as journal:
        for number in range(IN_MEMORY_RECORDS + 5):
            journal.put(record(number))
        kept = journal.list(limit=2 * IN_MEMORY_RECORDS)
    assert (len(kept), kept[0].id, kept[-1].id) == (IN_MEMORY_RECORDS, f"v{IN_MEMORY_RECORDS + 4}", "v5")


def test_records_outlive_the_program(path):
    with open_journal(path) as journal:
        journal.put(record(1))
        journal.put_state("alerts", [1])
    with open_journal(path) as journal:
        assert journal.get("v1") == record(1)
        assert journal.get_state("alerts") == [1]


def test_threads_can_write_and_read_at_the_same_time(journal):
    failures = []

    def work(writer):
        try:
            for number in range(25):
                journal.put(record(f"{writer}-{number}", at=float(number)))
                assert journal.get(f"v{writer}-{number}") is not None
                journal.list(watch="health", limit=5)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(journal.list(limit=1000)) == 100


WRITER = """
import sys
from pathlib import Path
from exporter.journal.store import Journal, Record
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    journal.put(Record(f"v{number}", "w", (("a", "b"),), float(number), "ok", {"number": number, "text": "x" * 3000}))
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("acknowledged", [1, 40])
def test_a_killed_program_loses_nothing_that_was_acknowledged(path, acknowledged):
    """SIGKILL while it writes: every record whose `put` returned is there, and the next one can be put."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as writer:
        for _ in range(acknowledged):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
    last = max([acknowledged - 1, *(int(line) for line in rest[:-1])])
    with open_journal(path) as journal:
        found = {kept.document["number"] for kept in journal.list(limit=100_000)}
        assert set(range(last + 1)) <= found
        journal.put(record(1))
    assert not list(path.parent.glob("*damaged*"))


def damage_header(path):
    path.write_bytes(b"this is no database" * 100)


def damage_pages(path):
    content = bytearray(path.read_bytes())
    content[4096 : 3 * 4096] = os.urandom(2 * 4096)
    path.write_bytes(content)


def cut_short(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut_short])
def test_a_damaged_file_is_moved_aside_and_a_fresh_one_begun(path, damage, caplog):
    with open_journal(path) as journal:
        for number in range(50):
            journal.put(record(number, text="x" * 2000))
    damage(path)
    damaged = path.read_bytes()
    with caplog.at_level(logging.ERROR), open_journal(path) as journal:
        assert journal.list(limit=10) == []
        journal.put(record(1))
        assert journal.get("v1") == record(1)
    aside = path.with_name("j.db.damaged-1")
    assert aside.read_bytes()[: len(damaged)] == damaged
    assert [entry.fields["moved_to"] for entry in caplog.records] == [str(aside)]


def test_damage_that_shows_while_running_does_not_stop_the_program(path, caplog):
    """The write that met the damage goes to the new file; a second damage gets a second name."""
    with open_journal(path) as journal:
        for expected in (1, 2):
            for number in range(30):
                journal.put(record(number, text="x" * 2000))
            with contextlib.closing(sqlite3.connect(path)) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            damage_pages(path)
            with caplog.at_level(logging.ERROR):
                journal.put(record(100))
                assert ids(journal.list(limit=50)) == ["v100"]
            assert path.with_name(f"j.db.damaged-{expected}").exists()


def test_every_write_reaches_the_disk_before_it_is_acknowledged(path):
    """A lost power supply cannot be tried here; SQLite promises it for this mode."""
    with open_journal(path) as journal:
        assert journal._database._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert journal._database._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_schema_has_a_version(path):
    with open_journal(path), contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (len(STEPS),)


def test_the_journal_of_a_newer_lmwatch_is_left_alone(path):
    with open_journal(path) as journal:
        journal.put(record(1))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(ConfigError, match=f"written by a newer lmwatch .schema {len(STEPS) + 1}"):
        Journal(path)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM verdicts").fetchone() == (1,)


def test_the_database_of_another_program_is_left_alone(path):
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE dashboards (id INTEGER)")
    with pytest.raises(ConfigError, match="another program's database"):
        Journal(path)
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("dashboards",)]


def test_a_path_where_no_file_can_be_is_a_mistake_of_the_configuration(tmp_path):
    path = tmp_path / "not-there" / "j.db"
    with pytest.raises(ConfigError, match="unable to open database file; is its folder there, and writable"):
        Journal(path)
    assert not path.parent.exists()


def test_a_failed_write_is_an_error_that_may_pass(path):
    """Another program holds the database: the error names the file, and the record can be put later."""
    with open_journal(path) as journal:
        journal._database._connection.execute("PRAGMA busy_timeout = 1")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(TransientError, match=r"journal .*j\.db: database is locked"):
                journal.put(record(1))
            other.execute("ROLLBACK")
        journal.put(record(1))
        assert journal.get("v1") == record(1)


def test_closing_twice_does_nothing_and_a_closed_journal_says_so(path):
    journal = Journal(path)
    journal.close()
    journal.close()
    with pytest.raises(TransientError, match="closed database"):
        journal.put(record(1))


def test_a_record_cannot_be_changed():
    with pytest.raises(AttributeError):
        record(1).outcome = "other"


def test_documents_are_kept_as_readable_json(path):
    with open_journal(path) as journal:
        journal.put(record(1, text="a"))
    with contextlib.closing(sqlite3.connect(path)) as other:
        (document,) = other.execute("SELECT document FROM verdicts").fetchone()
    assert json.loads(document) == {"number": 1, "text": "a"}


def event(number, server="desk"):
    return Event(server, "unloaded", float(number), {"number": number, "reason": "ttl"})


def test_events_come_back_newest_first_and_by_server(journal):
    for put in (event(1), event(3), event(2, "attic")):
        journal.put_event(put)
    assert journal.events() == [event(3), event(2, "attic"), event(1)]
    assert journal.events(server="desk", limit=1) == [event(3)]
    assert journal.events(since=2.0) == [event(3), event(2, "attic")]


def test_events_are_pruned_with_the_verdicts(journal):
    journal.put_event(event(1))
    journal.put_event(event(5))
    journal.put(record(1))
    assert journal.prune(2.0) == 1
    assert journal.events() == [event(5)]


def test_events_in_memory_are_bounded():
    with open_journal(None) as journal:
        for number in range(IN_MEMORY_RECORDS + 5):
            journal.put_event(event(number))
        assert len(journal.events(limit=IN_MEMORY_RECORDS * 2)) == IN_MEMORY_RECORDS
        assert journal.events(limit=1) == [event(IN_MEMORY_RECORDS + 4)]


def test_a_journal_of_an_earlier_version_is_brought_up_to_date_with_all_it_holds(path):
    Database(path, STEPS[:1]).close()
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.execute("INSERT INTO states VALUES ('kept', '1')")
    with open_journal(path) as journal:
        assert journal.get_state("kept") == 1
    with contextlib.closing(sqlite3.connect(path)) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert now.execute("SELECT count(*) FROM alerts").fetchone() == (0,)


def test_lists_can_be_narrowed_to_an_outcome_and_to_what_is_anomalous(journal):
    for number, score in enumerate((0.2, 0.5, 0.51, None, 0.9)):
        journal.put(record(number, outcome="timeout" if score is None else "ok", group_score=score))
    assert ids(journal.list(above=0.5)) == ["v4", "v2"]
    assert ids(journal.list(outcome="timeout")) == ["v3"]
    assert ids(journal.list(above=0.5, before="v4", watch="health")) == ["v2"]


def test_verdicts_in_short_come_without_their_documents(journal):
    findings = [{"llm_score": 0.3, "kind": "drop"}, {"llm_score": 0.8, "kind": "spike"}, {"llm_score": None}]
    journal.put(record(1, group_score=0.7, findings=findings))
    journal.put(record(2))
    assert journal.briefs() == [
        Brief("v2", "health", record(2).group, 2.0, "ok", None, ""),
        Brief("v1", "health", record(1).group, 1.0, "ok", 0.7, "spike"),
    ]
    assert [brief.id for brief in journal.briefs(watch="health", since=2.0)] == ["v2"]
    assert journal.briefs(watch="other") == []
    assert len(journal.briefs(limit=1)) == 1


def test_verdicts_of_an_earlier_version_are_found_by_their_score_too(path):
    document = json.dumps({"group_score": 0.8, "findings": [{"kind": "drift"}]})
    Database(path, STEPS[:2]).close()
    with contextlib.closing(sqlite3.connect(path)) as old, old:
        old.execute("INSERT INTO verdicts VALUES (1, 'v1', 'w', '[]', 1.0, 'ok', ?)", (document,))
    with open_journal(path) as journal:
        assert journal.briefs() == [Brief("v1", "w", (), 1.0, "ok", 0.8, "drift")]
        assert ids(journal.list(above=0.5)) == ["v1"]
