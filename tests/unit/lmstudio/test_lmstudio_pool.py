import threading

import pytest
from lmstudio_fake import OPENAI_CHAT, OPENAI_LIST, V0_CHAT, V1_LIST, answer, delta, hang, json_reply, stream
from pool_bench import (
    MODEL,
    PREDICTION,
    QUESTION,
    Bench,
    Gate,
    Recorder,
    ask_and_swallow,
    benches,
    eventually,
    fail_with,
    run,
)

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.pool import make_pool


@pytest.fixture
def bench():
    yield from benches()


# ---- queueing


def test_a_job_asks_the_servers_model_and_the_listener_hears_of_it(bench):
    one = bench()
    got = []
    assert one.submit(lambda session: got.append((session.server, session.model, session.ask(QUESTION))))
    eventually(lambda: got)
    assert got == [("desk", MODEL, PREDICTION)]
    assert one.recorder.predictions == [("analysis", PREDICTION, MODEL)]
    ((model, deadline, api),) = one.clients["desk"].calls
    assert (model, api) == ("m", "v1")
    assert 0 < deadline <= 120


def test_jobs_run_in_the_order_in_which_they_came(bench):
    one = bench()
    gate, seen = Gate(), []
    one.submit(gate)
    assert gate.started.wait(20)
    for number in range(10):
        assert one.submit(lambda session, number=number: seen.append(number))
    assert one.pool.waiting() == 10
    gate.open.set()
    eventually(lambda: len(seen) == 10)
    assert seen == list(range(10))


def test_as_many_jobs_run_at_once_as_the_server_takes(bench):
    one = bench(desk={"max_parallel": 3})
    gates = [Gate() for _ in range(4)]
    for gate in gates:
        one.submit(gate)
    eventually(lambda: sum(gate.started.is_set() for gate in gates) == 3)
    assert one.pool.running() == {"desk": 3}
    assert one.pool.waiting() == 1
    for gate in gates:
        gate.open.set()
    eventually(lambda: gates[3].started.is_set())
    eventually(lambda: one.pool.running() == {"desk": 0})


def test_a_full_queue_takes_no_more(bench):
    one = bench(desk={"queue_limit": 2})
    gate, seen = Gate(), []
    one.submit(gate)
    assert gate.started.wait(20)
    assert [one.submit(seen.append) for _ in range(4)] == [True, True, False, False]
    gate.open.set()
    eventually(lambda: len(seen) == 2)
    eventually(lambda: one.pool.running() == {"desk": 0})
    assert len(seen) == 2


def test_nothing_is_taken_before_the_first_poll_or_without_a_usable_server(bench):
    one = bench()
    fresh = Bench(SystemClock(), desk={})
    assert not fresh.pool.usable()
    assert not fresh.submit(lambda session: None)
    one.pollers["desk"].down()
    one.poll()
    assert not one.pool.usable()
    assert not one.submit(lambda session: None)


def test_a_job_that_waited_too_long_is_dropped(bench, clock):
    one = bench(clock)
    gate, dropped = Gate(), []
    one.submit(gate)
    assert gate.started.wait(20)
    one.submit(lambda session: pytest.fail("it should have expired"), patience=5, on_expired=lambda: dropped.append(1))
    one.submit(lambda session: dropped.append("kept"), patience=50)
    clock.advance(5)
    gate.open.set()
    eventually(lambda: len(dropped) == 2)
    assert dropped == [1, "kept"]


def test_while_all_threads_are_busy_a_poll_drops_what_expired(bench, clock):
    one = bench(clock)
    gate, dropped = Gate(), []
    one.submit(gate)
    assert gate.started.wait(20)
    one.submit(lambda session: None, patience=5, on_expired=lambda: dropped.append(1))
    clock.advance(5)
    one.poll()
    assert dropped == [1]
    gate.open.set()


def test_a_job_whose_server_goes_down_expires_without_any_poll(bench):
    one = bench(start=False)
    dropped = threading.Event()
    assert one.submit(lambda session: pytest.fail("the server is down"), patience=0.05, on_expired=dropped.set)
    one.pollers["desk"].down()
    one.poll()
    one.pool.start()
    assert dropped.wait(20)


