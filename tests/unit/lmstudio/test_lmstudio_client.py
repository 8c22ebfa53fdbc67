import threading
import time

import pytest
from lmstudio_fake import (
    DONE,
    OPENAI_CHAT,
    V0_CHAT,
    answer,
    close,
    data,
    delta,
    hang,
    html,
    json_reply,
    raw,
    reset,
    stream,
    unexpected_endpoint,
    usage,
)

from exporter.clock import ManualClock, SystemClock
from exporter.config.model import Server
from exporter.lmstudio.client import LmStudioClient, request_body
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.session import open_session
from exporter.lmstudio.wire import ChatRequest, Message
from exporter.sources.http import Cancel

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
QUESTION = ChatRequest(
    model="qwen/qwen3-4b", messages=(Message("system", "Judge."), Message("user", "CPU is at 95 %.")), max_tokens=64
)
FORCED = ChatRequest(model="qwen/qwen3-4b", messages=QUESTION.messages, max_tokens=64, schema=SCHEMA, seed=7)
EAGER = ChatRequest(model="qwen/qwen3-4b", messages=QUESTION.messages, max_tokens=64, reasoning_effort="low")
STATS = {"tokens_per_second": 42.5, "time_to_first_token": 0.2, "generation_time": 1.0, "stop_reason": "eosFound"}


def ask(client, request=QUESTION, *, deadline=10.0, cancel=None, api="openai"):
    return client.chat(request, deadline_seconds=deadline, cancel=cancel, api=api)


def reason_of(client, **more):
    with pytest.raises(ModelFailure) as caught:
        ask(client, **more)
    return caught.value.reason


# ---- the request


