"""Each fault does what it says, to the request it was planned for and to no other."""

import http.client
import json
import threading
import time
from collections.abc import Callable

import pytest
from embedded_support import DEADLINE_SECONDS, Client, Stream, chat, wait_until

from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_faults import Fault, FaultPlan

MakeStudio = Callable[..., StudioServer]
CHAT = "/v1/chat/completions"


def said(stream: Stream) -> str:
    return "".join(
        event.data["choices"][0]["delta"].get("content", "")
        for event in stream
        if event.data and event.data.get("choices")
    )


def test_a_fault_strikes_as_often_as_planned(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("error_200"), times=2)
    assert ["error" in client.get("/v1/models").json for _ in range(3)] == [True, True, False]


def test_a_fault_for_ever_ends_when_cleared(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("html_500"), times=None)
    assert {client.get("/v1/models").status for _ in range(3)} == {500}
    studio.faults.clear()
    assert client.get("/v1/models").status == 200


def test_a_fault_keeps_to_its_route(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("html_500"), route="/api/v1")
    assert client.get("/v1/models").status == 200
    assert client.get("/api/v1/models").status == 500
    assert studio.faults.pending == 0


def test_a_fault_of_predictions_waits_for_one() -> None:
    plan = FaultPlan()
    plan.inject(Fault("crashed"))
    assert plan.take("/api/v1/models", predicts=False) is None
    assert plan.take(CHAT, predicts=True) == Fault("crashed")
    assert plan.take(CHAT, predicts=True) is None


def test_plans_are_used_up_once_whoever_asks() -> None:
    plan = FaultPlan()
    plan.inject(Fault("reset"), times=50)
    taken: list[Fault | None] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(plan.take("/", predicts=False) for _ in range(20)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(fault is not None for fault in taken) == 50


def test_html_is_a_500_page(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("html_500"))
    answered = client.post(CHAT, chat())
    assert answered.headers["content-type"].startswith("text/html")
    assert answered.body.startswith(b"<!DOCTYPE html>")


def test_half_json_has_the_length_it_claims(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("half_json"))
    answered = client.get("/api/v1/models")
    assert int(answered.headers["content-length"]) == len(answered.body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answered.body)


def test_unauthorised_is_a_401(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("unauthorized"))
    answered = client.get("/api/v1/models")
    assert (answered.status, answered.json["error"]["code"]) == (401, "invalid_api_key")


def test_a_reset_comes_before_the_first_byte_also_on_a_kept_connection(studio: StudioServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        connection.getresponse().read()
        studio.faults.inject(Fault("reset"))
        connection.request("GET", "/v1/models")
        with pytest.raises(ConnectionError):
            connection.getresponse()
    finally:
        connection.close()


def test_slow_means_late_but_whole(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("slow", first_byte_seconds=0.1, between_seconds=0.05))
    began = time.monotonic()
    answered = client.post(CHAT, chat())
    assert time.monotonic() - began >= 0.1 + 4 * 0.05
    assert answered.json["choices"][0]["message"]["content"] == "All is calm today."


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("context_overflow", "exceeds the available context size (4096 tokens)"),
        ("slot_timeout", "Engine protocol predict stream returned an error"),
        ("evicted", "Model is unloaded."),
        ("crashed", "The model has crashed without additional information. (Exit code: 18446744072635812000)"),
        ("channel_error", "Channel Error"),
        ("error_event", "Compute error."),
    ],
)
def test_failures_of_the_engine(studio: StudioServer, client: Client, kind: str, words: str) -> None:
    studio.faults.inject(Fault(kind), times=1)
    whole = client.post(CHAT, chat())
    assert (whole.status, words in whole.json["error"]) == (400, True)
    if kind in {"evicted", "crashed"}:
        assert studio.loaded == ()
        studio.load("scripted-1b")
    studio.faults.inject(Fault(kind), times=1)
    with client.stream(CHAT, chat()) as stream:
        last = list(stream)[-1]
    assert words in last.data["error"]["message"]
    assert stream.status == 200
    assert last.kind == ("" if kind == "error_event" else "error")
    assert client.post(CHAT, chat()).status == 200


