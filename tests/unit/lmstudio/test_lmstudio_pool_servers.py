"""Several servers: who takes a job, what happens to a job whose server fails, and that one of them slows nobody."""

import threading
from dataclasses import replace

import pytest
from lmstudio_fake import OPENAI_CHAT, V0_CHAT, V1_LIST, answer, json_reply, reset, serving
from pool_bench import MODEL, PREDICTION, QUESTION, Gate, Recorder, benches, eventually, fail_with, run

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.lmstudio.failures import FAILURES, ModelFailure
from exporter.lmstudio.pool import make_pool


@pytest.fixture
def bench():
    yield from benches()


def describe(one, name, **changes):
    """Let a server's model be something else from the next poll on."""
    poller = one.pollers[name]
    poller.health = replace(poller.health, models=(replace(MODEL, **changes),))
    one.poll()


# ---- who takes a job


@pytest.mark.parametrize(
    "busy", [{"status": "generating"}, {"status": "processing_prompt"}, {"queued_requests": 3}, {"status": "loading"}]
)
def test_a_server_that_others_keep_busy_gets_the_job_last(bench, busy):
    """As the websocket tells. It is not passed over where no other one is free."""
    one = bench(here={}, there={})
    describe(one, "here", **busy)
    gates = [Gate() for _ in range(2)]
    for gate in gates:
        one.submit(gate)
        assert gate.started.wait(20)
    assert [gate.server for gate in gates] == ["there", "here"]
    for gate in gates:
        gate.open.set()


def test_of_two_busy_ones_that_with_less_in_line_is_taken(bench):
    one = bench(long={}, short={})
    describe(one, "long", queued_requests=5)
    describe(one, "short", queued_requests=2)
    seen = []
    for _ in range(10):
        run(one, lambda session: seen.append(session.server))
    assert seen == ["short"] * 10


def test_our_own_jobs_are_spread_over_servers_that_take_several(bench):
    one = bench(here={"max_parallel": 4}, there={"max_parallel": 4})
    gates = [Gate() for _ in range(6)]
    for gate in gates:
        one.submit(gate)
        assert gate.started.wait(20)
    assert one.pool.running() == {"here": 3, "there": 3}
    for gate in gates:
        gate.open.set()


def test_no_server_is_left_idle_while_jobs_wait(bench):
    """However busy each one is: a preference is not a condition."""
    one = bench(a={"max_parallel": 2}, b={}, c={"max_parallel": 3})
    describe(one, "a", queued_requests=9)
    describe(one, "b", queued_requests=4)
    gates = [Gate() for _ in range(6)]
    for gate in gates:
        one.submit(gate)
    assert all(gate.started.wait(20) for gate in gates)
    assert one.pool.running() == {"a": 2, "b": 1, "c": 3}
    for gate in gates:
        gate.open.set()


def test_a_freer_server_that_goes_down_lets_the_others_have_the_job(bench):
    one = bench(start=False, busy={}, free={})
    describe(one, "busy", queued_requests=3)
    seen = []
    one.submit(lambda session: seen.append(session.server))
    one.pollers["free"].down()
    one.poll()
    one.pool.start()
    eventually(lambda: seen == ["busy"])


# ---- failover


ELSEWHERE = [
    reason for reason, row in FAILURES.items() if row.elsewhere and reason not in ("context_overflow", "grammar")
]


def asked(one, results):
    """A job that notes what came of its question, and who was asked at last."""

    def job(session):
        try:
            results.append((session.ask(QUESTION), session.server))
        except ModelFailure as failure:
            results.append((failure.reason, session.server))

    return run(one, job)


@pytest.mark.parametrize("reason", ELSEWHERE)
def test_what_another_server_may_do_is_asked_of_it(bench, reason):
    one = bench(bad={}, good={})
    describe(one, "good", queued_requests=1)
    one.clients["bad"].behaviour = fail_with(reason)
    results = []
    assert asked(one, results)
    assert results == [(PREDICTION, "good")]
    assert [(server, failure.reason) for server, _, _, failure in one.recorder.failures] == [("bad", reason)]
    assert len(one.recorder.predictions) == 1
    assert one.pool.running() == {"bad": 0, "good": 0}


@pytest.mark.parametrize("reason", sorted(set(FAILURES) - set(ELSEWHERE)))
def test_what_lies_in_the_question_stays_where_it_was_asked(bench, reason):
    one = bench(bad={}, good={})
    describe(one, "good", queued_requests=1)
    one.clients["bad"].behaviour = fail_with(reason)
    results = []
    asked(one, results)
    assert results == [(reason, "bad")]
    assert one.clients["good"].calls == []