def test_the_body_of_a_plain_question():
    assert request_body(QUESTION) == {
        "model": "qwen/qwen3-4b",
        "messages": [{"role": "system", "content": "Judge."}, {"role": "user", "content": "CPU is at 95 %."}],
        "max_tokens": 64,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_schema_is_forced_strictly_and_options_are_sent_only_if_set():
    body = request_body(FORCED)
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
    assert body["seed"] == 7
    assert "reasoning_effort" not in body
    assert request_body(EAGER)["reasoning_effort"] == "low"


# ---- the answer


def test_a_whole_answer(fake, client):
    fake.once("POST", OPENAI_CHAT, answer(["All", " is", " well."], usage(31, 12)))
    got = ask(client)
    assert (got.server, got.model, got.asked_model) == ("desk", "qwen/qwen3-4b", "qwen/qwen3-4b")
    assert (got.text, got.reasoning, got.finish_reason) == ("All is well.", "", "stop")
    assert (got.prompt_tokens, got.output_tokens) == (31, 12)
    assert 0 < got.time_to_first_token_seconds <= got.duration_seconds
    assert fake.bodies() == [request_body(QUESTION)]


class SteppingClock(ManualClock):
    """A manual clock that counts how often it was read: the client reads it once for each event."""

    reads = 0

    def monotonic(self):
        self.reads += 1
        return super().monotonic()


class Steps:
    """Parts of a streamed answer that let time pass once the client has taken what was sent so far."""

    def __init__(self, clock):
        self.clock = clock
        self.expected = 0

    def begin(self, handler):
        self.expected = self.clock.reads

    def after_event(self, seconds):
        def part(handler):
            self.expected += 1
            until = time.monotonic() + 20
            while self.clock.reads < self.expected:
                assert time.monotonic() < until, "the client did not take the event"
                time.sleep(0.001)
            self.clock.advance(seconds)

        return part


@pytest.fixture
def steps(fake, session):
    clock = SteppingClock()
    made = Steps(clock)
    made.client = LmStudioClient(Server(name="desk", url=fake.url), session, clock)
    return made


def test_the_first_token_is_timed_not_the_role(fake, steps):
    role, first, last = delta(role="assistant", content=""), delta("a"), delta("b", finish="stop")
    fake.once(
        "POST",
        OPENAI_CHAT,
        stream(
            steps.begin,
            role,
            steps.after_event(5),
            first,
            steps.after_event(3),
            last,
            steps.after_event(1),
            usage(5, 7),
            DONE,
        ),
    )
    got = ask(steps.client)
    assert (got.time_to_first_token_seconds, got.duration_seconds) == (5, 9)
    assert (got.tokens_per_second, got.timed_by) == (2, "clock")


@pytest.mark.parametrize("kind", ["reasoning_content", "reasoning", "tool_calls"])
def test_a_token_of_any_kind_is_the_first_token(fake, steps, kind):
    first = delta(**{kind: [{"index": 0}] if kind == "tool_calls" else "hm"})
    last = delta("a", finish="stop")
    fake.once("POST", OPENAI_CHAT, stream(steps.begin, first, steps.after_event(5), last, steps.after_event(1), DONE))
    got = ask(steps.client)
    assert (got.time_to_first_token_seconds, got.duration_seconds) == (0, 6)


def test_another_model_than_asked_is_reported_not_refused(fake, client):
    fake.once("POST", OPENAI_CHAT, stream(delta("Hi", model="gemma"), delta(finish="stop", model="gemma"), DONE))
    got = ask(client)
    assert (got.model, got.asked_model) == ("gemma", "qwen/qwen3-4b")


@pytest.mark.parametrize(
    ("parts", "finish_reason"),
    [
        pytest.param([delta("yes", finish="stop")], "stop", id="a finish reason without DONE"),
        pytest.param([delta("yes"), DONE], "unknown", id="DONE without a finish reason"),
        pytest.param([delta("yes", finish="length"), close], "length", id="broken off after the finish reason"),
        pytest.param(
            [delta("yes", finish="stop"), b'data: {"choi', close], "stop", id="half a chunk after the finish reason"
        ),
        pytest.param([b": keep-alive\n\n", delta("yes", finish="stop"), DONE], "stop", id="comments"),
        pytest.param([b"\xef\xbb\xbf", delta("yes", finish="stop"), DONE], "stop", id="a byte order mark"),
    ],
)
def test_what_counts_as_complete(fake, client, parts, finish_reason):
    fake.once("POST", OPENAI_CHAT, stream(*parts))
    got = ask(client)
    assert (got.text, got.finish_reason) == ("yes", finish_reason)


def test_a_server_that_does_not_stream_is_understood(fake, client):
    message = {"role": "assistant", "content": "Hi"}
    fake.once(
        "POST",
        OPENAI_CHAT,
        json_reply(
            {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "stats": STATS}
        ),
    )
    got = ask(client)
    assert (got.text, got.model, got.tokens_per_second, got.timed_by) == ("Hi", "m", 42.5, "server")
    assert got.time_to_first_token_seconds == 0.2


def test_a_stream_under_a_wrong_content_type_is_understood(fake, client):
    fake.once("POST", OPENAI_CHAT, stream(delta("Hi", finish="stop"), DONE, content_type="text/plain"))
    assert ask(client).text == "Hi"


def test_forced_json_in_the_reasoning_is_the_answer(fake, client):
    fake.once("POST", OPENAI_CHAT, stream(delta(reasoning_content='{"score": 1}'), delta(finish="stop"), DONE))
    assert ask(client, request=FORCED).text == '{"score": 1}'


def test_without_a_schema_thinking_is_no_answer(fake, client):
    fake.once("POST", OPENAI_CHAT, stream(delta(reasoning_content="hm"), delta(finish="length"), DONE))
    got = ask(client)
    assert (got.text, got.reasoning, got.finish_reason) == ("", "hm", "length")


# ---- failures


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(json_reply({"error": "Unexpected endpoint or method. (POST /v1/chat/completions)"}), "unexpected_endpoint", id="200 with an error"),
        pytest.param(json_reply({"error": {"message": "Model is unloaded."}}, 400), "no_model_loaded", id="evicted"),
        pytest.param(json_reply({"error": {"code": "invalid_api_key", "message": "no"}}, 401), "auth", id="auth"),
        pytest.param(json_reply({"error": "request (9 tokens) exceeds the available context size (8 tokens)"}, 400), "context_overflow", id="context overflow"),
        pytest.param(html(500), "server_error", id="HTML 500"),
        pytest.param(html(200), "bad_answer", id="HTML 200"),
        pytest.param(raw(b'{"choices": [', "application/json"), "bad_answer", id="half a JSON body"),
        pytest.param(json_reply({"choices": []}), "empty_answer", id="a body without choices"),
        pytest.param(raw(b"", "text/event-stream"), "empty_answer", id="an empty stream"),
        pytest.param(stream(), "empty_answer", id="a chunked empty stream"),
        pytest.param(stream(DONE), "empty_answer", id="only DONE"),
        pytest.param(stream(delta(role="assistant", content=""), delta(finish="stop"), DONE), "empty_answer", id="no token"),
        pytest.param(stream(delta("a"), b"event: error\n" + data({"error": {"message": "terminated"}})), "channel_error", id="an error event"),
        pytest.param(stream(delta("a"), b"event: error\ndata: Channel Error\n\n"), "channel_error", id="an error event in words"),
        pytest.param(stream(delta("a"), data({"error": {"message": "Compute error."}, "message": "Compute error."}), DONE), "server_error", id="an error object"),
        pytest.param(stream(delta("a", finish="stop"), data({"error": "The model has crashed. (Exit code: null)"}), DONE), "crashed", id="an error after the finish reason"),
        pytest.param(stream(delta("a"), b'data: {"choices": [{"del\n\n', DONE), "bad_answer", id="half a JSON chunk"),
        pytest.param(stream(delta("a"), b"data: 17\n\n", DONE), "bad_answer", id="a chunk that is no object"),
        pytest.param(stream(delta("a"), b'data: {"choices": [{"del'), "stream_cut", id="half a JSON chunk at the end"),
        pytest.param(stream(delta("a")), "stream_cut", id="no end mark"),
        pytest.param(stream(delta(role="assistant", content="")), "stream_cut", id="cut before the first token"),
        pytest.param(stream(delta("a"), close), "stream_cut", id="closed in the middle"),
        pytest.param(stream(delta("a"), reset), "stream_cut", id="reset in the middle"),
        pytest.param(stream(b"data: " + b"x" * (5 * 1024**2)), "bad_answer", id="an endless event"),
    ],
)  # fmt: skip
def test_failures(fake, client, reply, reason):
    fake.once("POST", OPENAI_CHAT, reply)
    with pytest.raises(ModelFailure) as caught:
        ask(client)
    assert caught.value.reason == reason
    assert caught.value.url.startswith(fake.url)


