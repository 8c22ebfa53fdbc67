import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lmstudio.rpc_frames import (
    ENDPOINTS,
    NAMESPACES,
    Frame,
    call_frame,
    endpoints_meant,
    identity_frame,
    parse_frame,
    state_parameter,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "lmstudio"
CASES = json.loads((GOLDEN / "rpc_frames.json").read_text(encoding="utf-8"))["cases"]
STATES = "getInstanceProcessingState"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


# ---- who we are


def test_a_token_is_sent_as_the_two_halves_that_lm_studio_reads_it_as():
    frame = json.loads(identity_frame("sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT"))
    assert frame == {"authVersion": 1, "clientIdentifier": "tL9sH4ED", "clientPasskey": "MQZTWwaOsmlIEKL4EruT"}


def test_without_a_token_each_connection_is_a_guest_of_its_own():
    one, other = json.loads(identity_frame(None)), json.loads(identity_frame(None))
    assert one["clientIdentifier"].startswith("guest:")
    assert one["clientIdentifier"] != other["clientIdentifier"]
    assert one["clientPasskey"] != other["clientPasskey"]


def test_a_token_of_another_form_is_sent_for_the_server_to_refuse_and_claims_no_name():
    one, other = (json.loads(identity_frame("of-some-proxy")) for _ in range(2))
    assert one["clientPasskey"] == "of-some-proxy"
    assert one["clientIdentifier"] != other["clientIdentifier"]


@given(st.text(max_size=2000))
def test_an_identity_is_never_longer_than_the_server_takes(token):
    frame = json.loads(identity_frame(token))
    assert set(frame) == {"authVersion", "clientIdentifier", "clientPasskey"}
    assert len(frame["clientIdentifier"]) <= 256
    assert len(frame["clientPasskey"]) <= 256


# ---- what we ask


def test_a_call_without_a_parameter_has_no_such_key():
    """LM Studio 0.4.24 refuses an empty object, and null, where it expects nothing."""
    assert json.loads(call_frame("llm", "listLoaded", 3)) == {"type": "rpcCall", "endpoint": "listLoaded", "callId": 3}


def test_a_call_for_a_state_names_the_instance_by_reference():
    frame = json.loads(call_frame("embedding", STATES, 4, state_parameter("qLvnx")))
    assert frame["parameter"] == {
        "specifier": {"type": "instanceReference", "instanceReference": "qLvnx"},
        "throwIfNotFound": False,
    }


def test_only_calls_that_read_are_on_the_list():
    assert {
        "system": {"info", "version"},
        "llm": {"listLoaded", STATES},
        "embedding": {"listLoaded", STATES},
    } == ENDPOINTS


FORBIDDEN = [
    "loadModel", "unloadModel", "getOrLoad", "predict", "embedString", "startHttpServer", "stopHttpServer", "startAPIServer",
    "stopAPIServer", "requestShutdown", "setExperimentFlag", "notify", "estimateModelUsage", "preloadDraftModel", "tokenize",
    "applyPromptTemplate", "getModelInfo", "getLoadConfig", "streamLogs", "downloadModel", "alive", "", "INFO", "listloaded",
]  # fmt: skip


@pytest.mark.parametrize("endpoint", FORBIDDEN)
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_no_other_call_can_be_put_into_a_frame(namespace, endpoint):
    with pytest.raises(ValueError, match="not among the calls"):
        call_frame(namespace, endpoint, 1)


@given(st.sampled_from(NAMESPACES), st.text())
def test_no_other_word_whatsoever_becomes_a_call(namespace, endpoint):
    if endpoint not in ENDPOINTS[namespace]:
        with pytest.raises(ValueError, match="not among the calls"):
            call_frame(namespace, endpoint, 1)


def test_a_call_of_another_namespace_is_refused():
    with pytest.raises(ValueError, match=r"llm\.info"):
        call_frame("llm", "info", 1)


# ---- what comes back


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:60] or "empty")
def test_frames_as_lm_studio_sends_them(case):
    expected = None if case["frame"] is None else Frame(**case["frame"])
    assert parse_frame(case["text"]) == expected
    assert parse_frame(case["text"].encode()) == expected


@given(st.binary() | st.text() | JSON.map(json.dumps))
def test_whatever_comes_is_a_frame_or_none(message):
    frame = parse_frame(message)
    assert frame is None or isinstance(frame, Frame)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("type", "callId", "result", "error", "warning", "kind", "success"), JSON)
    )
)
def test_fields_of_the_wrong_type_break_nothing(document):
    frame = parse_frame(json.dumps(document))
    assert frame is not None
    assert frame.call_id is None or frame.call_id >= 0


def test_a_frame_nested_too_deeply_is_none():
    assert parse_frame("[" * 100_000) is None


def test_texts_of_the_server_are_fit_to_be_shown():
    text = json.dumps(
        {"success": False, "error": "no\n\x1b[31mtoken sk-lm-tL9sH4ED:MQZTWwaOsmlIEKL4EruT " + "x" * 9999}
    )
    frame = parse_frame(text)
    assert frame.text.startswith("no [31mtoken <secret> xxx")
    assert len(frame.text) <= 300


def warning(text, about=""):
    return Frame("warning", text=text, about=about)


@pytest.mark.parametrize(
    ("frame", "waiting", "meant"),
    [
        (warning("Received rpcCall for unknown endpoint, endpoint = info"), ["info"], {"info"}),
        (warning("Received rpcCall for unhandled endpoint, endpoint = info", "rpcEndpointUnhandled"), ["info"], {"info"}),
        (warning("Received rpcCall for unknown endpoint, endpoint = info"), ["version"], set()),
        (warning(f"Received invalid parameter for rpcCall, endpointName = {STATES}, parameter = {{}}."), [STATES, "listLoaded"], {STATES}),
        (warning("so nicht", "rpcParameterTypeError"), ["info"], {"info"}),
        (warning("so nicht", "rpcParameterTypeError"), ["info", "version"], set()),
        (warning("Received channelSend for unknown channel, channelId = 1", "channelUnknown"), ["info"], set()),
        (warning("something about information"), ["info"], set()),
        (warning("", "rpcUnknown"), [], set()),
    ],
)  # fmt: skip
def test_a_warning_ends_the_wait_for_the_calls_it_is_about(frame, waiting, meant):
    assert endpoints_meant(frame, waiting) == meant
