import json
from pathlib import Path

import pytest
from lmstudio_fake import (
    OPENAI_LIST,
    V0_LIST,
    V1_LIST,
    hang,
    html,
    json_reply,
    raw,
    reset,
    unexpected_endpoint,
)
from pydantic import SecretStr

from exporter.config.model import Server
from exporter.lmstudio.failures import REASONS
from exporter.lmstudio.health import LOOK_AGAIN_SECONDS, HealthPoller
from exporter.lmstudio.session import open_session
from exporter.sources.http import Cancel

GOLDEN = Path(__file__).parents[2] / "golden" / "lmstudio" / "lists"


def listing(stem):
    return json_reply(json.loads((GOLDEN / f"{stem}.json").read_text(encoding="utf-8"))["document"])


def absent(path, status=200):
    return unexpected_endpoint("GET", path, status)


@pytest.fixture
def as_v1(fake):
    fake.always("GET", V1_LIST, listing("v1_full"))


@pytest.fixture
def as_v0(fake):
    fake.always("GET", V1_LIST, absent(V1_LIST))
    fake.always("GET", V0_LIST, listing("v0_full"))


@pytest.fixture
def as_openai(fake):
    fake.always("GET", V1_LIST, absent(V1_LIST, 404))
    fake.always("GET", V0_LIST, absent(V0_LIST))
    fake.always("GET", OPENAI_LIST, listing("openai_lmstudio"))


def test_v1(fake, poller, as_v1):
    health = poller.poll()
    assert (health.up, health.api, health.failure, health.detail) == (True, "v1", None, "")
    assert (health.server, health.url, health.polled_at) == ("desk", fake.url, 1_700_000_000.0)
    assert [model.id for model in health.models][:2] == ["qwen/qwen3-4b", "qwen/qwen3-4b:2"]
    assert fake.paths() == [V1_LIST]


def test_v0_behind_a_200_that_is_an_error(fake, poller, as_v0):
    health = poller.poll()
    assert (health.up, health.api, len(health.models)) == (True, "v0", 4)


def test_openai_is_the_last_resort_and_lm_studio_is_asked_no_unknown_route(fake, poller, as_openai):
    health = poller.poll()
    assert (health.up, health.api) == (True, "openai")
    assert fake.paths() == [V1_LIST, V0_LIST, OPENAI_LIST]


def test_the_api_that_answered_is_remembered(fake, poller, as_openai):
    for _ in range(3):
        assert poller.poll().api == "openai"
    assert fake.paths() == [V1_LIST, V0_LIST, OPENAI_LIST, OPENAI_LIST, OPENAI_LIST]


def test_one_list_under_every_path_is_taken_for_what_it_is(fake, poller):
    """A gateway that serves the OpenAI list under the other two paths is no LM Studio."""
    for path in (V1_LIST, V0_LIST, OPENAI_LIST):
        fake.always("GET", path, listing("openai_lmstudio"))
    assert poller.poll().api == "openai"


def test_llama_cpps_own_models_array_is_no_v1_list(fake, poller):
    for path in (V1_LIST, V0_LIST, OPENAI_LIST):
        fake.always("GET", path, listing("openai_llamacpp"))
    fake.always(
        "GET",
        "/props",
        json_reply({"default_generation_settings": {"n_ctx": 512}, "total_slots": 2, "build_info": "b1"}),
    )
    health = poller.poll()
    assert (health.api, health.version) == ("openai", "b1")
    assert (health.models[0].context_length, health.models[0].parallel_slots) == (512, 2)


@pytest.mark.parametrize("reply", [html(404), json_reply({"error": {"code": 404}}, 404), raw(b"[]"), reset])
def test_llama_cpp_without_props_is_up_all_the_same(fake, poller, reply):
    fake.always("GET", V1_LIST, absent(V1_LIST, 404))
    fake.always("GET", V0_LIST, absent(V0_LIST, 404))
    fake.always("GET", OPENAI_LIST, listing("openai_llamacpp"))
    fake.always("GET", "/props", reply)
    health = poller.poll()
    assert health.up
    assert health.models[0].context_length == 2048


def test_after_an_upgrade_the_better_api_is_found_at_the_next_failure(fake, poller, as_v0):
    assert poller.poll().api == "v0"
    fake.once("GET", V0_LIST, html(500))
    fake.always("GET", V1_LIST, listing("v1_full"))
    assert poller.poll().up is False
    assert poller.poll().api == "v1"


def test_after_an_upgrade_without_a_failure_the_better_api_is_found_in_time(fake, poller, clock, as_v0):
    assert poller.poll().api == "v0"
    fake.always("GET", V1_LIST, listing("v1_full"))
    assert poller.poll().api == "v0"
    clock.advance(LOOK_AGAIN_SECONDS)
    assert poller.poll().api == "v1"