def test_a_reset_before_an_answer_is_tried_once_more(fake, client):
    fake.once("POST", OPENAI_CHAT, reset, answer())
    assert ask(client).text == "All is well."


def test_two_resets_before_an_answer_are_a_failure(fake, client):
    fake.once("POST", OPENAI_CHAT, reset, reset)
    assert reason_of(client) == "unreachable"
    assert len(fake.requests) == 2


def test_connections_that_the_server_closes_after_each_answer(fake, client):
    def answer_then_close(handler):
        answer()(handler)
        handler.close_connection = True

    fake.always("POST", OPENAI_CHAT, answer_then_close)
    assert [ask(client).text for _ in range(4)] == ["All is well."] * 4


def test_nobody_listening(fake, session):
    client = LmStudioClient(Server(name="desk", url="http://127.0.0.1:1"), session, SystemClock())
    assert reason_of(client) == "unreachable"


@pytest.mark.parametrize("parts", [[hang], [delta("a"), hang]], ids=["before the first token", "in the middle"])
def test_the_deadline_ends_a_stream_that_hangs(fake, client, parts):
    fake.once("POST", OPENAI_CHAT, stream(*parts))
    assert reason_of(client, deadline=0.2) == "timeout"
    assert fake.broken.wait(10), "the connection was left open"


def test_the_deadline_ends_a_server_that_does_not_answer_at_all(fake, client):
    fake.once("POST", OPENAI_CHAT, hang)
    assert reason_of(client, deadline=0.2) == "timeout"


def test_the_deadline_holds_for_a_stream_that_trickles(fake, client):
    def trickle(handler):
        while not handler.server.release.wait(0.02):
            handler.chunk(delta("a"))

    fake.once("POST", OPENAI_CHAT, stream(trickle))
    assert reason_of(client, deadline=0.3) == "timeout"


def test_no_time_left_is_a_timeout_without_a_request(fake, client):
    assert reason_of(client, deadline=0) == "timeout"
    assert fake.requests == []


@pytest.mark.parametrize("parts", [[hang], [delta("a"), hang]], ids=["before the first token", "in the middle"])
def test_cancelling_ends_a_call_and_closes_its_connection(fake, client, parts):
    cancel = Cancel()
    started = threading.Event()
    fake.once("POST", OPENAI_CHAT, stream(lambda handler: started.set(), *parts))
    canceller = threading.Thread(target=lambda: started.wait(10) and cancel.cancel())
    canceller.start()
    assert reason_of(client, deadline=60, cancel=cancel) == "cancelled"
    assert fake.broken.wait(10), "the connection was left open"
    canceller.join()


# ---- which route


@pytest.mark.parametrize("api", ["v1", "v0"])
def test_lm_studio_is_asked_on_the_route_that_may_send_stats(fake, client, api):
    fake.always("POST", V0_CHAT, answer(["a"] * 9, usage(20, 9, stats=STATS)))
    got = [ask(client, request=FORCED, api=api) for _ in range(2)]
    assert (got[0].tokens_per_second, got[0].timed_by) == (42.5, "server")
    assert fake.paths() == [V0_CHAT, V0_CHAT]
    assert fake.bodies()[0]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("api", ["openai", None])