def test_a_waiting_job_goes_to_whichever_server_is_free_first(bench):
    one = bench(near={}, far={})
    one.pollers["far"].down()
    one.poll()
    first, second = Gate(), Gate()
    one.submit(first)
    assert first.started.wait(20)
    looked = threading.Event()
    far = one.pool.lanes["far"]
    choose = far.choose_model

    def choose_and_tell():
        if threading.current_thread().name.startswith("lmwatch-ask-far"):
            looked.set()
        return choose()

    far.choose_model = choose_and_tell
    one.submit(second)
    assert looked.wait(20), "the far server's thread did not look at the job"
    one.pollers["far"].up()
    one.poll()
    assert second.started.wait(20)
    assert (first.server, second.server) == ("near", "far")
    for gate in (first, second):
        gate.open.set()


def test_what_a_job_raises_is_logged_and_the_thread_goes_on(bench, caplog):
    one = bench()
    seen = []
    one.submit(lambda session: 1 / 0)
    one.submit(seen.append)
    eventually(lambda: seen)
    assert "ZeroDivisionError" in caplog.text


def test_what_on_expired_raises_is_logged_and_the_rest_goes_on(bench, clock, caplog):
    one = bench(clock, start=False)
    seen = []
    one.submit(lambda session: None, patience=1, on_expired=lambda: 1 / 0)
    one.submit(lambda session: None, patience=1, on_expired=lambda: seen.append(1))
    clock.advance(1)
    one.poll()
    assert seen == [1]
    assert "ZeroDivisionError" in caplog.text


# ---- asking


def test_the_deadline_is_shared_by_all_calls_of_a_job(bench, clock):
    one = bench(clock, desk={"deadline": "2m"})
    seen = []

    def job(session):
        for _ in range(2):
            session.ask(QUESTION)
            clock.advance(70)
        with pytest.raises(ModelFailure) as caught:
            session.ask(QUESTION)
        seen.append(caught.value.reason)

    one.submit(job)
    eventually(lambda: seen)
    assert seen == ["timeout"]
    assert [deadline for _, deadline, _ in one.clients["desk"].calls] == [120, 50]
    assert one.recorder.failures == []


def test_a_failure_reaches_the_job_and_the_listener(bench):
    one = bench()
    one.clients["desk"].behaviour = fail_with("crashed")
    seen = []

    def job(session):
        try:
            session.ask(QUESTION)
        except ModelFailure as failure:
            seen.append(failure)

    one.submit(job)
    eventually(lambda: seen)
    assert one.recorder.failures == [("desk", "m", "analysis", seen[0])]
    assert one.recorder.predictions == []


def test_the_circuit_opens_after_failures_in_a_row_and_closes_after_a_poll_and_a_trial(bench, clock):
    one = bench(clock)
    one.clients["desk"].behaviour = fail_with("timeout")
    assert [run(one, ask_and_swallow) for _ in range(4)] == [True, True, True, False]
    assert one.pool.circuit_states() == {"desk": "open"}
    clock.advance(10)
    assert not one.pool.usable()
    one.poll()
    assert one.pool.circuit_states() == {"desk": "half_open"}
    one.clients["desk"].behaviour = lambda: PREDICTION
    assert run(one, ask_and_swallow)
    assert one.pool.circuit_states() == {"desk": "closed"}


def test_only_one_trial_runs_while_the_circuit_is_half_open(bench, clock):
    one = bench(clock, desk={"max_parallel": 4})
    one.clients["desk"].behaviour = fail_with("timeout")
    for _ in range(3):
        run(one, ask_and_swallow)
    clock.advance(10)
    one.poll()
    gates = [Gate(), Gate()]
    assert one.submit(gates[0])
    assert gates[0].started.wait(20)
    assert not one.submit(gates[1])
    gates[0].open.set()
    eventually(one.pool.usable)


def test_a_job_that_asks_nothing_uses_up_no_trial(bench, clock):
    one = bench(clock)
    one.clients["desk"].behaviour = fail_with("timeout")
    for _ in range(3):
        run(one, ask_and_swallow)
    clock.advance(10)
    one.poll()
    assert run(one, lambda session: None)
    assert run(one, lambda session: None)


