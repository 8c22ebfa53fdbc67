"""What is counted of one exchange: figures, times and outcome, for each route, whole and streamed, and no text."""

import gzip
import json
import zlib

import pytest
from proxy_wire import EVENTS_HEAD, LAST_CHUNK, Books, answer, chunk, request

from exporter.proxy.capture import Allowance
from exporter.proxy.dialogue import Dialogue
from exporter.proxy.exchange import MAX_REQUEST_BYTES, Accounts, Exchange
from exporter.proxy.names import Names
from exporter.proxy.readers import MAX_VECTORS_BYTES, MAX_WHOLE_BYTES

MODEL = "qwen/qwen3-4b"
SECRET = "what the user wrote, and what the model said"
USAGE = {"prompt_tokens": 20, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 3}}
STATS = {"tokens_per_second": 40.0, "time_to_first_token": 0.25, "generation_time": 0.2, "stop_reason": "eosFound"}
NATIVE = {"input_tokens": 20, "total_output_tokens": 10, "reasoning_output_tokens": 3, "tokens_per_second": 40.0, "time_to_first_token_seconds": 0.25}  # fmt: skip
RESPONSES = {"input_tokens": 20, "output_tokens": 10, "input_tokens_details": {"cached_tokens": 5}, "output_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip
MESSAGES = {"input_tokens": 20, "output_tokens": 10, "cache_read_input_tokens": 5}


class Listener:
    """A dialogue with the books that it ends up in."""

    def __init__(self, base="", held=32 << 20):
        self.books = Books()
        self.uncounted = []
        accounts = Accounts(
            server="desk",
            url="http://127.0.0.1:1234",
            base=base,
            names=Names(lambda name: name == MODEL),
            allowance=Allowance(held),
            context_of={MODEL: 8192}.get,
            on_prediction=self.books.prediction,
            on_failure=self.books.failure,
            on_response=self.books.response,
        )
        self.dialogue = Dialogue(lambda head, at: Exchange(accounts, head, at), self.uncounted.append)

    def ask(self, path, document, at=100.0):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.dialogue.sent(request(body, path), at)

    def pieces(self, *pieces, began=101.0, apart=0.5):
        """The head, and each piece of the body half a second after the one before."""
        self.dialogue.received(EVENTS_HEAD, began - 0.1)
        for number, piece in enumerate(pieces):
            self.dialogue.received(chunk(piece), began + number * apart)
        self.dialogue.received(LAST_CHUNK, began + len(pieces) * apart)


@pytest.fixture
def listener():
    return Listener()


def event(document, kind=""):
    name = f"event: {kind}\n" if kind else ""
    return f"{name}data: {json.dumps(document)}\n\n".encode()


def delta(finish=None, **part):
    return event({"model": MODEL, "choices": [{"index": 0, "delta": part, "finish_reason": finish}]})


DONE = b"data: [DONE]\n\n"
CHAT_CHUNKS = [delta(role="assistant", content=""), delta(content=SECRET), delta(content=SECRET), delta("stop")]
WHOLE = {
    "/v1/chat/completions": (
        {
            "model": MODEL,
            "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}],
            "usage": USAGE,
            "stats": {},
        },
        ("stop", 20, 10, 3, None, None, None, "clock"),
    ),
    "/api/v0/chat/completions": (
        {
            "model": MODEL,
            "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}],
            "usage": USAGE,
            "stats": STATS,
        },
        ("stop", 20, 10, 3, None, 0.25, 40.0, "server"),
    ),
    "/v1/completions": (
        {"model": MODEL, "choices": [{"text": SECRET, "finish_reason": "length"}], "usage": USAGE},
        ("length", 20, 10, 3, None, None, None, "clock"),
    ),
    "/api/v1/chat": (
        {"model_instance_id": MODEL, "output": [{"type": "message", "content": SECRET}], "stats": NATIVE},
        ("unknown", 20, 10, 3, None, 0.25, 40.0, "server"),
    ),
    "/v1/responses": (
        {
            "model": MODEL,
            "status": "completed",
            "error": None,
            "output": [{"content": [{"text": SECRET}]}],
            "usage": RESPONSES,
        },
        ("completed", 20, 10, 3, 5, None, None, "clock"),
    ),
    "/v1/messages": (
        {
            "type": "message",
            "model": MODEL,
            "content": [{"text": SECRET}],
            "stop_reason": "end_turn",
            "usage": MESSAGES,
        },
        ("end_turn", 20, 10, None, 5, None, None, "clock"),
    ),
    "/v1/embeddings": (
        {"model": MODEL, "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 0, "total_tokens": 0}},
        ("unknown", None, None, None, None, None, None, "clock"),
    ),
    "/chat/completions": (
        {
            "model": MODEL,
            "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}],
            "timings": {
                "prompt_n": 15,
                "cache_n": 5,
                "prompt_ms": 250,
                "predicted_n": 10,
                "predicted_per_second": 40.0,
            },
        },
        ("stop", 20, 10, None, 5, 0.25, 40.0, "server"),
    ),
}
STREAMED = {
    "chat without usage": ("/v1/chat/completions", [*CHAT_CHUNKS, DONE], ("stop", None, None, None, None, 1.5, None, "clock")),
    "chat with usage": (
        "/v1/chat/completions",
        [*CHAT_CHUNKS, event({"model": MODEL, "choices": [], "usage": USAGE}), DONE],
        ("stop", 20, 10, 3, None, 1.5, 12.0, "clock"),
    ),
    "chat with tools": (
        "/v1/chat/completions",
        [delta(role="assistant"), delta(tool_calls=[{"index": 0}]), delta("tool_calls"), DONE],
        ("tool_calls", None, None, None, None, 1.5, None, "clock"),
    ),
    "chat with reasoning first": (
        "/v1/chat/completions",
        [delta(reasoning_content=SECRET), delta(content=SECRET), delta("stop"), DONE],
        ("stop", None, None, None, None, 1.0, None, "clock"),
    ),
    "chat with usage and its thinking": (
        "/v1/chat/completions",
        [delta(reasoning=SECRET), delta(content=SECRET), delta("stop"), event({"choices": [], "usage": USAGE}), DONE],
        ("stop", 20, 10, 3, None, 1.0, 18.0, "clock"),
    ),
    "v0 with stats": (
        "/api/v0/chat/completions",
        [*CHAT_CHUNKS, event({"model": MODEL, "choices": [], "usage": USAGE, "stats": STATS}), DONE],
        ("stop", 20, 10, 3, None, 1.5, 40.0, "server"),
    ),
    "completions": (
        "/v1/completions",
        [
            event({"model": MODEL, "choices": [{"text": SECRET, "finish_reason": None}]}),
            event({"model": MODEL, "choices": [{"text": "", "finish_reason": "stop"}], "usage": USAGE}),
            DONE,
        ],
        ("stop", 20, 10, 3, None, 1.0, None, "clock"),
    ),
    "native": (
        "/api/v1/chat",
        [
            event({"type": "chat.start", "model_instance_id": MODEL}, "chat.start"),
            event({"type": "prompt_processing.progress", "progress": 0.5}, "prompt_processing.progress"),
            event({"type": "reasoning.delta", "content": SECRET}, "reasoning.delta"),
            event({"type": "message.delta", "content": SECRET}, "message.delta"),
            event({"type": "chat.end", "result": WHOLE["/api/v1/chat"][0]}, "chat.end"),
        ],
        ("unknown", 20, 10, 3, None, 2.0, 40.0, "server"),
    ),
    "responses": (
        "/v1/responses",
        [
            event({"type": "response.created", "response": {"status": "in_progress", "model": MODEL}}, "response.created"),
            event({"type": "response.output_text.delta", "delta": SECRET}, "response.output_text.delta"),
            event({"type": "response.output_text.delta", "delta": SECRET}, "response.output_text.delta"),
            event({"type": "response.completed", "response": WHOLE["/v1/responses"][0]}, "response.completed"),
        ],
        ("completed", 20, 10, 3, 5, 1.5, 12.0, "clock"),
    ),
    "messages": (
        "/v1/messages",
        [
            event({"type": "message_start", "message": {"model": MODEL, "usage": {"input_tokens": 20, "output_tokens": 0}}}),
            event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": SECRET}}),
            event({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": SECRET}}),
            event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 10}}),
            event({"type": "message_stop"}),
        ],
        ("end_turn", 20, 10, None, None, 1.5, 18.0, "clock"),
    ),
}  # fmt: skip


def figures(prediction):
    return (
        prediction.finish_reason,
        prediction.prompt_tokens,
        prediction.output_tokens,
        prediction.reasoning_tokens,
        prediction.cached_prompt_tokens,
        prediction.time_to_first_token_seconds and round(prediction.time_to_first_token_seconds, 6),
        prediction.tokens_per_second and round(prediction.tokens_per_second, 6),
        prediction.timed_by,
    )


@pytest.mark.parametrize("path", WHOLE)
def test_an_answer_in_one_piece(listener, path):
    document, expected = WHOLE[path]
    listener.ask(path, {"model": "qwen"})
    listener.dialogue.received(answer(json.dumps(document).encode()), 103.0)
    prediction = listener.books.one_prediction()
    assert figures(prediction) == expected
    assert (prediction.server, prediction.model, prediction.asked_model) == ("desk", MODEL, "qwen")
    assert prediction.duration_seconds == 3.0
    assert listener.books.contexts == [8192]
    assert listener.books.responses == [("desk", MODEL, 200)]


@pytest.mark.parametrize(("path", "pieces", "expected"), STREAMED.values(), ids=STREAMED)
def test_an_answer_in_events(listener, path, pieces, expected):
    """The first piece comes a second after the request, each further one half a second later."""
    listener.ask(path, {"model": "qwen", "stream": True})
    listener.pieces(*pieces)
    prediction = listener.books.one_prediction()
    assert figures(prediction) == expected
    assert (prediction.model, prediction.asked_model) == (MODEL, "qwen")
    assert prediction.duration_seconds == pytest.approx(1 + len(pieces) * 0.5)


@pytest.mark.parametrize(("path", "pieces", "expected"), STREAMED.values(), ids=STREAMED)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_packed_events_are_counted_the_same(listener, path, pieces, expected, coding):
    packer = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    packed = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    packed[-1] += packer.flush()
    listener.ask(path, {"model": "qwen", "stream": True})
    head = EVENTS_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: %s\r\n\r\n" % coding.encode())
    listener.dialogue.received(head, 100.9)
    for number, piece in enumerate(packed):
        listener.dialogue.received(chunk(piece), 101 + number * 0.5)
    listener.dialogue.received(LAST_CHUNK, 110.0)
    assert figures(listener.books.one_prediction()) == expected


def test_no_text_of_question_or_answer_is_kept(listener):
    """Neither in what is reported, nor in what the connection still holds when the answer is complete."""
    listener.ask("/v1/chat/completions", {"model": MODEL, "messages": [{"content": SECRET}], "stream": True})
    listener.pieces(*CHAT_CHUNKS, DONE)
    listener.ask("/v1/chat/completions", {"model": MODEL, "messages": [{"content": SECRET}]})
    listener.dialogue.received(answer(json.dumps({"error": {"message": SECRET}}).encode(), status="400 No"), 120.0)
    assert len(listener.books.predictions) == len(listener.books.failures) == 1
    assert SECRET not in repr(vars(listener.books))
    assert SECRET not in str(listener.books.failures[0][3])
    held, seen = [listener.dialogue], set()
    while held:
        thing = held.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        assert not (isinstance(thing, str) and SECRET in thing), thing
        assert not (isinstance(thing, bytes | bytearray) and SECRET.encode() in thing), thing
        names = [*getattr(thing, "__dict__", {}), *getattr(type(thing), "__slots__", ())]
        held += [getattr(thing, name) for name in names if hasattr(thing, name)]
        held += list(thing.values()) if isinstance(thing, dict) else []
        held += list(thing) if isinstance(thing, list | tuple | set) or type(thing).__name__ == "deque" else []


OK = {"model": MODEL, "choices": [{"message": {"content": SECRET}, "finish_reason": "stop"}]}
ERROR = {"error": {"message": "Engine protocol predict stream returned an error", "code": 500}}
WHOLE_FAILURES = {
    "200 with an error": (200, "application/json", b'{"error": "Unexpected endpoint or method. (POST /v1/x)"}', "unexpected_endpoint"),
    "400 for the context": (400, "application/json", b'{"error": "request (9 tokens) exceeds the available context size (4 tokens)"}', "context_overflow"),
    "a slot timeout": (400, "application/json", json.dumps(ERROR).encode(), "slot_timeout"),
    "401": (401, "application/json", b'{"error": {"code": "invalid_api_key", "message": "x"}}', "auth"),
    "HTML": (500, "text/html", b"<!DOCTYPE html><pre>boom</pre>", "server_error"),
    "no JSON": (200, "application/json", b'{"choices": [', "bad_answer"),
    "an empty answer": (200, "application/json", json.dumps({"model": MODEL, "choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}).encode(), "empty_answer"),
    "a failed response": (503, "application/json", b"", "busy"),
}  # fmt: skip


@pytest.mark.parametrize("failure", WHOLE_FAILURES.values(), ids=WHOLE_FAILURES)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_is_a_failure(listener, failure, streamed):
    status, kind, body, reason = failure
    listener.ask("/v1/chat/completions", {"model": MODEL, "stream": streamed})
    listener.dialogue.received(answer(body, kind, status=f"{status} X"), 101.0)
    assert listener.books.one_failure().reason == reason
    assert listener.books.failures[0][:3] == ("desk", MODEL, "traffic")
    assert listener.books.responses == [("desk", MODEL, status)]


STREAM_FAILURES = {
    "an error event": ("/v1/chat/completions", [delta(content="a"), event({"error": {"message": "Channel Error"}}, "error")], "channel_error"),
    "an error event in words": ("/v1/chat/completions", [b"event: error\ndata: terminated\n\n"], "channel_error"),
    "an error event without the key": ("/v1/chat/completions", [event({"message": "Model is unloaded."}, "error")], "no_model_loaded"),
    "an error without an event": ("/v1/chat/completions", [event({"error": {"message": "Compute error."}, "message": "Compute error."})], "server_error"),
    "an error, then the end": ("/v1/chat/completions", [event(ERROR), DONE], "slot_timeout"),
    "no event": ("/v1/chat/completions", [], "empty_answer"),
    "no end": ("/v1/chat/completions", [delta(content="a")], "stream_cut"),
    "no token": ("/v1/chat/completions", [delta(role="assistant"), delta("stop"), DONE], "empty_answer"),
    "no JSON": ("/v1/chat/completions", [b"data: {half\n\n", DONE], "bad_answer"),
    "a native error": ("/api/v1/chat", [event({"type": "error", "error": {"type": "unknown", "message": "The model has crashed without additional information."}}), event({"type": "chat.end", "result": {"output": [], "stats": NATIVE}})], "crashed"),
    "a native stream without its end": ("/api/v1/chat", [event({"type": "message.delta", "content": "a"})], "stream_cut"),
    "a failed response": ("/v1/responses", [event({"type": "response.failed", "response": {"status": "failed", "error": {"message": "Compute error."}}})], "server_error"),
    "a responses error": ("/v1/responses", [event({"type": "error", "code": "x", "message": "Model is unloaded."}, "error")], "no_model_loaded"),
    "a messages error": ("/v1/messages", [event({"type": "error", "error": {"type": "api_error", "message": "Channel Error"}}, "error")], "channel_error"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "pieces", "reason"), STREAM_FAILURES.values(), ids=STREAM_FAILURES)
def test_a_stream_that_is_a_failure(listener, path, pieces, reason):
    listener.ask(path, {"model": MODEL, "stream": True})
    listener.pieces(*pieces)
    assert listener.books.one_failure().reason == reason


def test_an_answer_cut_short_by_its_limit_may_be_empty(listener):
    """With a reasoning model and few tokens, nothing but the limit is to blame."""
    document = {"model": MODEL, "choices": [{"message": {"content": ""}, "finish_reason": "length"}], "usage": USAGE}
    listener.ask("/v1/chat/completions", {"model": MODEL, "max_tokens": 1})
    listener.dialogue.received(answer(json.dumps(document).encode()), 101.0)
    assert listener.books.one_prediction().finish_reason == "length"


class TestWhatIsNotRead:
    """Counted by its status only."""

    def ask(self, listener, reply, path="/v1/chat/completions"):
        listener.ask(path, {"model": MODEL})
        for at in range(0, len(reply), 1 << 20):
            listener.dialogue.received(reply[at : at + (1 << 20)], 101.0)

    @pytest.mark.parametrize(
        "reply",
        [
            answer(b"\x01", "application/json", "Content-Encoding: br"),
            answer(b"no gzip", "application/json", "Content-Encoding: gzip"),
            answer(gzip.compress(json.dumps(OK).encode())[:-9], "application/json", "Content-Encoding: gzip"),
            answer(b'"' + b"x" * MAX_WHOLE_BYTES + b'"'),
            answer(gzip.compress(b'"' + b"x" * MAX_WHOLE_BYTES + b'"'), "application/json", "Content-Encoding: gzip"),
        ],
        ids=["unknown coding", "not packed", "half packed", "too long", "too long unpacked"],
    )
    def test_succeeded_if_the_status_says_so(self, listener, reply):
        self.ask(listener, reply)
        prediction = listener.books.one_prediction()
        assert (prediction.model, prediction.output_tokens, prediction.finish_reason) == (MODEL, None, "unknown")
        assert not listener.uncounted

    def test_failed_if_the_status_says_so(self, listener):
        self.ask(listener, answer(b"\x01", "application/json", "Content-Encoding: br", status="503 X"))
        assert listener.books.one_failure().reason == "busy"

    def test_long_lists_of_vectors_are_not(self, listener):
        vectors = {"model": "other", "data": [{"embedding": [0.123456789] * 1000} for _ in range(30)]}
        body = json.dumps(vectors).encode()
        assert len(body) > MAX_VECTORS_BYTES
        self.ask(listener, answer(body), "/v1/embeddings")
        assert listener.books.one_prediction().model == MODEL

    def test_of_a_request_too_long_the_answer_names_the_model(self, listener):
        listener.ask("/v1/chat/completions", json.dumps({"model": "asked", "x": "y" * MAX_REQUEST_BYTES}).encode())
        listener.dialogue.received(answer(json.dumps(OK).encode()), 101.0)
        prediction = listener.books.one_prediction()
        assert (prediction.model, prediction.asked_model) == (MODEL, "")

    def test_what_others_hold_already_is_not_held(self):
        listener = Listener(held=1000)
        self.ask(listener, answer(json.dumps({**OK, "x": "y" * 1000}).encode()))
        assert listener.books.one_prediction().output_tokens is None
        self.ask(listener, answer(json.dumps({**OK, "usage": USAGE}).encode()))
        assert listener.books.predictions[1].output_tokens == 10

    def test_an_endless_event_leaves_what_was_read_before(self, listener):
        listener.ask("/v1/chat/completions", {"model": MODEL, "stream": True})
        listener.pieces(delta(content="a"), *[b"data: " + b"x" * (1 << 20)] * 5, DONE)
        assert listener.books.one_prediction().time_to_first_token_seconds == 1.0


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b'{"model": 7}', b'{"model": null}', b"\xff", b"[" * 100_000]
)
def test_a_request_that_names_no_model(listener, body):
    listener.ask("/v1/chat/completions", body)
    listener.dialogue.received(answer(b'{"error": "x"}', status="400 No"), 101.0)
    assert listener.books.failures[0][1] == "unknown"
    assert not listener.uncounted


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"GET /v1/chat/completions HTTP/1.1", "a page"),
        (b"POST /v1/models HTTP/1.1", "no model answers there"),
        (b"POST /api/v1/models/load HTTP/1.1", "nor there"),
        (b"OPTIONS * HTTP/1.1", "nor there"),
    ],
)
def test_other_routes_are_counted_by_their_status(listener, line, path):
    del path
    listener.dialogue.sent(line + b"\r\nHost: x\r\n\r\n", 100.0)
    listener.dialogue.received(answer(b"whatever", status="418 X"), 101.0)
    assert listener.books.responses == [("desk", "", 418)]
    assert not listener.books.predictions
    assert not listener.books.failures


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions",
        "/v1/chat/completions?x=1",
        "/v1/chat/completions/",
        "http://desk:1234/v1/chat/completions",
    ],
)
def test_a_route_is_known_however_it_is_written(listener, target):
    listener.ask(target, {"model": MODEL})
    listener.dialogue.received(answer(json.dumps(OK).encode()), 101.0)
    assert listener.books.one_prediction()


