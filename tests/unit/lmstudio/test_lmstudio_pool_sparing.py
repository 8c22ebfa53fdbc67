"""Questions that nobody needs go by servers whose model they would load, or keep loaded longer than the user wants."""

import threading
from dataclasses import replace

import pytest
from pool_bench import MODEL, PREDICTION, QUESTION, Gate, benches, eventually, fail_with

from exporter.lmstudio.lane import LAST_SECONDS


@pytest.fixture
def bench():
    yield from benches()


def describe(one, name, **changes):
    """Let a server's model be something else from the next poll on."""
    poller = one.pollers[name]
    poller.health = replace(poller.health, models=(replace(MODEL, **changes),))
    one.poll()


def submit(one, job, on_expired=lambda: pytest.fail("a job expired")):
    return one.pool.submit(job, patience_seconds=60.0, on_expired=on_expired, sparing=True)


@pytest.mark.parametrize(
    ("settings", "changes", "spared"),
    [
        pytest.param({}, {}, False, id="a model that stays"),
        pytest.param({}, {"ttl_remaining_seconds": 3000.0}, True, id="a model that is to be unloaded"),
        pytest.param(
            {"probe": {"keep_loaded": True}}, {"ttl_remaining_seconds": 3000.0}, False, id="one that may be kept loaded"
        ),
        pytest.param(
            {"probe": {"keep_loaded": True}},
            {"ttl_remaining_seconds": LAST_SECONDS},
            True,
            id="one that is as good as gone",
        ),
        pytest.param({"model": "m", "load": True}, {"loaded": False}, True, id="one that the question would load"),
        pytest.param({}, {"loaded": None}, True, id="one of which nothing is known"),
        pytest.param({}, {"loaded": None, "context_length": 4096}, False, id="one whose running context is told"),
    ],
)
def test_who_is_spared(bench, settings, changes, spared):
    one = bench(desk=settings)
    describe(one, "desk", **changes)
    assert one.pool.usable()
    assert one.pool.spares() is spared
    done = threading.Event()
    assert submit(one, lambda _session: done.set()) is not spared
    if not spared:
        assert done.wait(20)


def test_nobody_is_spared_where_nobody_could_be_asked(bench):
    one = bench()
    one.pollers["desk"].down()
    one.poll()
    assert not one.pool.spares()
    assert not submit(one, lambda _session: None)


def test_another_server_takes_the_question_and_jobs_that_wait_behind_it_are_not_held_up(bench):
    one = bench(temporary={}, lasting={})
    describe(one, "temporary", ttl_remaining_seconds=3000.0)
    busy = Gate()
    assert submit(one, busy)
    assert busy.started.wait(20)
    assert busy.server == "lasting"
    spared, other = Gate(), Gate()
    assert submit(one, spared)
    assert one.submit(other)
    assert other.started.wait(20)
    assert (other.server, spared.started.is_set()) == ("temporary", False)
    busy.open.set()
    assert spared.started.wait(20)
    assert spared.server == "lasting"
    for gate in (spared, other):
        gate.open.set()


def test_it_does_not_move_to_a_model_that_is_to_be_unloaded_when_its_server_fails(bench):
    one = bench(temporary={}, lasting={})
    describe(one, "temporary", ttl_remaining_seconds=3000.0)
    one.clients["lasting"].behaviour = fail_with("unreachable")
    ended = threading.Event()

    def job(session):
        try:
            session.ask(QUESTION)
        finally:
            ended.set()

    assert submit(one, job)
    assert ended.wait(20)
    assert (len(one.clients["lasting"].calls), one.clients["temporary"].calls) == (1, [])
    one.clients["lasting"].behaviour = lambda: PREDICTION
    eventually(lambda: one.pool.running() == {"temporary": 0, "lasting": 0})