def test_only_one_other_server_is_tried_and_its_failure_is_told(bench):
    one = bench(first={}, second={}, third={})
    describe(one, "second", queued_requests=1)
    describe(one, "third", queued_requests=2)
    one.clients["first"].behaviour = fail_with("unreachable")
    one.clients["second"].behaviour = fail_with("crashed")
    results = []
    asked(one, results)
    assert results == [("crashed", "second")]
    assert one.clients["third"].calls == []


def test_after_an_answer_a_job_stays_with_its_server(bench):
    """A second question may build on the first answer."""
    one = bench(bad={}, good={})
    describe(one, "good", queued_requests=1)
    seen = []

    def job(session):
        session.ask(QUESTION)
        one.clients["bad"].behaviour = fail_with("crashed")
        with pytest.raises(ModelFailure):
            session.ask(QUESTION)
        seen.append(session.server)

    run(one, job)
    assert seen == ["bad"]
    assert one.clients["good"].calls == []


def test_a_job_that_moved_stays_with_its_new_server(bench, clock):
    one = bench(clock, bad={"deadline": "60s"}, good={"deadline": "90s"})
    describe(one, "good", queued_requests=1, id="other", key="k")
    one.clients["bad"].behaviour = fail_with("unreachable")
    seen = []

    def job(session):
        clock.advance(50)
        for _ in range(2):
            session.ask(QUESTION)
        seen.append((session.server, session.model.id))

    run(one, job)
    assert seen == [("good", "other")]
    assert [(name, deadline) for name, deadline, _ in one.clients["bad"].calls] == [("m", 10)]
    assert [(name, deadline) for name, deadline, _ in one.clients["good"].calls] == [("other", 90)] * 2
    assert [model.id for *_, model in one.recorder.predictions] == ["other"] * 2


@pytest.mark.parametrize(
    ("here", "there", "moves"),
    [(4096, 8192, True), (4096, 4096, True), (8192, 4096, False), (8192, None, False), (None, 4096, True)],
)
def test_a_question_goes_only_where_there_is_room_for_it(bench, here, there, moves):
    one = bench(bad={}, good={})
    describe(one, "bad", context_length=here)
    describe(one, "good", context_length=there, queued_requests=1)
    one.clients["bad"].behaviour = fail_with("crashed")
    results = []
    asked(one, results)
    assert results == ([(PREDICTION, "good")] if moves else [("crashed", "bad")])


def test_a_server_that_is_full_takes_no_more(bench):
    one = bench(bad={}, good={})
    describe(one, "bad", queued_requests=1)
    gate = Gate()
    one.submit(gate)
    assert gate.started.wait(20)
    assert gate.server == "good"
    one.clients["bad"].behaviour = fail_with("crashed")
    results = []
    threading.Thread(target=asked, args=(one, results)).start()
    eventually(lambda: results == [("crashed", "bad")])
    gate.open.set()


def test_while_a_moved_job_runs_its_new_server_takes_no_more_than_it_may(bench):
    one = bench(bad={}, good={})
    describe(one, "good", queued_requests=1)
    one.clients["bad"].behaviour = fail_with("crashed")
    asking, release = threading.Event(), threading.Event()

    def slow():
        asking.set()
        assert release.wait(20)
        return PREDICTION

    one.clients["good"].behaviour = slow
    done, second = threading.Event(), Gate()
    one.submit(lambda session: (session.ask(QUESTION), done.set()))
    assert asking.wait(20)
    assert one.pool.running() == {"bad": 0, "good": 1}
    one.submit(second)
    assert one.pool.waiting() == 1
    release.set()
    assert done.wait(20)
    assert second.started.wait(20)
    second.open.set()


def test_a_server_cut_off_by_its_breaker_is_no_way_out(bench, clock):
    one = bench(clock, bad={}, open={})
    describe(one, "open", queued_requests=1)
    for _ in range(3):
        one.pool.lanes["open"].breaker.failed()
    assert one.pool.circuit_states() == {"bad": "closed", "open": "open"}
    one.clients["bad"].behaviour = fail_with("crashed")
    results = []
    asked(one, results)
    assert results == [("crashed", "bad")]