def test_a_server_below_a_path_is_asked_below_that_path():
    listener = Listener(base="/lmstudio")
    listener.ask("/lmstudio/v1/chat/completions", {"model": MODEL})
    listener.dialogue.received(answer(json.dumps(OK).encode()), 101.0)
    assert listener.books.one_prediction()


def test_names_that_the_server_does_not_list_are_limited(listener):
    """A server that repeats the name that it was asked for makes no label of each."""
    for number in range(200):
        listener.ask("/v1/chat/completions", {"model": f"m{number}"})
        body = json.dumps({**OK, "model": f"m{number}"}).encode()
        listener.dialogue.received(answer(body), 101.0)
        listener.ask("/v1/chat/completions", {"model": f"n{number}"})
        listener.dialogue.received(answer(b'{"error": "x"}', status="404 No"), 101.0)
    names = {prediction.model for prediction in listener.books.predictions}
    assert len(names) == 65
    assert "unknown" in names
    assert {model for _, model, _, _ in listener.books.failures} == {"unknown"}
    assert {model for _, model, _ in listener.books.responses} == names


def test_a_name_of_any_length_makes_no_label(listener):
    listener.ask("/v1/chat/completions", {"model": "x" * 10_000})
    listener.dialogue.received(answer(json.dumps({**OK, "model": "x" * 10_000}).encode()), 101.0)
    assert listener.books.one_prediction().model == "unknown"
