"""The probe asks only where it does no harm, and its figures reach the listener."""

import threading
from dataclasses import replace

import pytest
from lmstudio_fake import (
    OPENAI_CHAT,
    V0_CHAT,
    answer,
    delta,
    hang,
    html,
    json_reply,
    stream,
    unexpected_endpoint,
    usage,
)

from exporter.clock import SystemClock
from exporter.config.model import Probe, Server
from exporter.lmstudio.breaker import Breaker
from exporter.lmstudio.client import LmStudioClient
from exporter.lmstudio.lane import LAST_SECONDS, Lane
from exporter.lmstudio.probe import PROBE_OUTCOMES, Prober
from exporter.lmstudio.session import open_session
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.sources.http import Cancel

MODEL = Model(id="qwen", key="qwen/qwen3-4b", kind="llm", loaded=True, context_length=8192)
OTHER = replace(MODEL, id="gemma", key="google/gemma")
INTERVAL = 300.0


class Bench:
    """A prober over a real client on the fake server, a poll that says what the test wants, and what listeners heard."""

    def __init__(self, fake, clock, **probe):
        self.config = Server(name="desk", url=fake.url, probe=Probe(**{"interval": "5m", **probe}))
        self.fake, self.clock = fake, clock
        self.session = open_session(self.config)
        self.health = ServerHealth("desk", fake.url, True, "openai", "", (MODEL,), 0.01, clock.now())
        self.busy = False
        self.cancel = Cancel()
        self.breaker = Breaker(clock)
        client = LmStudioClient(self.config, self.session, SystemClock())
        self.lane = Lane(self.config, self.session, client, self, self.breaker)
        self.predictions, self.failures = [], []
        self.prober = self.make()

    def make(self, **more):
        return Prober(
            self.lane,
            self.clock,
            cancel=self.cancel,
            busy=lambda: self.busy,
            on_prediction=lambda *seen: self.predictions.append(seen),
            on_failure=lambda *seen: self.failures.append(seen),
            **more,
        )

    def poll(self):
        return replace(self.health, polled_at=self.clock.now())

    def seen(self, **changes):
        """Let the next poll find this."""
        self.health = replace(self.health, **changes)
        self.lane.poll()
        return self

    def answers(self, *replies):
        self.fake.once("POST", OPENAI_CHAT, *replies)
        return self

    def probe(self):
        return self.prober.probe_once()


@pytest.fixture
def make_bench(fake, clock):
    made = []

    def make(**probe):
        made.append(Bench(fake, clock, **probe))
        return made[-1]

    yield make
    for bench in made:
        bench.lane.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def test_a_loaded_idle_model_is_probed_and_its_figures_are_told(bench, fake):
    bench.seen().answers(answer(("one", " two", " three"), usage(prompt=14, output=3)))
    assert bench.probe() == "probed"
    ((origin, prediction, model),) = bench.predictions
    assert (origin, prediction.prompt_tokens, prediction.output_tokens, model) == ("probe", 14, 3, MODEL)
    assert prediction.time_to_first_token_seconds > 0


def test_the_question_is_tiny_streamed_and_leaves_no_history(make_bench, fake):
    """LM Studio's native chat, the one route that stores what it is asked, is not used."""
    bench = make_bench(max_tokens=7).seen(api="v1")
    fake.once("POST", V0_CHAT, answer())
    assert bench.probe() == "probed"
    ((_, path, body, _),) = fake.requests
    assert path == V0_CHAT
    assert (body["max_tokens"], body["stream"], body["temperature"], body["model"]) == (7, True, 0, "qwen")
    assert sum(len(message["content"]) for message in body["messages"]) < 50


def test_a_probe_interval_of_0_turns_it_off(make_bench):
    assert make_bench(interval="0").seen().probe() == "skipped_disabled"


