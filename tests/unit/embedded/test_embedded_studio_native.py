"""LM Studio's own chat, and the responses and messages routes."""

from collections.abc import Callable

import pytest
from embedded_support import Client, chat

from exporter.clock import ManualClock
from exporter.embedded.contract import Engine, ModelFacts
from exporter.embedded.scripted import Reply, ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_faults import Fault

MakeStudio = Callable[..., StudioServer]
CHAT = "/api/v1/chat"


def ask(text: str = "Is it?", **more) -> dict:
    return {"model": "scripted-1b", "input": text} | more


def slow_to_load(clock: ManualClock) -> DownloadedModel:
    engine = ScriptedEngine(lambda _: "All is calm today.")

    def load(context_length: int) -> Engine:
        clock.advance(2.5)
        return engine.resized(context_length)

    return DownloadedModel(ModelFacts("scripted-1b"), load=load)


def test_an_answer_has_stats_without_stop_reason(client: Client) -> None:
    document = client.post(CHAT, ask()).json
    assert document["model_instance_id"] == "scripted-1b"
    assert document["output"] == [{"type": "message", "content": "All is calm today."}]
    assert document["stats"] == {
        "input_tokens": 6, "total_output_tokens": 4, "reasoning_output_tokens": 0,
        "tokens_per_second": pytest.approx(50), "time_to_first_token_seconds": pytest.approx(0.006),
    }  # fmt: skip
    assert document["response_id"].startswith("resp_")


def test_store_false_gives_no_id(client: Client) -> None:
    assert "response_id" not in client.post(CHAT, ask(store=False)).json


def test_a_load_is_reported_by_the_request_that_caused_it(make_studio: MakeStudio, clock: ManualClock) -> None:
    client = Client(make_studio(slow_to_load(clock)).port)
    assert client.post(CHAT, ask()).json["stats"]["model_load_time_seconds"] == pytest.approx(2.5)
    assert "model_load_time_seconds" not in client.post(CHAT, ask()).json["stats"]


def test_a_thread_goes_on_from_its_response(client: Client, engine: ScriptedEngine) -> None:
    first = client.post(CHAT, ask("one", system_prompt="Be brief.")).json["response_id"]
    client.post(CHAT, ask("two", previous_response_id=first))
    assert [(message["role"], message["content"]) for message in engine.asked[-1].messages] == [
        ("system", "Be brief."), ("user", "one"), ("assistant", "All is calm today."), ("user", "two"),
    ]  # fmt: skip


def test_input_may_be_a_list_of_parts(client: Client, engine: ScriptedEngine) -> None:
    client.post(CHAT, ask([{"type": "message", "content": "one"}, {"type": "text", "content": "two"}]))
    assert engine.asked[-1].messages[-1]["content"] == "one\ntwo"


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"input": "x"}, "missing_required_parameter", "model"),
        ({"model": "scripted-1b"}, "missing_required_parameter", "input"),
        (ask(reasoning_effort="low"), "unrecognized_keys", None),
        (ask(previous_response_id="resp_nothing"), "invalid_value", "previous_response_id"),
        (ask(reasoning="high"), "invalid_value", "reasoning"),
        (ask(7), "invalid_value", "input"),
    ],
)
def test_what_cannot_be_used_is_an_invalid_request(client: Client, body: dict, code: str, param: str | None) -> None:
    answered = client.post(CHAT, body)
    error = answered.json["error"]
    assert (answered.status, error["type"], error["code"], error.get("param")) == (400, "invalid_request", code, param)


def test_errors_of_the_engine_are_objects_here(client: Client) -> None:
    answered = client.post(CHAT, ask("word " * 5000))
    assert (answered.status, answered.json["error"]["type"]) == (400, "internal_error")
    assert "exceeds the available context size" in answered.json["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_model_with_nothing_loaded_is_a_404(
    make_studio: MakeStudio, clock: ManualClock, stream: bool
) -> None:
    client = Client(make_studio(slow_to_load(clock)).port)
    answered = client.post(CHAT, ask(model="nothing", stream=stream))
    assert (answered.status, answered.json["error"]["type"]) == (404, "model_not_found")


