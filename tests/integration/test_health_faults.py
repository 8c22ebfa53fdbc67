"""Everything that goes wrong with LM Studio ends in its class, in the right gauge or none, and is over when it is over."""

import threading

import pytest
from health_bench import MODEL, OF_A_LOADED_MODEL, PROBE, benches, engine, studios

from exporter.clock import ManualClock
from exporter.embedded.studio_faults import Fault

pytestmark = pytest.mark.integration


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def make_studio(clock):
    yield from studios(clock)


@pytest.fixture
def make_bench(clock):
    yield from benches(clock)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("hang", "timeout"),
        ("error_200", "unknown"),
        ("html_500", "server_error"),
        ("empty_stream", "empty_answer"),
        ("context_overflow", "context_overflow"),
        ("evicted", "no_model_loaded"),
        ("crashed", "crashed"),
        ("channel_error", "channel_error"),
        ("slot_timeout", "slot_timeout"),
        ("error_event", "server_error"),
        ("reset", "unreachable"),
        ("reset_mid_stream", "stream_cut"),
        ("unauthorized", "auth"),
    ],
)
def test_a_failed_prediction_is_classed_and_the_next_one_works(make_studio, make_bench, clock, kind, reason):
    studio = make_studio()
    bench = make_bench(desk=studio.url)
    bench.poll()
    # A connection that breaks before the first byte is tried once more, as one that LM Studio closed for being idle.
    studio.faults.inject(Fault(kind), times=2 if kind == "reset" else 1, route="/api/v0/chat")
    assert bench.probe() == "failed"
    assert bench.value("lmstudio_request_failures_total", **PROBE, reason=reason) == 1
    assert bench.value("lmstudio_requests_total", **PROBE) == 1
    assert bench.value("lmstudio_request_last_failure_timestamp_seconds", **PROBE, reason=reason) == clock.now()
    assert bench.value("lmstudio_tokens_per_second", **PROBE) is None, "a failure has no speed"
    studio.faults.clear()
    if kind in ("evicted", "crashed"):
        studio.load(MODEL)
    clock.advance(10)
    bench.poll()
    assert bench.probe() == "probed"
    assert bench.value("lmstudio_output_tokens_total", **PROBE) == 10
    assert bench.value("lmstudio_circuit_state") == 0


@pytest.mark.parametrize("kind", ["slow", "stub_reply", "wrong_model", "half_json"])
def test_what_is_odd_and_no_failure_is_an_answer(make_studio, make_bench, kind):
    studio = make_studio()
    bench = make_bench(desk=studio.url)
    bench.poll()
    studio.faults.inject(Fault(kind, first_byte_seconds=0.05), route="/api/v0/chat")
    assert bench.probe() == "probed"
    (prediction,) = bench.predictions
    assert prediction.model == ("some-other-model" if kind == "wrong_model" else MODEL)
    assert (prediction.output_tokens or 0) > 0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("error_200", "unknown"),
        ("html_500", "server_error"),
        ("half_json", "bad_answer"),
        ("unauthorized", "auth"),
        ("reset", "unreachable"),
    ],
)
def test_a_failed_poll_is_classed_and_the_next_one_works(make_studio, make_bench, clock, kind, reason):
    studio = make_studio()
    bench = make_bench(desk=studio.url)
    bench.poll()
    bench.probe()
    studio.faults.inject(Fault(kind), times=None)
    clock.advance(10)
    assert bench.poll().failure == reason
    assert bench.value("lmstudio_up") == 0
    assert bench.value("lmstudio_poll_failures_total", reason=reason) == 1
    assert bench.series_of(MODEL) & (OF_A_LOADED_MODEL | {"lmstudio_model_loaded"}) == set()
    assert bench.probe() == "skipped_down"
    studio.faults.clear()
    clock.advance(10)
    bench.poll()
    assert bench.value("lmstudio_up") == 1
    assert bench.value("lmstudio_model_loaded", model=MODEL) == 1
    assert bench.value("lmstudio_server_restarts_total") == (1 if reason == "unreachable" else 0)
    assert [kind for kind, _, _ in bench.happened() if kind == "unloaded"] == []


def test_a_server_that_dies_in_the_middle_of_an_answer_and_comes_back(make_studio, make_bench, clock):
    begun, go_on = threading.Event(), threading.Event()

    def pause(_):
        begun.set()
        go_on.wait(60)

    studio = make_studio(engine(pause=pause))
    bench = make_bench(desk=studio.url)
    bench.poll()
    outcomes = []
    probing = threading.Thread(target=lambda: outcomes.append(bench.probe()))
    probing.start()
    assert begun.wait(60)
    studio.stop()
    go_on.set()
    probing.join(60)
    assert outcomes == ["failed"]
    assert [failure.reason for failure in bench.failures] in (["stream_cut"], ["unreachable"])
    clock.advance(10)
    assert bench.poll().failure == "unreachable"
    studio.start()
    clock.advance(10)
    bench.poll()
    assert [event[0] for event in bench.happened()] == ["server_down", "server_up", "server_restarted"]
    assert bench.value("lmstudio_server_restarts_total") == 1
    assert bench.probe() == "probed"


def test_a_server_that_keeps_failing_is_left_alone_and_found_again(make_studio, make_bench, clock):
    studio = make_studio()
    bench = make_bench(desk=studio.url)
    bench.poll()
    studio.faults.inject(Fault("channel_error"), times=None)
    outcomes = []
    while bench.value("lmstudio_circuit_state") != 2:
        outcomes.append(bench.probe())
        clock.advance(1)
        assert len(outcomes) < 20
    assert outcomes.count("failed") == 3
    asked = len(studio.received)
    clock.advance(8)
    assert bench.probe() == "skipped_circuit"
    assert len(studio.received) == asked, "an open circuit lets nothing through"
    studio.faults.clear()
    clock.advance(10)
    bench.poll()
    assert bench.value("lmstudio_circuit_state") == 1
    assert bench.probe() == "probed"
    assert bench.value("lmstudio_circuit_state") == 0


def test_a_dead_server_holds_up_nobody(make_studio, make_bench):
    desk, attic = make_studio(), make_studio()
    attic.stop()
    bench = make_bench(desk=desk.url, attic=attic.url)
    assert not bench.poll("attic").up
    assert bench.poll("desk").up
    assert (bench.probe("attic"), bench.probe("desk")) == ("skipped_down", "probed")
    attic.start()
    assert bench.poll("attic").up
    assert bench.probe("attic") == "probed"
