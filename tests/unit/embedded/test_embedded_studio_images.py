"""Images for the models of the stand-in: who takes them, in which form, and what they take of the prompt."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from embedded_support import Client, chat

from exporter.embedded.contract import ModelFacts
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_predict import IMAGE_TOKENS

SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff\xe0", "webp": b"RIFF\x00\x00\x00\x00WEBP"}
SEEING = "scripted-vl"


def address(kind: str = "png", file: bytes | None = None) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(SIGNATURES[kind] if file is None else file).decode()


def openai(text: str, images: list[str]) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]}


def responses(text: str, images: list[str]) -> dict[str, Any]:
    parts = [{"type": "input_image", "image_url": image} for image in images]
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}, *parts]}]}


def anthropic(text: str, images: list[str]) -> dict[str, Any]:
    parts = []
    for image in images:
        kind, _, file = image.removeprefix("data:").partition(";base64,")
        parts.append({"type": "image", "source": {"type": "base64", "media_type": kind, "data": file}})
    return {"max_tokens": 64, "messages": [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]}


def native(text: str, images: list[str]) -> dict[str, Any]:
    return {"input": [{"type": "text", "content": text}, *({"type": "image", "data_url": image} for image in images)]}


ROUTES = {
    "/v1/chat/completions": (openai, lambda body: body["usage"]["prompt_tokens"]),
    "/api/v0/chat/completions": (openai, lambda body: body["usage"]["prompt_tokens"]),
    "/v1/responses": (responses, lambda body: body["usage"]["input_tokens"]),
    "/v1/messages": (anthropic, lambda body: body["usage"]["input_tokens"]),
    "/api/v1/chat": (native, lambda body: body["stats"]["input_tokens"]),
}


@pytest.fixture
def seeing() -> ScriptedEngine:
    return ScriptedEngine(lambda _: "A line.", facts=ModelFacts(SEEING))


@pytest.fixture
def client(make_studio: Callable[..., StudioServer], seeing: ScriptedEngine) -> Client:
    blind = ScriptedEngine(lambda _: "All is calm today.")
    return Client(make_studio(blind, DownloadedModel(seeing.facts, kind="vlm", load=seeing.resized)).port)


@pytest.mark.parametrize("path", ROUTES)
def test_each_image_is_counted_in_the_prompt_and_the_text_reaches_the_model(
    client: Client, seeing: ScriptedEngine, path: str
) -> None:
    body, tokens = ROUTES[path]
    counts = []
    for number in (0, 1, 2):
        answered = client.post(path, {"model": SEEING, **body("What is it?", [address()] * number)})
        assert answered.status == 200, answered.body
        counts.append(tokens(answered.json))
    assert counts == [counts[0], counts[0] + IMAGE_TOKENS, counts[0] + 2 * IMAGE_TOKENS]
    assert {request.messages[-1]["content"] for request in seeing.asked} == {"What is it?"}


@pytest.mark.parametrize("path", ROUTES)
def test_a_text_model_refuses_an_image(client: Client, path: str) -> None:
    body, _ = ROUTES[path]
    answered = client.post(path, {"model": "scripted-1b", **body("What is it?", [address()])})
    assert answered.status == 400
    assert answered.json["error"]["message"] == 'Model "scripted-1b" does not support image inputs.'


@pytest.mark.parametrize("kind", SIGNATURES)
def test_the_three_formats_that_are_documented_are_taken(client: Client, kind: str) -> None:
    assert client.post("/v1/chat/completions", {"model": SEEING, **openai("", [address(kind)])}).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/chart.png",
        "file:///chart.png",
        base64.b64encode(SIGNATURES["png"]).decode(),
        address("png", b"<svg/>"),
        "data:image/png;base64,%%%",
        "data:image/png;base64,",
        "data:image/gif;base64,R0lGODlh",
        "",
        None,
    ],
)
def test_what_is_no_image_inside_the_request_is_refused(client: Client, url: Any) -> None:
    answered = client.post("/v1/chat/completions", {"model": SEEING, **openai("", [url])})
    assert (answered.status, answered.json) == (400, {"error": "'url' field must be a base64 encoded image."})


def test_a_stream_is_refused_before_it_begins_and_counts_like_a_whole_answer(client: Client) -> None:
    refused = client.post("/v1/chat/completions", {**chat(), **openai("", [address()]), "stream": True})
    assert (refused.status, refused.headers["content-type"].partition(";")[0]) == (400, "application/json")
    asked = {"model": SEEING, "stream_options": {"include_usage": True}, **openai("Hm?", [address()])}
    with client.stream("/v1/chat/completions", asked) as stream:
        *_, usage, end = stream
    assert end.data is None
    assert usage.data["usage"]["prompt_tokens"] > IMAGE_TOKENS