def test_other_servers_are_asked_on_the_openai_route(fake, client, api):
    fake.once("POST", OPENAI_CHAT, answer())
    ask(client, api=api)
    assert fake.paths() == [OPENAI_CHAT]


def test_without_stats_the_openai_route_is_taken_from_the_second_call_on(fake, client):
    fake.once("POST", V0_CHAT, answer())
    fake.once("POST", OPENAI_CHAT, answer(), answer())
    for _ in range(3):
        ask(client, api="v1")
    assert fake.paths() == [V0_CHAT, OPENAI_CHAT, OPENAI_CHAT]


@pytest.mark.parametrize("status", [200, 404])
def test_an_unknown_v0_route_is_replaced_for_good(fake, client, status):
    fake.once("POST", V0_CHAT, unexpected_endpoint("POST", V0_CHAT, status))
    fake.once("POST", OPENAI_CHAT, answer(), answer())
    assert [ask(client, api="v1").text for _ in range(2)] == ["All is well."] * 2
    assert fake.paths() == [V0_CHAT, OPENAI_CHAT, OPENAI_CHAT]


def test_a_schema_that_the_v0_route_refuses_is_tried_on_the_other(fake, client):
    fake.once("POST", V0_CHAT, json_reply({"error": "'response_format' is not supported"}, 400))
    fake.once("POST", OPENAI_CHAT, answer(['{"score": 1}']))
    assert ask(client, request=FORCED, api="v0").text == '{"score": 1}'


def test_a_schema_that_no_route_takes_is_a_grammar_failure_and_blames_no_route(fake, client):
    refusal = json_reply({"error": {"message": "failed to parse grammar"}}, 400)
    fake.once("POST", V0_CHAT, refusal, answer(["a"], usage(1, 1, stats=STATS)))
    fake.once("POST", OPENAI_CHAT, refusal)
    assert reason_of(client, request=FORCED, api="v1") == "grammar"
    ask(client, api="v1")
    assert fake.paths() == [V0_CHAT, OPENAI_CHAT, V0_CHAT]


def test_other_failures_of_the_v0_route_are_final(fake, client):
    fake.once("POST", V0_CHAT, json_reply({"error": "No models loaded."}, 404))
    assert reason_of(client, api="v1") == "no_model_loaded"


# ---- optional fields


def test_a_refused_reasoning_effort_is_left_out_and_that_is_remembered_for_the_model(fake, client):
    refusal = json_reply(
        {"error": {"message": "Unsupported value: 'reasoning_effort'", "type": "invalid_request"}}, 400
    )
    fake.once("POST", OPENAI_CHAT, refusal, answer(), answer(), answer())
    ask(client, request=EAGER)
    ask(client, request=EAGER)
    ask(client, request=ChatRequest("other", QUESTION.messages, 64, reasoning_effort="low"))
    assert ["reasoning_effort" in body for body in fake.bodies()] == [True, False, False, True]


def test_a_server_that_knows_no_stream_options_is_asked_without(fake, client):
    refusal = json_reply(
        {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}, 422
    )
    fake.once("POST", OPENAI_CHAT, refusal, answer())
    assert ask(client).text == "All is well."
    assert "stream_options" not in fake.bodies()[1]


def test_a_breakdown_that_names_a_field_is_no_refusal_of_it(fake, client):
    fake.once("POST", OPENAI_CHAT, json_reply({"error": "crashed on reasoning_effort"}, 500))
    assert reason_of(client, request=EAGER) == "server_error"
    assert len(fake.requests) == 1


def test_a_refusal_of_something_else_is_not_repeated(fake, client):
    fake.once("POST", OPENAI_CHAT, json_reply({"error": {"message": "max_tokens is too large"}}, 400))
    assert reason_of(client, request=EAGER) == "invalid_request"
    assert len(fake.requests) == 1


def test_the_token_goes_out_with_a_question(fake, tmp_path):
    token = tmp_path / "token.txt"
    token.write_text("sk-lm-abc")
    config = Server(name="desk", url=fake.url, api_token_file=token)
    session = open_session(config)
    fake.once("POST", OPENAI_CHAT, answer())
    ask(LmStudioClient(config, session, SystemClock()))
    session.close()
    assert fake.requests[0][3]["Authorization"] == "Bearer sk-lm-abc"
