import json

import pytest

from exporter.lmstudio.failures import FAILURES, REASONS, ModelFailure, classify, failure_in, from_http, load_json
from exporter.sources.http import HttpError

JSON = "application/json; charset=utf-8"


def openai_error(message, **more):
    return {"error": {"message": message, **more}}


# Every row of the fact sheet's error catalogue, in the forms in which it was seen, and those of llama.cpp and vLLM.
CATALOGUE = [
    ("unexpected_endpoint", 200, {"error": "Unexpected endpoint or method. (GET /v1/nope)"}),
    ("unexpected_endpoint", 404, {"error": "Unexpected endpoint or method. (GET /api/v1/nope)"}),
    ("unexpected_endpoint", 200, {"error": "Unexpected endpoint or method. (GET /v1/chat/completions)"}),
    ("unexpected_endpoint", 404, openai_error("File Not Found", type="not_found_error", code=404)),
    ("unexpected_endpoint", 404, {"detail": "Not Found"}),
    ("unexpected_endpoint", 405, {"detail": "Method Not Allowed"}),
    ("auth", 401, openai_error("Malformed API token", type="invalid_request", code="invalid_api_key")),
    ("auth", 200, openai_error("no access", code="invalid_api_key")),
    ("auth", 403, {}),
    (
        "model_not_found",
        404,
        openai_error('Model "x" not found', type="invalid_request_error", param="model", code="model_not_found"),
    ),
    (
        "model_not_found",
        400,
        openai_error('Invalid model identifier "x".', type="invalid_request_error", param="model", code=None),
    ),
    ("model_not_found", 404, openai_error("The model `x` does not exist.", type="NotFoundError", code=404)),
    ("no_model_loaded", 404, {"error": "No models loaded. Please load a model in the developer page."}),
    ("no_model_loaded", 400, openai_error("No models loaded.", type="invalid_request_error", code=None)),
    ("no_model_loaded", 400, {"error": "Model is unloaded."}),
    ("load_failed", 400, openai_error('Failed to load model "x". Error: Operation canceled.')),
    ("load_failed", 404, {"error": 'Failed to load model "x". Error: Exit code: 1'}),
    ("load_failed", 500, openai_error("engine said no", code="model_load_failed")),
    ("load_failed", 400, {"error": "Engine protocol startup was aborted"}),
    (
        "guardrail",
        400,
        {"error": 'Failed to load model "x". Model loading was stopped due to insufficient system resources.'},
    ),
    ("channel_error", 400, {"error": "Engine protocol predict request failed: fetch failed"}),
    ("channel_error", 500, {"error": "Channel Error"}),
    ("channel_error", 200, openai_error("terminated")),
    ("slot_timeout", 400, {"error": "Engine protocol predict stream returned an error: {code: 500}"}),
    (
        "context_overflow",
        400,
        {
            "error": "Engine protocol predict request returned 400: request (5000 tokens) exceeds the available "
            "context size (4096 tokens), try increasing it"
        },
    ),
    (
        "context_overflow",
        400,
        openai_error("request (9031 tokens) exceeds the context", code=400, type="exceed_context_size_error"),
    ),
    (
        "context_overflow",
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the context length "
            "(n_keep: 5000>= n_ctx: 4096). Try to load the model with a larger context length"
        },
    ),
    ("context_overflow", 400, {"error": "Cannot truncate prompt with n_keep (5000) >= n_ctx (4096)"}),
    (
        "context_overflow",
        400,
        {
            "error": "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with 4096"
        },
    ),
    ("context_overflow", 500, {"error": "Context size has been exceeded."}),
    (
        "context_overflow",
        400,
        openai_error("This model's maximum context length is 4096 tokens.", code="context_length_exceeded"),
    ),
    ("grammar", 400, {"error": "'response_format.type' must be 'json_schema' or 'text'"}),
    ("grammar", 400, openai_error("failed to parse grammar", type="invalid_request_error")),
    ("grammar", 400, openai_error("JSON schema error at #: unrecognized type nonsense", code=400)),
    ("grammar", 400, openai_error("unknown field", param="response_format")),
    ("image_refused", 400, openai_error("Model does not support image inputs.")),
    ("image_refused", 400, {"error": "'url' field must be a base64 encoded image."}),
    ("image_refused", 500, openai_error("image input is not supported - hint: you may need to provide the mmproj")),
    ("image_refused", 500, openai_error('Failed to parse messages: Unsupported content part type: "image_url"')),
    ("image_refused", 400, openai_error("qwen2.5-7b is not a multimodal model", type="BadRequestError")),
    ("image_refused", 400, {"error": "Failed to process image"}),
    ("invalid_request", 400, openai_error("missing", code="missing_required_parameter", param="model")),
    ("invalid_request", 422, {"detail": [{"loc": ["body", "n"], "msg": "too small"}]}),
    ("crashed", 400, {"error": "The model has crashed without additional information. (Exit code: null)"}),
    ("crashed", 500, {"error": "The model has crashed. (Exit code: 18446744072635812000)"}),
    ("server_error", 400, {"error": "received prediction-error"}),
    ("server_error", 200, {"error": {"message": "Compute error."}, "message": "Compute error."}),
    ("server_error", 400, {"error": "Engine protocol predict request returned 500: no reason given"}),
    ("server_error", 500, {"message": "boom"}),
    ("server_error", 500, {}),
    ("busy", 503, openai_error("Loading model", type="unavailable_error", code=503)),
    ("busy", 429, {"error": "slow down"}),
    ("timeout", 504, {"error": "gateway"}),
    ("cancelled", 400, {"error": "Operation canceled"}),
    ("unknown", 200, {"error": "a text nobody has seen before"}),
    ("unknown", 200, {"error": {"code": 7}}),
    ("unknown", 200, {"error": {}}),
    ("invalid_request", 400, ["not", "an", "object"]),
]


