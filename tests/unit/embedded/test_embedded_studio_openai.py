"""Chat and completions in OpenAI's shape, below /v1 and /api/v0."""

import http.client
import json
from collections.abc import Callable

import pytest
from embedded_support import DEADLINE_SECONDS, Client, Event, Gate, chat, wait_until

from exporter.embedded.scripted import Reply, ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.errors import RefusedError

MakeStudio = Callable[..., StudioServer]
CHAT = "/v1/chat/completions"
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}}


def test_a_chat_has_usage_and_an_empty_stats_block(client: Client) -> None:
    answered = client.post(CHAT, chat())
    document = answered.json
    assert answered.status == 200
    assert (document["object"], document["model"]) == ("chat.completion", "scripted-1b")
    assert document["id"].startswith("chatcmpl-")
    assert document["created"] == 1_700_000_000
    choice = document["choices"][0]
    assert choice["message"] == {
        "role": "assistant", "content": "All is calm today.", "reasoning_content": "", "tool_calls": [],
    }  # fmt: skip
    assert choice["finish_reason"] == "stop"
    assert document["usage"] == {
        "prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12,
        "completion_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
    assert (document["stats"], document["system_fingerprint"]) == ({}, "scripted-1b")


def test_v0_adds_stats_model_info_and_runtime(client: Client) -> None:
    document = client.post("/api/v0/chat/completions", chat()).json
    assert document["stats"] == {
        "tokens_per_second": pytest.approx(50), "time_to_first_token": pytest.approx(0.008),
        "generation_time": pytest.approx(0.06), "stop_reason": "eosFound",
    }  # fmt: skip
    assert document["model_info"] == {"arch": "scripted", "quant": "", "format": "gguf", "context_length": 4096}
    assert document["runtime"] == {"name": "scripted", "version": "1", "supported_formats": ["gguf"]}
    assert document["usage"] == {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}
    assert "system_fingerprint" not in document


def test_v0_leaves_the_speed_out_when_the_answer_is_too_short(client: Client) -> None:
    stats = client.post("/api/v0/chat/completions", chat(max_tokens=1)).json["stats"]
    assert "tokens_per_second" not in stats
    assert stats["stop_reason"] == "maxPredictedTokensReached"


def test_the_engine_gets_what_was_asked(client: Client, engine: ScriptedEngine) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "v", "schema": SCHEMA}}
    parts = [{"type": "text", "text": "Is "}, {"type": "text", "text": "it?"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}]
    client.post(CHAT, chat(messages=messages, max_tokens=20, temperature=0.25, seed=5, response_format=form))
    asked = engine.asked[-1]
    assert [message["content"] for message in asked.messages] == ["Be brief.", "Is it?"]
    assert (asked.max_tokens, asked.temperature, asked.seed, asked.schema) == (20, 0.25, 5, SCHEMA)


def test_minus_one_means_no_limit(client: Client, engine: ScriptedEngine) -> None:
    client.post(CHAT, chat(max_tokens=-1, response_format={"type": "text"}))
    assert (engine.asked[-1].max_tokens, engine.asked[-1].schema) == (None, None)


