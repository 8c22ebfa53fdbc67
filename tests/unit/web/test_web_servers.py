from dataclasses import replace
from typing import Any

import pytest
from web_fakes import NOW, Event, FakeJournal, make_app, make_board, verdict
from werkzeug.test import Client

from exporter.errors import TransientError
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.web.servers import state_lanes

QWEN = Model("qwen", "qwen/qwen", "llm", True)
BEGIN = NOW - 1000


def server(*models: Model, up: bool = True) -> ServerHealth:
    return ServerHealth("desk", "http://h", up, "v1", "1", models, 0.1, NOW)


def happened(*told: tuple[float, str] | tuple[float, str, str]) -> list[Event]:
    """The newest first, as the journal gives them: seconds before now, kind, model."""
    return [Event("desk", kind, NOW - before, {"model": model[0] if model else None}) for before, kind, *model in told]


def lanes(health: ServerHealth, events: list[Event]) -> dict[str, list[tuple[float, float, str]]]:
    return {
        lane.name: [(span.begin - NOW, span.end - NOW, span.state) for span in lane.spans]
        for lane in state_lanes(health, events, BEGIN, NOW)
    }


@pytest.mark.parametrize(
    ("health", "events", "told"),
    [
        (server(), [], {"desk": [(-1000, 0, "up")]}),
        (server(up=False), [], {"desk": [(-1000, 0, "down")]}),
        (
            server(),
            happened((200, "server_up"), (300, "server_down")),
            {"desk": [(-1000, -300, "up"), (-300, -200, "down"), (-200, 0, "up")]},
        ),
        (server(QWEN), [], {"desk": [(-1000, 0, "up")], "qwen": [(-1000, 0, "loaded")]}),
        (
            server(QWEN),
            happened((50, "loaded", "qwen"), (400, "unloaded", "qwen"), (600, "loaded", "qwen")),
            {"desk": [(-1000, 0, "up")], "qwen": [(-600, -400, "loaded"), (-50, 0, "loaded")]},
        ),
        (
            server(),
            happened((400, "unloaded", "gone")),
            {"desk": [(-1000, 0, "up")], "gone": [(-1000, -400, "loaded")]},
        ),
        (
            server(QWEN),
            happened((200, "server_up"), (300, "server_down")),
            {
                "desk": [(-1000, -300, "up"), (-300, -200, "down"), (-200, 0, "up")],
                "qwen": [(-1000, -300, "loaded"), (-200, 0, "loaded")],
            },
        ),
        (
            server(up=False),
            happened((300, "server_down"), (600, "loaded", "qwen")),
            {"desk": [(-1000, -300, "up"), (-300, 0, "down")], "qwen": [(-600, -300, "loaded")]},
        ),
    ],
)
def test_states_follow_from_events_and_end_as_the_newest_poll_found_them(
    health: ServerHealth, events: list[Event], told: dict[str, Any]
):
    assert lanes(health, events) == told


@pytest.mark.parametrize(
    ("started", "events", "begins"),
    [
        (90.0, [], 90.0),
        (90.0, [Event("desk", "server_up", NOW - 5000, {})], 5000.0),
        (200_000.0, [], 86_400.0),
        (90.0, [Event("desk", "server_up", NOW - 50, {})], 90.0),
    ],
)
def test_nothing_is_told_of_the_time_before_anybody_looked(started: float, events: list[Event], begins: float):
    journal = FakeJournal()
    journal.happened = events
    app = make_app(make_board(started_at=NOW - started), journal=journal)
    states = Client(app).get("/api/v1/servers/desk").json["data"]["states"]
    assert {NOW - lane["spans"][0]["begin"] for lane in states} == {begins}


def test_the_page_shows_models_states_events_and_failures():
    text = Client(make_app()).get("/servers/desk").text
    for words in ("qwen3-8b", "16.4 k", "unloads in 40 min", "not loaded", "unloaded", "no answer within 2 min"):
        assert words in text
    assert text.count('class="lane"') == 5, "the server, two loaded models and one that was, the times"


def test_a_server_that_is_down_says_why():
    text = Client(make_app()).get("/servers/attic").text
    assert "unreachable: connection refused" in text
    assert "Its models are not known while it is down." in text


def failed(number: int, server: str, before: float = 0.0):
    return verdict(
        f"v-{number}",
        "w",
        (),
        NOW - before,
        outcome="timeout",
        server=server,
        summary="",
        problems=(f"lost on {server}",),
    )


def test_failures_of_another_server_neither_show_nor_hide_the_servers_own():
    journal = FakeJournal([*(failed(number, "attic", number) for number in range(60)), failed(99, "desk", 900)])
    text = Client(make_app(journal=journal)).get("/servers/desk").text
    assert "lost on desk" in text
    assert "lost on attic" not in text


def test_failures_are_those_of_the_time_shown_and_not_more_than_20():
    journal = FakeJournal([failed(number, "desk", number * 2000) for number in range(60)])
    client = Client(make_app(journal=journal))
    assert client.get("/servers/desk").text.count("lost on desk") == 20
    assert len(client.get("/api/v1/servers/desk").json["data"]["failures"]) == 20
    old = FakeJournal([failed(1, "desk", 90_000)])
    assert "None in the last 24 hours." in Client(make_app(journal=old)).get("/servers/desk").text


def test_without_a_journal_the_server_is_shown_all_the_same():
    class Broken(FakeJournal):
        def events(self, **_query: Any):
            raise TransientError("locked")

    client = Client(make_app(journal=Broken()))
    text = client.get("/servers/desk").text
    assert "qwen3-8b" in text
    assert "The journal cannot be read" in text
    assert "last 24 hours" not in text, "what cannot be read may have happened"
    answer = client.get("/api/v1/servers/desk")
    assert (answer.status_code, answer.json["status"]) == (503, "error")


def test_the_landing_page_leads_to_servers_with_any_name():
    name = "a b?<x>"
    board = make_board(servers={name: replace(server(QWEN), server=name)})
    assert 'href="/servers/a%20b%3F%3Cx%3E"' in Client(make_app(board)).get("/").text