def test_looking_again_in_vain_is_not_repeated_at_each_poll(fake, poller, clock, as_v0):
    poller.poll()
    clock.advance(LOOK_AGAIN_SECONDS)
    poller.poll()
    poller.poll()
    assert fake.paths() == [V1_LIST, V0_LIST, V1_LIST, V0_LIST, V0_LIST]


def test_after_a_downgrade_the_lesser_api_is_found_at_once(fake, poller):
    fake.once("GET", V1_LIST, listing("v1_full"), absent(V1_LIST), absent(V1_LIST))
    fake.always("GET", V0_LIST, listing("v0_full"))
    assert poller.poll().api == "v1"
    assert poller.poll().api == "v0"


def test_a_server_in_trouble_is_down_and_not_taken_for_another_api(fake, poller, as_v1):
    poller.poll()
    fake.once("GET", V1_LIST, html(500))
    health = poller.poll()
    assert (health.up, health.api, health.models, health.failure) == (False, None, (), "server_error")
    assert fake.paths() == [V1_LIST, V1_LIST]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (json_reply({"error": {"code": "invalid_api_key", "message": "no"}}, 401), "auth"),
        (html(500), "server_error"),
        (html(200), "bad_answer"),
        (raw(b'{"models": [{"key": '), "bad_answer"),
        (raw(b""), "bad_answer"),
        (json_reply({"object": "list"}), "bad_answer"),
        (json_reply({"error": {"message": "Loading model", "code": 503}}, 503), "busy"),
        (unexpected_endpoint("GET", "/x"), "unexpected_endpoint"),
        (reset, "unreachable"),
    ],
)
def test_a_server_without_a_list_is_down_and_says_why(fake, poller, reply, reason):
    for path in (V1_LIST, V0_LIST, OPENAI_LIST):
        fake.always("GET", path, reply)
    health = poller.poll()
    assert (health.up, health.failure) == (False, reason)
    assert reason in REASONS
    assert fake.url in health.detail


def test_the_most_telling_of_several_failures_is_reported(fake, poller):
    fake.always("GET", V1_LIST, absent(V1_LIST))
    fake.always("GET", V0_LIST, html(500))
    fake.always("GET", OPENAI_LIST, html(200))
    assert poller.poll().failure == "server_error"


def test_a_refused_token_is_not_tried_on_every_path(fake, poller):
    fake.always("GET", V1_LIST, json_reply({"error": {"code": "invalid_api_key"}}, 401))
    assert poller.poll().failure == "auth"
    assert fake.paths() == [V1_LIST]


def test_nobody_listening(clock, fake, session):
    config = Server(name="desk", url="http://127.0.0.1:1")
    health = HealthPoller(config, session, clock).poll()
    assert (health.up, health.failure) == (False, "unreachable")
    assert "127.0.0.1:1" in health.detail


def test_a_silent_server_is_down_after_the_deadline_and_not_asked_thrice(fake, session, clock):
    fake.always("GET", V1_LIST, hang)
    config = Server(name="desk", url=fake.url, poll_interval="1s")
    health = HealthPoller(config, session, clock).poll()
    assert health.failure == "timeout"
    assert fake.paths() == [V1_LIST]


def test_a_poll_can_be_cancelled(fake, session, clock):
    cancel = Cancel()
    fake.always("GET", V1_LIST, lambda handler: (cancel.cancel(), hang(handler)))
    health = HealthPoller(Server(name="desk", url=fake.url), session, clock, cancel).poll()
    assert health.failure == "cancelled"


def test_an_idle_connection_that_the_server_closed_does_not_fail_a_poll(fake, poller):
    def answer_then_close(handler):
        listing("v1_full")(handler)
        handler.close_connection = True

    fake.always("GET", V1_LIST, answer_then_close)
    assert [poller.poll().up for _ in range(4)] == [True] * 4


def test_the_token_is_sent_and_its_file_read_anew(fake, clock, tmp_path, as_v1):
    token = tmp_path / "token.txt"
    token.write_text("first\n")
    config = Server(name="desk", url=fake.url, api_token_file=token)
    session = open_session(config)
    poller = HealthPoller(config, session, clock)
    poller.poll()
    token.write_text("second")
    poller.poll()
    session.close()
    assert [headers["Authorization"] for *_, headers in fake.requests] == ["Bearer first", "Bearer second"]


def test_the_token_may_come_from_the_configuration(fake, clock, as_v1):
    config = Server(name="desk", url=fake.url, api_token=SecretStr("sk-lm-x"))
    session = open_session(config)
    HealthPoller(config, session, clock).poll()
    session.close()
    assert fake.requests[0][3]["Authorization"] == "Bearer sk-lm-x"


def test_a_missing_token_file_is_a_failure_with_the_files_name(fake, clock, tmp_path):
    config = Server(name="desk", url=fake.url, api_token_file=tmp_path / "none.txt")
    session = open_session(config)
    health = HealthPoller(config, session, clock).poll()
    session.close()
    assert (health.up, health.failure) == (False, "auth")
    assert "none.txt" in health.detail
    assert fake.requests == []