def test_before_the_first_poll_nothing_is_asked(bench):
    assert bench.probe() == "skipped_down"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        pytest.param({"up": False}, "skipped_down", id="the server is down"),
        pytest.param({"models": ()}, "skipped_not_loaded", id="there is no model"),
        pytest.param({"models": (replace(MODEL, loaded=False),)}, "skipped_not_loaded", id="only downloaded"),
        pytest.param({"models": (replace(MODEL, loaded=None, context_length=None),)}, "skipped_not_loaded", id="not told"),
        pytest.param({"models": (replace(MODEL, kind="embedding"),)}, "skipped_not_loaded", id="no chat model"),
        pytest.param({"models": (replace(MODEL, status="loading"),)}, "skipped_not_loaded", id="still loading"),
        pytest.param({"models": (replace(MODEL, ttl_remaining_seconds=3000.0),)}, "skipped_ttl", id="to be unloaded"),
        pytest.param({"models": (replace(MODEL, ttl_remaining_seconds=0.0),)}, "skipped_ttl", id="about to be unloaded"),
        pytest.param({"models": (replace(MODEL, queued_requests=1),)}, "skipped_queue", id="somebody waits"),
        pytest.param({"models": (replace(MODEL, status="generating"),)}, "skipped_busy", id="it writes"),
        pytest.param({"models": (replace(MODEL, status="processing_prompt"),)}, "skipped_busy", id="it reads"),
        pytest.param({"models": (replace(MODEL, status="unknown"),)}, "skipped_busy", id="it does who knows what"),
    ],
)  # fmt: skip
def test_where_it_might_do_harm_nothing_is_asked(bench, fake, change, outcome):
    assert bench.seen(**change).probe() == outcome
    assert fake.requests == []


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(replace(MODEL, status="idle", queued_requests=0), id="idle by its own words"),
        pytest.param(replace(MODEL, loaded=None), id="a context tells that it is in memory"),
    ],
)
def test_where_it_does_no_harm_it_asks(bench, model):
    bench.seen(models=(model,)).answers(answer())
    assert bench.probe() == "probed"


def test_analyses_of_our_own_go_first(bench):
    bench.seen()
    bench.busy = True
    assert bench.probe() == "skipped_busy"


def test_keep_loaded_lets_it_extend_a_time_to_live_but_not_revive_a_model(make_bench):
    bench = make_bench(keep_loaded=True)
    bench.seen(models=(replace(MODEL, ttl_remaining_seconds=LAST_SECONDS),))
    assert bench.probe() == "skipped_ttl"
    bench.seen(models=(replace(MODEL, ttl_remaining_seconds=60.0),)).answers(answer())
    assert bench.probe() == "probed"


def test_an_old_picture_of_the_server_is_not_relied_on(bench, clock):
    bench.seen()
    clock.advance(31)
    assert bench.probe() == "skipped_stale"


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        pytest.param({"models": (replace(MODEL, loaded=False),)}, "skipped_not_loaded", id="unloaded since"),
        pytest.param({"models": (replace(MODEL, queued_requests=2),)}, "skipped_queue", id="in use since"),
        pytest.param({"up": False}, "skipped_down", id="down since"),
    ],
)
def test_a_look_of_this_moment_decides(bench, fake, now, outcome):
    bench.seen()
    prober = bench.make(look=lambda: replace(bench.health, **now))
    assert prober.probe_once() == outcome
    assert fake.requests == []


def test_what_an_old_poll_said_is_forgotten_for_a_look_of_this_moment(bench):
    bench.seen(models=(replace(MODEL, queued_requests=3),)).answers(answer())
    prober = bench.make(look=lambda: replace(bench.health, models=(replace(MODEL, queued_requests=0),)))
    assert prober.probe_once() == "probed"


def test_there_is_no_look_where_nothing_would_come_of_it(bench):
    looks = []
    prober = bench.make(look=lambda: looks.append(1) or bench.health)
    bench.seen()
    bench.busy = True
    assert prober.probe_once() == "skipped_busy"
    bench.busy = False
    for _ in range(3):
        bench.breaker.failed()
    assert prober.probe_once() == "skipped_circuit"
    assert looks == []