def test_a_moved_job_may_be_the_trial_of_a_server_that_comes_back(bench, clock):
    one = bench(clock, bad={}, back={})
    describe(one, "back", queued_requests=1)
    for _ in range(3):
        one.pool.lanes["back"].breaker.failed()
    clock.advance(10)
    one.poll()
    assert one.pool.circuit_states()["back"] == "half_open"
    one.clients["bad"].behaviour = fail_with("crashed")
    results = []
    asked(one, results)
    assert results == [(PREDICTION, "back")]
    assert one.pool.circuit_states()["back"] == "closed"


def test_a_job_that_asks_nothing_after_all_frees_its_trial(bench, clock):
    one = bench(clock, back={})
    for _ in range(3):
        one.pool.lanes["back"].breaker.failed()
    clock.advance(10)
    one.poll()
    assert run(one, lambda session: None)
    assert one.pool.usable()


def test_a_single_server_has_nowhere_to_go(bench):
    one = bench(only={})
    one.clients["only"].behaviour = fail_with("crashed")
    results = []
    asked(one, results)
    assert results == [("crashed", "only")]


def test_when_the_pool_stops_nothing_moves(bench):
    one = bench(bad={}, good={})
    describe(one, "good", queued_requests=1)
    asking, release = threading.Event(), threading.Event()

    def slow():
        asking.set()
        assert release.wait(20)
        raise ModelFailure("crashed")

    one.clients["bad"].behaviour = slow
    results = []

    def job(session):
        try:
            session.ask(QUESTION)
        except ModelFailure as failure:
            results.append(failure.reason)

    one.submit(job)
    assert asking.wait(20)
    stopping = threading.Thread(target=one.pool.stop, args=(20,))
    stopping.start()
    eventually(lambda: not one.submit(lambda session: None))
    release.set()
    stopping.join(20)
    assert results == ["crashed"]
    assert one.clients["good"].calls == []


# ---- nobody slows the others, and whoever comes back is used again


def test_a_poll_that_hangs_holds_up_neither_jobs_nor_the_polls_of_others(bench):
    one = bench(dead={}, alive={})
    polling, release = threading.Event(), threading.Event()
    health = one.pollers["dead"].health

    def hang():
        polling.set()
        assert release.wait(20)
        return replace(health, up=False, models=(), failure="timeout")

    one.pollers["dead"].poll = hang
    thread = threading.Thread(target=one.pool.poll, args=("dead",))
    thread.start()
    assert polling.wait(20)
    results = []
    for _ in range(5):
        one.pool.poll("alive")
        assert asked(one, results)
    assert [prediction for prediction, _ in results] == [PREDICTION] * 5
    release.set()
    thread.join(20)
    assert not one.pool.lanes["dead"].usable()


def test_a_server_that_comes_back_gets_jobs_again(bench):
    one = bench(flaky={}, steady={})
    describe(one, "steady", queued_requests=1)
    results = []
    asked(one, results)
    one.pollers["flaky"].down()
    one.poll()
    asked(one, results)
    one.pollers["flaky"].up()
    one.poll()
    asked(one, results)
    assert [server for _, server in results] == ["flaky", "steady", "flaky"]


V1_MODELS = {
    "models": [{"type": "llm", "key": "m", "loaded_instances": [{"id": "m", "config": {"context_length": 4096}}]}]
}


@pytest.fixture
def broken():
    """A second scripted server."""
    yield from serving()


def test_a_job_survives_the_death_of_its_server_on_real_sockets(fake, broken):
    """One server cuts every connection, the other answers: every question is answered."""
    for server in (fake, broken):
        server.always("GET", V1_LIST, json_reply(V1_MODELS))
    broken.always("POST", V0_CHAT, reset)
    fake.once("POST", V0_CHAT, answer(["yes"]))
    fake.always("POST", OPENAI_CHAT, answer(["yes"]))
    recorder, answered = Recorder(), []
    pool = make_pool(
        [Server(name=name, url=at.url, rpc="off") for name, at in (("broken", broken), ("fake", fake))],
        SystemClock(),
        on_prediction=recorder.listeners.on_prediction,
        on_failure=recorder.listeners.on_failure,
        on_poll=recorder.listeners.on_poll,
    )
    for name in pool.lanes:
        pool.poll(name)
    pool.start()
    for number in range(10):
        pool.submit(
            lambda session: answered.append(session.ask(QUESTION)), patience_seconds=20, on_expired=lambda: None
        )
        eventually(lambda number=number: len(answered) > number)
    pool.stop(20)
    assert {prediction.server for prediction in answered} == {"fake"}
    assert {failure.reason for *_, failure in recorder.failures} <= {"unreachable"}
