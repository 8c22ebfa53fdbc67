"""How an image goes to a server, and what happens where it is not wanted."""

import base64

import pytest
from lmstudio_fake import OPENAI_CHAT, V0_CHAT, answer, json_reply

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.embedded.contract import ModelFacts
from exporter.embedded.scripted import ScriptedEngine
from exporter.embedded.studio import StudioServer
from exporter.embedded.studio_disk import DownloadedModel
from exporter.embedded.studio_predict import IMAGE_TOKENS
from exporter.lmstudio.client import request_body
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import open_lane
from exporter.lmstudio.wire import ChatRequest, Image, Message
from exporter.sources.http import Cancel

FILE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
TEXT_ONLY = (Message("system", "Judge."), Message("user", "What do you see?"))
WITH_IMAGE = (TEXT_ONLY[0], Message("user", "What do you see?", Image(FILE)))
ENCODED = "data:image/png;base64," + base64.b64encode(FILE).decode()


def question(messages=WITH_IMAGE, model="scripted-1b", **more):
    return ChatRequest(model, messages, 64, **more)


def ask(client, request, api="openai"):
    return client.chat(request, deadline_seconds=10, api=api)


# ---- the request


def test_an_image_follows_the_text_as_a_data_address():
    system, user = request_body(question())["messages"]
    assert system == {"role": "system", "content": "Judge."}
    assert user == {
        "role": "user",
        "content": [
            {"type": "text", "text": "What do you see?"},
            {"type": "image_url", "image_url": {"url": ENCODED}},
        ],
    }


def test_without_an_image_the_body_is_what_it_was():
    assert request_body(question(TEXT_ONLY))["messages"] == [
        {"role": "system", "content": "Judge."},
        {"role": "user", "content": "What do you see?"},
    ]
    rest = [
        {key: value for key, value in request_body(one).items() if key != "messages"}
        for one in (question(), question(TEXT_ONLY))
    ]
    assert rest[0] == rest[1]


def test_the_image_arrives_as_it_was_sent(fake, client):
    fake.once("POST", OPENAI_CHAT, answer())
    ask(client, question())
    part = fake.bodies()[0]["messages"][1]["content"][1]
    assert base64.b64decode(part["image_url"]["url"].partition(",")[2], validate=True) == FILE


@pytest.mark.parametrize(
    ("api", "path"), [("openai", OPENAI_CHAT), ("v0", V0_CHAT), ("v1", V0_CHAT)], ids=["openai", "v0", "v1"]
)
def test_a_refused_image_is_a_failure_of_its_own_on_every_route_and_is_not_tried_on_another(fake, client, api, path):
    refusal = {"error": {"message": 'Model "x" does not support image inputs.', "type": "invalid_request_error"}}
    fake.once("POST", path, json_reply(refusal, 400))
    with pytest.raises(ModelFailure) as caught:
        ask(client, question(), api)
    assert (caught.value.reason, caught.value.retryable, caught.value.elsewhere) == ("image_refused", False, False)
    assert len(fake.requests) == 1


def test_an_optional_field_is_left_out_and_the_image_is_not(fake, client):
    refusal = json_reply({"error": {"message": "Unsupported value: 'reasoning_effort'"}}, 400)
    fake.once("POST", OPENAI_CHAT, refusal, answer())
    ask(client, question(reasoning_effort="low"))
    contents = [body["messages"][1]["content"] for body in fake.bodies()]
    assert contents[0] == contents[1]


# ---- whole, against the stand-in


@pytest.fixture
def vlm():
    """A server with a text model that is loaded and a vision model on disk."""
    seeing = ScriptedEngine(lambda _: "A line that rises.", facts=ModelFacts("scripted-vl-1b"))
    blind = ScriptedEngine(lambda _: "All is calm.")
    models = [blind, DownloadedModel(seeing.facts, kind="vlm", load=seeing.resized)]
    with StudioServer(models) as studio:
        yield studio


@pytest.fixture
def lane(vlm):
    lane = open_lane(Server(name="desk", url=vlm.url, rpc="off"), SystemClock(), Cancel())
    yield lane
    lane.close()


def test_the_list_tells_which_model_can_see(lane):
    assert {model.key: model.vision for model in lane.poll().models} == {"scripted-1b": False, "scripted-vl-1b": True}


def test_a_vision_model_answers_and_its_prompt_has_the_tokens_of_the_image(lane):
    seen, read = (ask(lane.client, question(messages, "scripted-vl-1b"), "v1") for messages in (WITH_IMAGE, TEXT_ONLY))
    assert seen.text == read.text == "A line that rises."
    assert seen.prompt_tokens == read.prompt_tokens + IMAGE_TOKENS


def test_a_text_model_refuses_and_the_server_is_not_held_to_be_ill(lane):
    for _ in range(20):
        with pytest.raises(ModelFailure) as caught:
            ask(lane.client, question(), "v1")
        lane.failed(caught.value)
    assert caught.value.reason == "image_refused"
    assert lane.breaker.state == "closed"
    assert ask(lane.client, question(TEXT_ONLY), "v1").text == "All is calm."