@pytest.mark.parametrize(("reason", "status", "document"), CATALOGUE)
def test_the_error_catalogue(reason, status, document):
    failure = classify(status, JSON, json.dumps(document).encode(), url="http://desk:1234/v1/x")
    assert failure is not None
    assert (failure.reason, failure.status, failure.url) == (reason, status, "http://desk:1234/v1/x")
    assert failure.detail


@pytest.mark.parametrize(
    ("reason", "status", "content_type"),
    [("server_error", 500, "text/html"), ("server_error", 502, ""), ("bad_answer", 200, "text/html; charset=utf-8")],
)
def test_an_html_page_is_a_failure_and_its_text_is_the_detail(reason, status, content_type):
    page = b"\n<!DOCTYPE html><html><head><style>p {color: red}</style></head><body><p>It broke</p></body></html>"
    failure = classify(status, content_type, page)
    assert (failure.reason, failure.detail) == (reason, "It broke")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param(JSON, b'{"object": "list", "data": []}', id="a list"),
        pytest.param(JSON, b'{"id": "x", "error": null, "choices": []}', id="error null"),
        pytest.param(JSON, b'{"message": "hello"}', id="a message alone is no error"),
        pytest.param(JSON, b"[1]", id="an array"),
        pytest.param("text/event-stream; charset=utf-8", b"", id="an event stream is judged by its events"),
    ],
)
def test_what_is_no_failure(content_type, body):
    assert classify(200, content_type, body) is None


@pytest.mark.parametrize("body", [b"", b"{", b"hello", b"\xff\xfe", b"12", b"null", b"[" * 100_000])
def test_200_without_a_json_document_is_a_bad_answer(body):
    assert classify(200, JSON, body).reason == "bad_answer"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, "bad_answer"),
        (400, "invalid_request"),
        (401, "auth"),
        (404, "unexpected_endpoint"),
        (503, "busy"),
        (599, "server_error"),
    ],
)
def test_without_a_telling_text_the_status_decides(status, reason):
    assert classify(status, "text/plain", b"").reason == reason


@pytest.mark.parametrize("reason", ["unreachable", "timeout", "crashed", "no_model_loaded", "stream_cut", "busy"])
def test_what_may_pass_is_retryable(reason):
    assert ModelFailure(reason).retryable


@pytest.mark.parametrize(
    "reason",
    ["auth", "context_overflow", "grammar", "image_refused", "invalid_request", "cancelled", "model_not_found"],
)
def test_what_repeats_itself_is_not_retryable(reason):
    assert not ModelFailure(reason).retryable


def test_the_reasons_are_a_closed_list_of_label_values():
    assert len(set(REASONS)) == len(REASONS) == len(FAILURES)
    assert all(name.isidentifier() and name.islower() for name in REASONS)
    with pytest.raises(KeyError):
        ModelFailure("something else")


def test_a_failure_reads_as_a_sentence_with_its_place():
    failure = ModelFailure("busy", "Loading model", status=503, url="http://desk:1234/v1/models")
    assert str(failure) == "busy from http://desk:1234/v1/models (status 503): Loading model"
    assert str(ModelFailure("timeout")) == "timeout: no complete answer before the deadline"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("bad token sk-lm-AbCd1234:AbCdEfGhIjKlMnOpQrSt given", "bad token <secret> given"),
        ("header Bearer hunter2 refused", "header Bearer <secret> refused"),
        ("two\nlines\x1b[31m\u202e", "two lines [31m"),
        ("x" * 1000, "x" * 299 + "…"),
    ],
)
def test_details_are_short_printable_and_without_tokens(said, shown):
    assert ModelFailure("unknown", said).detail == shown


@pytest.mark.parametrize(
    ("kind", "answering", "reason"),
    [
        ("timeout", False, "timeout"),
        ("timeout", True, "timeout"),
        ("refused", False, "unreachable"),
        ("unreachable", False, "unreachable"),
        ("reset", False, "unreachable"),
        ("reset", True, "stream_cut"),
        ("protocol", False, "bad_answer"),
        ("protocol", True, "stream_cut"),
        ("dns", False, "unreachable"),
        ("tls", False, "unreachable"),
        ("proxy", False, "unreachable"),
        ("local", False, "unreachable"),
        ("too_large", False, "bad_answer"),
        ("redirect", False, "bad_answer"),
        ("credentials", False, "auth"),
        ("cancelled", True, "cancelled"),
    ],
)
def test_network_errors(kind, answering, reason):
    failure = from_http(HttpError(kind, "http://desk:1234/x?secret=1", "what happened"), answering=answering)
    assert (failure.reason, failure.detail, failure.url) == (reason, "what happened", "http://desk:1234/x")


def test_an_event_of_a_stream_reports_a_failure():
    assert (
        failure_in({"type": "error", "error": {"type": "model_not_found", "message": "no such"}}).reason
        == "model_not_found"
    )
    assert failure_in({"choices": [], "error": None}) is None


def test_json_that_cannot_be_read_is_none():
    assert load_json("[" * 100_000) is None
    assert load_json("9" * 10_000) is None
    assert load_json('{"a": 1}') == {"a": 1}


def test_an_error_nested_as_deep_as_json_can_be_read_is_a_failure():
    for depth in range(900, 1000, 3):
        assert (
            classify(400, JSON, b'{"error": {"odd": ' + b"[" * depth + b"]" * depth + b"}}").reason == "invalid_request"
        )