def test_a_trial_that_ends_in_a_fault_of_ours_does_not_keep_the_circuit_half_open(bench, clock):
    one = bench(clock)
    one.clients["desk"].behaviour = fail_with("timeout")
    for _ in range(3):
        run(one, ask_and_swallow)
    clock.advance(10)
    one.poll()

    def broken():
        raise TypeError("a fault")

    one.clients["desk"].behaviour = broken
    assert run(one, ask_and_swallow)
    one.clients["desk"].behaviour = lambda: PREDICTION
    assert run(one, ask_and_swallow)
    assert one.pool.circuit_states() == {"desk": "closed"}


def test_a_server_that_fails_fast_does_not_draw_all_jobs(bench, clock):
    one = bench(clock, bad={}, good={})
    one.clients["bad"].behaviour = fail_with("unexpected_endpoint")
    for _ in range(40):
        assert run(one, ask_and_swallow)
    assert len(one.clients["bad"].calls) <= 3
    assert len(one.clients["good"].calls) >= 37


# ---- polls, and the end


def test_polls_are_told_and_do_not_wait_for_questions(bench):
    one = bench()
    gate = Gate()
    one.submit(gate)
    assert gate.started.wait(20)
    health = one.pool.poll("desk")
    assert one.recorder.polls[-1] is health is one.pool.lanes["desk"].health
    gate.open.set()
    with pytest.raises(KeyError):
        one.pool.poll("nobody")


def test_after_stop_nothing_is_taken_and_polls_are_not_told(bench):
    one = bench()
    one.pool.stop(20)
    told = len(one.recorder.polls)
    one.poll()
    assert len(one.recorder.polls) == told
    assert not one.submit(lambda session: None)
    one.pool.stop(20)


def test_stop_tells_those_who_wait(bench):
    one = bench(start=False)
    dropped = []
    one.submit(lambda session: pytest.fail("it should not run"), on_expired=lambda: dropped.append(1))
    one.pool.stop(20)
    assert dropped == [1]
    assert one.pool.waiting() == 0


V1_MODELS = {
    "models": [{"type": "llm", "key": "m", "loaded_instances": [{"id": "m", "config": {"context_length": 4096}}]}]
}


@pytest.fixture
def real(fake):
    """A pool on real sockets, with what its listeners heard."""
    fake.always("GET", V1_LIST, json_reply(V1_MODELS))
    recorder = Recorder()
    listeners = recorder.listeners
    pool = make_pool(
        [Server(name="desk", url=fake.url, max_parallel=2, rpc="off")],
        SystemClock(),
        on_prediction=listeners.on_prediction,
        on_failure=listeners.on_failure,
        on_poll=listeners.on_poll,
    )
    pool.poll("desk")
    pool.start()
    yield pool, recorder
    pool.stop(20)


def test_a_pool_on_real_sockets(fake, real):
    pool, recorder = real
    fake.once("POST", V0_CHAT, answer(["yes"]))
    fake.always("POST", OPENAI_CHAT, answer(["yes"]))
    texts = []
    for number in range(6):
        assert pool.submit(
            lambda session: texts.append(session.ask(QUESTION).text), patience_seconds=20, on_expired=lambda: None
        )
        eventually(lambda number=number: len(texts) > number)
    assert texts == ["yes"] * 6
    assert {(origin, model.id, model.context_length) for origin, _, model in recorder.predictions} == {
        ("analysis", "m", 4096)
    }
    assert OPENAI_LIST not in fake.paths()


def test_stop_cuts_off_calls_that_hang(fake, real):
    pool, recorder = real
    fake.always("POST", V0_CHAT, stream(delta("a"), hang))
    for _ in range(2):
        pool.submit(ask_and_swallow, patience_seconds=20, on_expired=lambda: None)
    eventually(lambda: fake.paths().count(V0_CHAT) == 2)
    pool.stop(20)
    assert [failure.reason for *_, failure in recorder.failures] == ["cancelled", "cancelled"]
    assert pool.running() == {"desk": 0}
    assert fake.broken.wait(20)