def test_reasoning_is_kept_apart(make_studio: MakeStudio) -> None:
    client = Client(make_studio(ScriptedEngine(lambda _: Reply("7", reasoning="let me see"))).port)
    document = client.post(CHAT, chat()).json
    assert document["choices"][0]["message"]["reasoning_content"] == "let me see"
    assert document["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}
    with client.stream(CHAT, chat()) as stream:
        deltas = [event.data["choices"][0]["delta"] for event in stream if event.data]
    assert deltas[0] == {"role": "assistant", "reasoning_content": "let"}
    assert {"content": "7"} in deltas


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"response_format": {"type": "json_object"}}, "'json_schema' or 'text'"),
        ({"response_format": {"type": "json_schema"}}, "schema"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "image inputs"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_used_is_a_400_in_json(client: Client, change: dict, part: str, stream: bool) -> None:
    answered = client.post(CHAT, chat(**change) | {"stream": stream})
    assert answered.status == 400
    assert part in answered.json["error"]["message"]
    assert answered.json["error"]["type"] == "invalid_request_error"


def test_a_body_that_is_no_json_is_a_400(client: Client) -> None:
    assert client.ask("POST", CHAT, b"{half").status == 400


def test_a_parameter_of_the_wrong_type_crashes_the_handler_into_html(client: Client) -> None:
    answered = client.post(CHAT, chat(temperature=[]))
    assert answered.status == 500
    assert answered.headers["content-type"].startswith("text/html")


def test_a_schema_that_the_engine_refuses_is_a_400(make_studio: MakeStudio) -> None:
    client = Client(make_studio(ScriptedEngine(lambda _: Reply("", error=RefusedError("unrecognized type")))).port)
    answered = client.post(CHAT, chat())
    assert (answered.status, "failed to parse grammar" in answered.json["error"]) == (400, True)


def test_a_prompt_larger_than_the_context_is_a_400(client: Client) -> None:
    answered = client.post(CHAT, chat("word " * 4999 + "word"))
    expected = "request (5004 tokens) exceeds the available context size (4096 tokens)"
    assert (answered.status, expected in answered.json["error"]) == (400, True)


def test_streamed_that_is_an_error_inside_a_200(client: Client) -> None:
    with client.stream(CHAT, chat("word " * 5000)) as stream:
        events = list(stream)
    assert stream.status == 200
    assert [event.kind for event in events] == ["error"]
    assert "exceeds the available context size" in events[0].data["error"]["message"]


def test_chunks_come_as_they_are_made(make_studio: MakeStudio, gate: Gate) -> None:
    client = Client(make_studio(ScriptedEngine(lambda _: "one two three", pause=gate)).port)
    with client.stream(CHAT, chat()) as stream:
        events = iter(stream)
        gate.let(1)
        assert next(events).data["choices"][0]["delta"] == {"role": "assistant", "content": "one"}
        gate.let(1)
        assert next(events).data["choices"][0]["delta"] == {"content": " two"}
        gate.let(1)
        rest = list(events)
    assert [event.data["choices"][0]["finish_reason"] for event in rest[:-1]] == [None, "stop"]
    assert rest[-1] == Event("", None)


def test_usage_comes_in_a_chunk_of_its_own_if_asked_for(client: Client) -> None:
    with client.stream(CHAT, chat(stream_options={"include_usage": True})) as stream:
        *chunks, usage, done = list(stream)
    assert done.data is None
    assert (usage.data["choices"], usage.data["usage"]["completion_tokens"]) == ([], 4)
    assert not any("usage" in chunk.data for chunk in chunks)
    assert {chunk.data["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.data["system_fingerprint"] for chunk in chunks} == {"scripted-1b"}


def test_without_asking_there_is_no_usage(client: Client) -> None:
    with client.stream(CHAT, chat()) as stream:
        assert not any("usage" in event.data for event in stream if event.data)


@pytest.mark.parametrize("stats", [False, True])
@pytest.mark.parametrize("usage", [False, True])
def test_whether_a_v0_stream_ends_with_stats_is_a_setting(make_studio: MakeStudio, stats: bool, usage: bool) -> None:
    client = Client(make_studio(v0_stream_stats=stats).port)
    with client.stream("/api/v0/chat/completions", chat(stream_options={"include_usage": usage})) as stream:
        chunks = [event.data for event in stream if event.data]
    assert ("stats" in chunks[-1]) is stats
    assert ("usage" in chunks[-1]) is usage
    assert not any("stats" in chunk for chunk in chunks[:-1])


def test_completions_are_texts(client: Client) -> None:
    document = client.post("/v1/completions", {"model": "scripted-1b", "prompt": "Is it?"}).json
    assert (document["object"], document["choices"][0]["text"]) == ("text_completion", "All is calm today.")
    assert document["id"].startswith("cmpl-")
    v0 = client.post("/api/v0/completions", {"model": "scripted-1b", "prompt": "Is it?"}).json
    assert v0["stats"]["stop_reason"] == "eosFound"


def test_streamed_completions_carry_usage_in_the_last_chunk(client: Client) -> None:
    with client.stream("/v1/completions", {"model": "scripted-1b", "prompt": "Is it?"}) as stream:
        *chunks, done = list(stream)
    assert done.data is None
    assert chunks[-1].data["usage"]["completion_tokens"] == 4
    assert "".join(chunk.data["choices"][0]["text"] for chunk in chunks) == "All is calm today."


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_hangs_up_stops_the_model(make_studio: MakeStudio, gate: Gate, streamed: bool) -> None:
    engine = ScriptedEngine(lambda _: "word " * 500, pause=gate)
    client = Client(make_studio(engine).port)
    stream = client.stream(CHAT, chat()) if streamed else None
    if stream is None:
        with pytest.raises(TimeoutError):
            hurried_post(client, chat())
    else:
        gate.let(1)
        next(iter(stream))
        stream.hang_up()
    gate.open()
    wait_until(lambda: engine.abandoned == 1, "the model stopped")


def hurried_post(client: Client, body: dict) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("POST", CHAT, json.dumps(body), client.headers)
        connection.sock.settimeout(0.05)
        connection.getresponse()
    finally:
        connection.close()


def test_requests_beyond_the_slots_wait_for_their_turn(make_studio: MakeStudio, gate: Gate) -> None:
    engine = ScriptedEngine(lambda _: "one two", pause=gate, parallel=1)
    client = Client(make_studio(engine).port)
    with client.stream(CHAT, chat()) as first, client.stream(CHAT, chat()) as second:
        gate.open()
        assert [len(list(first)), len(list(second))] == [4, 4]


def test_a_request_that_waits_too_long_for_a_slot_is_refused(make_studio: MakeStudio, gate: Gate) -> None:
    engine = ScriptedEngine(lambda _: "one two", pause=gate, parallel=1)
    client = Client(make_studio(engine, slot_wait_seconds=0.1).port)
    with client.stream(CHAT, chat()) as first:
        wait_until(lambda: len(engine.asked) == 1, "the first request has the slot")
        answered = client.post(CHAT, chat())
        assert answered.status == 400
        assert answered.json["error"].startswith("Engine protocol predict stream returned an error")
        gate.open()
        assert len(list(first)) == 4