def test_the_events_come_in_order(make_studio: MakeStudio, clock: ManualClock) -> None:
    client = Client(make_studio(slow_to_load(clock)).port)
    with client.stream(CHAT, ask()) as stream:
        events = list(stream)
    assert all(event.kind == event.data["type"] for event in events)
    assert [event.kind for event in events] == [
        "chat.start", "model_load.start", "model_load.progress", "model_load.progress", "model_load.end",
        "prompt_processing.start", "prompt_processing.progress", "prompt_processing.end",
        "message.start", *["message.delta"] * 4, "message.end", "chat.end",
    ]  # fmt: skip
    assert events[4].data["load_time_seconds"] == pytest.approx(2.5)
    result = events[-1].data["result"]
    assert result["output"][0]["content"] == "All is calm today."
    assert result["stats"]["model_load_time_seconds"] == pytest.approx(2.5)


def test_reasoning_has_events_of_its_own(make_studio: MakeStudio) -> None:
    client = Client(make_studio(ScriptedEngine(lambda _: Reply("7", reasoning="hm"))).port)
    with client.stream(CHAT, ask()) as stream:
        events = list(stream)
    assert [event.kind for event in events][4:] == [
        "reasoning.start", "reasoning.delta", "reasoning.end", "message.start", "message.delta", "message.end",
        "chat.end",
    ]  # fmt: skip
    assert events[-1].data["result"]["output"][0] == {"type": "reasoning", "content": "hm"}


def test_an_error_in_the_stream_is_followed_by_the_end(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("crashed", after_pieces=1))
    with client.stream(CHAT, ask()) as stream:
        events = list(stream)
    assert [event.kind for event in events][-3:] == ["message.end", "error", "chat.end"]
    assert "crashed" in events[-2].data["error"]["message"]
    assert events[-1].data["result"]["output"][0]["content"] == "All"
    assert studio.loaded == ()


def test_a_load_that_fails_in_the_stream_still_ends_the_chat(client: Client) -> None:
    with client.stream(CHAT, ask(model="qwen2.5-7b-instruct")) as stream:
        events = list(stream)
    assert [event.kind for event in events] == [
        "chat.start", "model_load.start", "model_load.progress", "error", "chat.end",
    ]  # fmt: skip
    assert events[3].data["error"]["type"] == "model_load_failed"


def test_responses_have_cached_tokens_and_numbered_events(client: Client, engine: ScriptedEngine) -> None:
    body = {"model": "scripted-1b", "input": "Is it?", "instructions": "Be brief.", "max_output_tokens": 2}
    document = client.post("/v1/responses", body).json
    assert (document["object"], document["status"]) == ("response", "incomplete")
    assert document["output"][0]["content"][0]["text"] == "All is"
    assert document["usage"]["input_tokens_details"] == {"cached_tokens": 0}
    assert [message["role"] for message in engine.asked[-1].messages] == ["system", "user"]
    with client.stream("/v1/responses", body) as stream:
        events = list(stream)
    assert [event.kind for event in events] == [
        "response.created", *["response.output_text.delta"] * 2, "response.completed",
    ]  # fmt: skip
    assert [event.data["sequence_number"] for event in events] == [0, 1, 2, 3]
    assert events[-1].data["response"]["usage"]["output_tokens"] == 2


def test_messages_are_in_anthropics_shape(client: Client) -> None:
    body = {"model": "scripted-1b", "max_tokens": 50, "messages": chat("Is it?")["messages"], "system": "Be brief."}
    document = client.post("/v1/messages", body).json
    assert document["content"] == [{"type": "text", "text": "All is calm today."}]
    assert (document["stop_reason"], document["usage"]["output_tokens"]) == ("end_turn", 4)
    with client.stream("/v1/messages", body) as stream:
        kinds = [event.kind for event in stream]
    assert kinds == [
        "message_start", "content_block_start", *["content_block_delta"] * 4, "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    assert client.post("/v1/messages", body | {"max_tokens": None}).status == 400


def test_a_failure_in_those_streams_is_an_error_event(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("channel_error"), times=2)
    for path, body in (
        ("/v1/responses", {"model": "scripted-1b", "input": "x"}),
        ("/v1/messages", {"model": "scripted-1b", "max_tokens": 9, "messages": chat()["messages"]}),
    ):
        with client.stream(path, body) as stream:
            last = list(stream)[-1]
        assert (last.kind, last.data["error"]["message"]) == ("error", "Channel Error")
