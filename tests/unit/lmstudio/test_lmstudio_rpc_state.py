import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.rpc_state import (
    MAX_INSTANCES,
    RpcInfo,
    RpcInstance,
    RpcState,
    merge,
    parse_info,
    parse_instances,
    time_left,
    with_processing,
)
from exporter.lmstudio.wire import MODEL_STATUSES, Model, ServerHealth

GOLDEN = Path(__file__).parents[2] / "golden" / "lmstudio"
NOW = 1_790_000_000.0


def golden(name):
    return json.loads((GOLDEN / f"rpc_{name}.json").read_text(encoding="utf-8"))


def test_the_list_of_loaded_instances():
    case = golden("list_loaded")
    assert [asdict(instance) for instance in parse_instances(case["result"], case["now"])] == case["instances"]


@pytest.mark.parametrize("case", golden("processing_states")["cases"], ids=lambda case: json.dumps(case["result"]))
def test_the_state_of_an_instance(case):
    instance = RpcInstance("m", "r", "m", ttl_seconds=60.0, ttl_remaining_seconds=45.0)
    found = with_processing(instance, case["result"])
    assert {key: getattr(found, key) for key in ("status", "queued", "ttl_remaining_seconds")} == {
        key: case[key] for key in ("status", "queued", "ttl_remaining_seconds")
    }


@pytest.mark.parametrize("case", golden("info")["cases"], ids=lambda case: json.dumps(case["result"]))
def test_what_a_server_says_of_itself(case):
    assert asdict(parse_info(case["result"])) == case["info"]


@pytest.mark.parametrize("result", [None, {}, "models", 7, {"identifier": "m"}])
def test_what_is_no_list_has_no_instances(result):
    assert parse_instances(result, NOW) == ()


def test_a_list_of_thousands_is_cut():
    rows = [{"identifier": f"m{number}"} for number in range(5000)]
    assert len(parse_instances(rows, NOW)) == MAX_INSTANCES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "identifier",
    "instanceReference",
    "modelKey",
    "ttlMs",
    "lastUsedTime",
    "contextLength",
    "parallel",
    "status",
    "queued",
)
ROW = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON))


@given(st.lists(ROW, max_size=4), ROW, st.floats(0, 4e9))
def test_any_list_and_any_state_give_values_of_the_promised_kind(rows, state, now):
    for instance in parse_instances(rows, now):
        found = with_processing(instance, state)
        assert found.identifier
        assert found.status is None or found.status in MODEL_STATUSES
        assert found.queued is None or found.queued >= 0
        assert found.ttl_seconds is None or found.ttl_seconds > 0
        assert (found.ttl_remaining_seconds is None) == (found.ttl_seconds is None)
        if found.ttl_seconds is not None:
            assert 0 <= found.ttl_remaining_seconds <= found.ttl_seconds


@given(st.floats(0.001, 1e9), st.floats(0, 4e9), st.floats(0, 4e9))
def test_the_time_left_is_never_negative_nor_longer_than_the_whole(ttl, used, now):
    left = time_left(ttl, used, now)
    assert 0 <= left <= ttl


@pytest.mark.parametrize(
    ("ttl", "used", "expected"),
    [
        pytest.param(None, None, None, id="it stays"),
        pytest.param(None, NOW - 5, None, id="it stays however long ago it was used"),
        pytest.param(60.0, None, 60.0, id="never used: all of it"),
        pytest.param(60.0, NOW - 15, 45.0, id="ttl less idle time"),
        pytest.param(60.0, NOW - 61, 0.0, id="overdue"),
        pytest.param(60.0, NOW + 10, 60.0, id="the server's clock is ahead"),
    ],
)
def test_the_time_left(ttl, used, expected):
    assert time_left(ttl, used, NOW) == expected


# ---- joined with a poll


def polled(*models, **more):
    return ServerHealth("desk", "http://desk:1234", True, "v1", "", models, 0.01, NOW, **more)


def llm(identifier, **more):
    return Model(id=identifier, key=identifier.partition(":")[0], kind="llm", loaded=True, **more)


BUSY = RpcInstance(
    "m:2", "r2", "m", "generating", 3, last_used_at=NOW - 15, ttl_seconds=60.0, ttl_remaining_seconds=60.0,
    context_length=8192, parallel=4,
)  # fmt: skip
STATE = RpcState(RpcInfo("0.4.24", 4242, is_daemon=False), (BUSY,), NOW)


def test_the_rpc_completes_the_instance_of_the_same_id_only():
    health = merge(polled(llm("m"), llm("m:2")), STATE, present=True)
    first, second = health.models
    assert first == llm("m")
    assert second == llm(
        "m:2",
        status="generating",
        queued_requests=3,
        ttl_seconds=60.0,
        ttl_remaining_seconds=60.0,
        last_used_at=NOW - 15,
        context_length=8192,
        parallel_slots=4,
    )
    assert (health.version, health.process_id) == ("0.4.24", 4242)


def test_what_the_poll_says_itself_stays():
    told = llm("m:2", ttl_remaining_seconds=12.0, context_length=4096, parallel_slots=1)
    (model,) = merge(replace(polled(told), version="b1"), STATE, present=True).models
    assert (model.ttl_remaining_seconds, model.context_length, model.parallel_slots) == (12.0, 4096, 1)
    assert merge(replace(polled(told), version="b1"), STATE, present=True).version == "b1"


def test_an_instance_that_only_the_rpc_lists_makes_no_model():
    assert merge(polled(), STATE, present=True).models == ()


def test_a_server_that_tells_no_states_makes_none_up():
    silent = replace(BUSY, status=None, queued=None)
    (model,) = merge(polled(llm("m:2", status="loading")), replace(STATE, instances=(silent,)), present=True).models
    assert (model.status, model.queued_requests) == ("loading", None)
    (model,) = merge(polled(llm("m:2")), replace(STATE, instances=(silent,)), present=True).models
    assert model.status is None


def test_of_an_earlier_look_only_what_changes_slowly_is_taken():
    later = replace(polled(llm("m:2")), polled_at=NOW + 20)
    health = merge(later, STATE, present=False)
    (model,) = health.models
    assert (model.status, model.queued_requests) == (None, None)
    assert (model.ttl_seconds, model.last_used_at, model.ttl_remaining_seconds) == (60.0, NOW - 15, 25.0)
    assert (health.version, health.process_id) == ("0.4.24", None)