def test_an_open_circuit_is_respected_and_a_half_open_one_is_tried(bench, clock):
    bench.seen()
    for _ in range(3):
        bench.breaker.failed()
    assert bench.probe() == "skipped_circuit"
    clock.advance(10)
    bench.breaker.polled_well()
    bench.seen().answers(answer())
    assert bench.probe() == "probed"
    assert bench.breaker.state == "closed"


def test_a_fault_of_ours_in_a_trial_leaves_room_for_another(bench, clock, monkeypatch):
    bench.seen()
    for _ in range(3):
        bench.breaker.failed()
    clock.advance(10)
    bench.breaker.polled_well()
    with monkeypatch.context() as broken:
        broken.setattr(bench.lane.client, "chat", None)
        with pytest.raises(TypeError):
            bench.probe()
    bench.seen().answers(answer())
    assert bench.probe() == "probed"


def test_a_failure_is_told_counts_for_the_breaker_and_is_followed_by_silence(bench, clock):
    bench.seen().answers(html(500), html(500), html(500), answer())
    outcomes = []
    for _ in range(15):
        outcomes.append(bench.seen().probe())
        clock.advance(INTERVAL)
        bench.breaker.polled_well()
    silence = "skipped_backoff"
    assert outcomes == ["failed", silence, "failed", *[silence] * 3, "failed", *[silence] * 7, "probed"]
    assert [(server, model, origin, failure.reason) for server, model, origin, failure in bench.failures] == [
        ("desk", "qwen", "probe", "server_error")
    ] * 3


def test_one_good_probe_ends_the_memory_of_failures(bench, clock):
    bench.seen().answers(html(500), answer(), html(500), answer())
    outcomes = []
    for _ in range(6):
        outcomes.append(bench.seen().probe())
        clock.advance(INTERVAL)
    assert outcomes == ["failed", "skipped_backoff", "probed", "failed", "skipped_backoff", "probed"]


def test_at_most_one_probe_is_under_way(bench, fake):
    asked, go_on = threading.Event(), threading.Event()

    def wait(handler):
        asked.set()
        assert go_on.wait(10)

    bench.seen().answers(stream(delta("one"), wait, delta(finish="stop")))
    outcomes = []
    first = threading.Thread(target=lambda: outcomes.append(bench.probe()))
    first.start()
    assert asked.wait(10)
    assert bench.probe() == "skipped_running"
    go_on.set()
    first.join(10)
    assert outcomes == ["probed"]


def test_shutting_down_ends_a_probe_and_speaks_not_against_the_server(bench):
    bench.seen().answers(stream(delta("one"), lambda handler: bench.cancel.cancel(), hang))
    assert bench.probe() == "failed"
    assert [failure.reason for *_, failure in bench.failures] == ["cancelled"]
    assert bench.breaker.state == "closed"
    assert bench.probe() == "failed", "it is not left out for having failed"


@pytest.mark.parametrize(("name", "outcome"), [("gemma", "other_model"), ("google/gemma", "other_model"), ("gpt-x", "probed"), ("qwen/qwen3-4b", "probed")])  # fmt: skip
def test_figures_of_another_model_are_not_taken_for_this_one(bench, name, outcome):
    """LM Studio answers for a model it does not find with one that it has; a name nobody lists is an alias."""
    bench.seen(models=(MODEL, OTHER)).answers(stream(delta("one", model=name), delta(finish="stop", model=name)))
    assert bench.probe() == outcome
    assert len(bench.predictions) == (outcome == "probed")


def test_an_error_with_status_200_is_a_failure(bench):
    bench.seen().answers(unexpected_endpoint("POST", OPENAI_CHAT))
    assert bench.probe() == "failed"


def test_a_model_that_is_gone_is_a_failure_of_its_kind(bench):
    bench.seen().answers(json_reply({"error": "No models loaded."}, status=400))
    assert bench.probe() == "failed"
    assert [failure.reason for *_, failure in bench.failures] == ["no_model_loaded"]


def test_the_outcomes_are_a_closed_list():
    assert len(PROBE_OUTCOMES) == len(set(PROBE_OUTCOMES)) == 13
