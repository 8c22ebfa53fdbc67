"""What is inferred from successive polls: each row is a history of polls and the events it shows."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.events import (
    EVICTION_SECONDS,
    REMEMBERED_SECONDS,
    UNLOAD_REASONS,
    HealthEvent,
    Tracker,
    events_between,
)
from exporter.lmstudio.wire import Model, ServerHealth

START = 1_700_000_000.0
POLL = 10.0


def llm(identifier, *, key=None, context=8192, ttl=None, loaded=True, **more):
    return Model(
        id=identifier,
        key=key or identifier,
        kind=more.pop("kind", "llm"),
        loaded=loaded,
        context_length=context if loaded else None,
        ttl_remaining_seconds=ttl,
        **more,
    )


def up(*models, api="v1", version="", pid=None, after=POLL, **more):
    health = ServerHealth("desk", "http://desk:1234", True, api, version, models, 0.01, 0.0, process_id=pid, **more)
    return after, health


def down(failure="unreachable", after=POLL):
    return after, ServerHealth("desk", "http://desk:1234", False, None, "", (), 0.01, 0.0, failure, "no answer")


def history(*polls):
    """The events of each poll: (kind, model, reason)."""
    tracker, now, seen = Tracker(), START, []
    for seconds, health in polls:
        now += seconds
        events, tracker = events_between(tracker, replace(health, polled_at=now))
        seen.append([(event.kind, event.model, event.reason) for event in events])
    return seen


LOADED = ("loaded", "a", None)
UP, DOWN, RESTARTED = ("server_up", "", None), ("server_down", "", None), ("server_restarted", "", None)
CHANGED = ("context_changed", "a", None)


def unloaded(reason, model="a"):
    return ("unloaded", model, reason)


@pytest.mark.parametrize(
    ("polls", "expected"),
    [
        pytest.param([up(llm("a"))], [[]], id="what is there at first has not just happened"),
        pytest.param([up(llm("a")), up(llm("a"))], [[], []], id="nothing happens"),
        pytest.param([up(), up(llm("a"))], [[], [LOADED]], id="loaded"),
        pytest.param([up(llm("a", loaded=False)), up(llm("a"))], [[], [LOADED]], id="loaded from the list"),
        pytest.param([up(llm("a")), up(llm("a"), llm("a:2", key="a"))], [[], [("loaded", "a:2", None)]], id="once more"),
        pytest.param([up(llm("a", ttl=12.0)), up()], [[], [unloaded("ttl")]], id="its time was over"),
        pytest.param([up(llm("a", ttl=14.9)), up()], [[], [unloaded("ttl")]], id="a poll late"),
        pytest.param([up(llm("a", ttl=9.0)), up(llm("b", ttl=3600.0))], [[], [unloaded("ttl"), ("loaded", "b", None)]], id="due, whatever came"),
        pytest.param([up(llm("a")), up(llm("a", loaded=False))], [[], [unloaded("unexpected")]], id="it was to stay"),
        pytest.param([up(llm("a")), up(llm("b", ttl=3600.0))], [[], [unloaded("unexpected"), ("loaded", "b", None)]], id="what is to stay is not evicted"),
        pytest.param([up(llm("a", ttl=900.0)), up(llm("b", ttl=3600.0))], [[], [unloaded("evicted"), ("loaded", "b", None)]], id="evicted"),
        pytest.param(
            [up(llm("a", ttl=900.0)), up(), up(after=100.0), up(llm("b", ttl=3600.0))],
            [[], [], [], [unloaded("evicted"), ("loaded", "b", None)]],
            id="evicted by one that takes long to load",
        ),
        pytest.param(
            [up(llm("a", ttl=900.0)), up(llm("b", loaded=False, status="loading"))], [[], [unloaded("evicted")]], id="evicted by one still loading"
        ),
        pytest.param(
            [up(llm("a", ttl=900.0)), up(), up(after=EVICTION_SECONDS)], [[], [], [unloaded("unexpected")]], id="nothing took its place"
        ),
        pytest.param(
            [up(llm("a", ttl=900.0)), up(), up(llm("a", ttl=3600.0))], [[], [], [unloaded("unexpected"), LOADED]], id="crashed and loaded again"
        ),
        pytest.param([up(llm("a", ttl=900.0)), up(), down()], [[], [], [DOWN]], id="its server followed it"),
        pytest.param([up(llm("a"), api="v0"), up(api="v0"), up(api="v0", after=130.0)], [[], [], [unloaded("unknown")]], id="v0 tells no times"),
        pytest.param([up(llm("a"), api="v0"), up(llm("b"), api="v0")], [[], [unloaded("evicted"), ("loaded", "b", None)]], id="v0: another came"),
        pytest.param([up(llm("a", loaded=None), api="openai"), up(api="openai")], [[], []], id="OpenAI does not tell what is loaded"),
        pytest.param([up(llm("a")), up(llm("a", loaded=None))], [[], []], id="no longer told is not unloaded"),
        pytest.param([up(llm("a")), up(llm("a/b"), api="v0")], [[], []], id="another API is another list"),
    ],
)  # fmt: skip
def test_loads_and_unloads(polls, expected):
    assert history(*polls) == expected


@pytest.mark.parametrize(
    ("polls", "expected"),
    [
        pytest.param([up(llm("a")), up(llm("a", context=4096))], [[], [LOADED, CHANGED]], id="between two polls"),
        pytest.param([up(llm("a")), up(), up(llm("a", context=4096))], [[], [unloaded("unexpected")], [LOADED, CHANGED]], id="after a crash"),
        pytest.param([up(llm("a")), down(), up(llm("a", context=4096))], [[], [DOWN], [UP, RESTARTED, LOADED, CHANGED]], id="after a restart"),
        pytest.param([up(llm("a")), up(llm("a"), llm("a:2", key="a", context=4096))], [[], [("loaded", "a:2", None)]], id="a second instance"),
        pytest.param([up(llm("a")), up(llm("a", context=None))], [[], []], id="no longer told"),
        pytest.param(
            [up(llm("a")), up(), up(llm("a", context=4096), after=REMEMBERED_SECONDS)], [[], [unloaded("unexpected")], [LOADED]], id="forgotten meanwhile"
        ),
    ],
)  # fmt: skip
def test_another_context(polls, expected):
    assert history(*polls) == expected


@pytest.mark.parametrize(
    ("polls", "expected"),
    [
        pytest.param([down(), down(), up(llm("a"))], [[], [], [UP]], id="down from the first"),
        pytest.param([up(llm("a")), down(), down(), up(llm("a"))], [[], [DOWN], [], [UP, RESTARTED]], id="unreachable, then back"),
        pytest.param([up(llm("a")), down("timeout"), up(llm("a"))], [[], [DOWN], [UP]], id="only slow"),
        pytest.param([up(llm("a")), down("timeout"), down(), up()], [[], [DOWN], [], [UP, RESTARTED]], id="its models went with it"),
        pytest.param([up(llm("a")), down("timeout"), up()], [[], [DOWN], [UP, unloaded("unexpected")]], id="slow, and a model went"),
        pytest.param([up(llm("a", ttl=12.0)), down(), up()], [[], [DOWN], [UP, RESTARTED, unloaded("ttl")]], id="due during the outage"),
        pytest.param([up(), down(), up(llm("a"))], [[], [DOWN], [UP, RESTARTED, LOADED]], id="loaded at its start"),
        pytest.param([up(llm("a"), pid=7), down(), up(llm("a"), pid=7)], [[], [DOWN], [UP]], id="the same process"),
        pytest.param([up(llm("a"), pid=7), up(llm("a"), pid=8)], [[], [RESTARTED, LOADED]], id="another process between two polls"),
        pytest.param([up(llm("a"), llm("b"), pid=7), up(llm("a"), pid=8)], [[], [RESTARTED, LOADED]], id="what is not loaded anew went with the process"),
        pytest.param([up(pid=7), up(), up(pid=7)], [[], [], []], id="a process id that is not told for a while"),
        pytest.param([up(version="1"), up(version=""), up(version="1")], [[], [], []], id="a version that is not told for a while"),
        pytest.param([up(version="1"), up(version="2")], [[], [RESTARTED, ("version_changed", "", None)]], id="another version"),
        pytest.param(
            [up(version="1", pid=7), down(), up(), up(version="2", pid=9)],
            [[], [DOWN], [UP, RESTARTED], [("version_changed", "", None)]],
            id="one restart, told of late",
        ),
    ],
)  # fmt: skip
def test_servers_that_come_and_go(polls, expected):
    assert history(*polls) == expected


def test_the_websocket_tells_times_to_live_where_the_api_does_not():
    assert history(up(llm("a"), api="v0", rpc_up=True), up(api="v0")) == [[], [unloaded("unexpected")]]
    assert history(up(llm("a"), api="v0", rpc_up=False), up(api="v0")) == [[], []]


def test_an_unload_that_is_understood_late_keeps_its_time():
    tracker = Tracker()
    for at, models in ((0.0, (llm("a", ttl=900.0),)), (10.0, ()), (200.0, ())):
        events, tracker = events_between(tracker, replace(up(*models)[1], polled_at=START + at))
    assert [(event.reason, event.at) for event in events] == [("unexpected", START + 10)]


def test_an_event_tells_people_and_programs_what_happened():
    tracker = Tracker()
    for model in (llm("a", context=32768), llm("a", context=4096)):
        events, tracker = events_between(tracker, replace(up(model)[1], polled_at=START))
    changed = events[-1]
    assert changed.detail == "the model had a context of 32768 tokens and is loaded with 4096"
    assert changed.serious
    assert json.loads(json.dumps(changed.to_document())) == {
        "server": "desk",
        "at": START,
        "kind": "context_changed",
        "model": "a",
        "key": "a",
        "reason": None,
        "detail": changed.detail,
    }


@pytest.mark.parametrize(
    ("process_up", "detail"),
    [(True, "the server is down: no answer; its process runs"), (False, "the server is down: no answer"), (None, "the server is down: no answer")],
)  # fmt: skip
def test_a_server_that_is_down_says_whether_only_its_api_is(process_up, detail):
    _, tracker = events_between(Tracker(), up()[1])
    (event,), _ = events_between(tracker, replace(down()[1], process_up=process_up))
    assert event.detail == detail


@pytest.mark.parametrize(
    ("kind", "reason", "serious"),
    [
        ("unloaded", "unexpected", True),
        ("unloaded", "ttl", False),
        ("loaded", None, False),
        ("server_down", None, True),
    ],
)
def test_what_may_need_somebody_is_serious(kind, reason, serious):
    assert HealthEvent("desk", START, kind, "", reason=reason).serious is serious


def test_a_wall_clock_that_goes_back_makes_nothing_due_and_breaks_nothing():
    tracker = Tracker()
    _, tracker = events_between(tracker, replace(up(llm("a", ttl=900.0))[1], polled_at=START))
    events, tracker = events_between(tracker, replace(up()[1], polled_at=START - 5000))
    assert events == ()
    assert [gone.id for gone in tracker.gone] == ["a"]


MODELS = st.builds(
    llm,
    st.sampled_from(["a", "b", "a:2"]),
    key=st.sampled_from(["a", "b"]),
    context=st.sampled_from([None, 4096, 8192]),
    ttl=st.none() | st.floats(0, 100),
    loaded=st.sampled_from([True, False, None]),
    status=st.sampled_from([None, "idle", "loading"]),
)
POLLS = st.lists(
    st.one_of(
        st.builds(down, st.sampled_from(["unreachable", "timeout"]), st.floats(0, 200)),
        st.builds(
            lambda models, **more: up(*{model.id: model for model in models}.values(), **more),
            st.lists(MODELS, max_size=3),
            api=st.sampled_from(["v1", "v1", "v0", "openai"]),
            version=st.sampled_from(["", "1", "2"]),
            pid=st.sampled_from([None, 7, 8]),
            after=st.floats(0, 200),
        ),
    ),
    max_size=12,
)


@given(POLLS)
def test_whatever_a_server_does_events_stay_plausible(polls):
    """A model is unloaded at most as often as it was loaded or there, and a server comes and goes in turns."""
    there = {}
    state = None
    for (_, health), events in zip(polls, history(*polls), strict=True):
        for kind, model, reason in events:
            assert (kind == "unloaded") == (reason in UNLOAD_REASONS)
            if kind == "unloaded":
                assert there.get(model, 0) > 0
                there[model] -= 1
            elif kind == "loaded":
                there[model] = there.get(model, 0) + 1
            elif kind in ("server_up", "server_down"):
                assert state != kind
                state = kind
        for model in health.models:
            if model.loaded:
                there[model.id] = max(1, there.get(model.id, 0))