@pytest.mark.parametrize("kind", ["crashed", "evicted", "channel_error", "slot_timeout", "context_overflow"])
def test_failures_may_be_worded_otherwise(studio: StudioServer, client: Client, kind: str) -> None:
    words = "The model has crashed without additional information. (Exit code: null)"
    studio.faults.inject(Fault(kind, text=words))
    assert client.post(CHAT, chat()).json == {"error": words}


def test_pieces_before_the_failure_arrive(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("channel_error", after_pieces=3))
    with client.stream(CHAT, chat()) as stream:
        assert said(stream) == "All is calm"


def test_a_failure_planned_late_strikes_at_the_end(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("channel_error", after_pieces=1000))
    assert client.post(CHAT, chat()).json == {"error": "Channel Error"}


def test_a_bare_error_has_its_message_twice(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("error_event"))
    with client.stream(CHAT, chat()) as stream:
        assert list(stream)[-1].data == {"error": {"message": "Compute error."}, "message": "Compute error."}


@pytest.mark.parametrize("path", [CHAT, "/api/v0/chat/completions", "/api/v1/chat", "/v1/responses", "/v1/messages"])
def test_an_empty_stream_is_a_200_without_a_word(studio: StudioServer, client: Client, path: str) -> None:
    studio.faults.inject(Fault("empty_stream"))
    wants_input = path in {"/api/v1/chat", "/v1/responses"}
    with client.stream(path, {"model": "x", "input": "y"} if wants_input else chat(max_tokens=9)) as stream:
        assert (stream.status, list(stream)) == (200, [])


def test_an_empty_answer_is_a_200_without_text(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("empty_stream"))
    document = client.post(CHAT, chat()).json
    assert (document["choices"][0]["message"]["content"], document["usage"]["completion_tokens"]) == ("", 0)


def test_another_model_answers(studio: StudioServer, client: Client) -> None:
    studio.faults.inject(Fault("wrong_model", text="gemma-3-1b"), times=2)
    assert client.post(CHAT, chat()).json["model"] == "gemma-3-1b"
    with client.stream(CHAT, chat()) as stream:
        assert {event.data["model"] for event in stream if event.data} == {"gemma-3-1b"}


def test_a_stub_is_seven_tokens_that_the_model_never_made(
    studio: StudioServer, client: Client, engine: ScriptedEngine
) -> None:
    studio.faults.inject(Fault("stub_reply"))
    document = client.post(CHAT, chat()).json
    assert document["usage"]["completion_tokens"] == 7
    assert document["choices"][0]["finish_reason"] == "stop"
    assert engine.asked == ()


@pytest.mark.parametrize("path", [CHAT, "/api/v1/chat"])
def test_a_stream_that_is_reset_breaks_at_the_client(studio: StudioServer, client: Client, path: str) -> None:
    studio.faults.inject(Fault("reset_mid_stream"))
    body = chat() if path == CHAT else {"model": "x", "input": "y"}
    with client.stream(path, body) as stream, pytest.raises((ConnectionError, http.client.IncompleteRead)):
        list(stream)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_hang_lasts_until_the_client_goes(
    studio: StudioServer, client: Client, engine: ScriptedEngine, streamed: bool
) -> None:
    studio.faults.inject(Fault("hang"))
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("POST", CHAT, json.dumps(chat(stream=streamed)), client.headers)
        if streamed:
            response = connection.getresponse()
            assert b"All" in response.readline()
        connection.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            (response.read if streamed else connection.getresponse)()
    finally:
        if streamed:
            response.close()
        connection.close()
    wait_until(lambda: engine.abandoned == 1, "the model stopped")


def test_a_hang_ends_when_the_server_stops(make_studio: MakeStudio) -> None:
    studio = make_studio()
    studio.faults.inject(Fault("hang"))
    with Client(studio.port).stream(CHAT, chat()) as stream:
        next(iter(stream))
        studio.stop()
        assert [event for event in stream if event.data is None] == []
