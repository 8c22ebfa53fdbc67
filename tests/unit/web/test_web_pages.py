"""What the pages say, and that whoever cannot see colours, run scripts or use a mouse gets the same."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from web_fakes import DB1, FS, NOW, FakeJournal, make_app, make_board, make_groups, make_verdicts, verdict
from werkzeug.test import Client

from exporter.alerting.alert import Alert, Subject, Words
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.lmstudio.wire import ChatRequest
from exporter.reasoning.pictures import picture_of
from exporter.web.verdicts import pins

PAGES = ["/", "/watches/node-health", "/servers/desk", "/verdicts", "/verdicts/v-41", "/config", "/docs/metrics"]
HTML = {"Accept": "text/html"}


class Outline(HTMLParser):
    """Collects of a page what a screen reader goes by."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.landmarks: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append((tag, told))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if told.get("id"):
            self.ids.append(told["id"] or "")
        if tag in ("main", "header", "footer", "nav", "aside"):
            self.landmarks.append(tag)


def outline(path: str, **changes: Any) -> Outline:
    response = Client(make_app(**changes)).get(path, headers=HTML)
    assert response.status_code == 200
    return Outline(response.text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_an_outline_that_can_be_walked(path: str):
    found = outline(path)
    assert found.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(found.headings, found.headings[1:], strict=False))
    assert len(found.ids) == len(set(found.ids))
    assert found.landmarks.count("main") == 1
    assert ("a", {"class": "skip", "href": "#main"}) in found.tags


@pytest.mark.parametrize("path", PAGES)
def test_tables_fields_and_pictures_are_labelled(path: str):
    found = outline(path)
    labelled = {told["aria-labelledby"] for _, told in found.tags if "aria-labelledby" in told}
    assert labelled <= set(found.ids)
    assert all("scope" in told for tag, told in found.tags if tag == "th")
    assert all("alt" in told for tag, told in found.tags if tag == "img")
    assert all(
        told.get("role") == "img"
        or "aria-label" in told
        or told.get("aria-hidden")
        or told.get("class") in (None, "key")
        for tag, told in found.tags
        if tag == "svg"
    )


@pytest.mark.parametrize(
    "path", ["/", "/verdicts", "/verdicts?watch=checkout", "/config", "/docs/metrics", "/docs/runbooks"]
)
def test_the_menu_marks_the_page_that_is_shown(path: str):
    marked = [told["href"] for _, told in outline(path).tags if told.get("aria-current") == "page"]
    assert marked == [path.partition("?")[0]]


@pytest.mark.parametrize("path", ["/watches/node-health", "/servers/desk", "/verdicts/v-41"])
def test_the_menu_marks_no_page_that_it_does_not_list(path: str):
    assert not any("aria-current" in told for _, told in outline(path).tags)


@pytest.mark.parametrize(
    ("path", "refreshed"), [("/", True), ("/watches/node-health", True), ("/verdicts/v-41", False)]
)
def test_without_a_script_what_changes_is_loaded_again(path: str, refreshed: bool):
    text = Client(make_app()).get(path).text
    assert ('<noscript><meta http-equiv="refresh"' in text) == refreshed
    assert ("data-refresh=" in text) == refreshed


def test_alerts_come_first_and_lead_to_the_verdict_on_what_they_are_about():
    made = [
        Alert(
            *(Subject("node-health", FS.name, FS.labels), state, "critical", "drift", (), score),
            *(Words(words, "", (), "", ""), NOW - 400),
        )
        for state, score, words in (("pending", 0.99, "It may fill"), ("firing", 0.7, "It fills"))
    ]
    text = Client(make_app(alerts=lambda: made)).get("/").text
    assert text.index("It fills") < text.index("It may fill") < text.index(">node-health</a></h3>")
    assert "<b>1</b> alert firing" in text
    link = re.search(r'href="(/verdicts/latest[^"]+)"', text)
    assert link
    response = Client(make_app()).get(link[1].replace("&amp;", "&"))
    assert response.headers["Location"] == "/verdicts/v-41"


def test_the_watch_page_shows_its_verdicts_over_time_with_links():
    text = Client(make_app()).get("/watches/node-health").text
    lane = text[text.index('aria-label="Verdicts on instance=db1:9100"') :]
    assert 'href="/verdicts/v-41"' in lane
    assert "score 0.85, ungrounded" in lane
    assert 'aria-label="Verdicts on instance=db2:9100"' in text


@pytest.mark.parametrize(("groups", "words"), [(10, ""), (11, "1 more group with"), (40, "30 more groups with")])
def test_the_timeline_shows_ten_groups_and_says_how_many_more_there_are(groups: int, words: str):
    made = [verdict(f"v-{n}", "node-health", (("instance", f"h{n}"),), NOW - 60 * n) for n in range(groups)]
    text = Client(make_app(journal=FakeJournal(made))).get("/watches/node-health").text
    assert text.count('aria-label="Verdicts on instance=h') == 10
    assert 'aria-label="Verdicts on instance=h9"' in text
    assert words in text
    assert ("older verdicts" in text) == bool(words)


def test_a_thousand_targets_in_trouble_do_not_fill_the_page():
    board = make_board()
    down = board.sources["nodes", "db3:9100"]
    sources = {("nodes", f"h{n}"): replace(down, target=f"h{n}:9100") for n in range(1000)}
    text = Client(make_app(replace(board, sources=sources))).get("/").text
    assert text.count("no answer in 10 s") == 10
    assert '990 more: <a href="/api/v1/status">all targets as JSON</a>' in text
    assert "more: <a" not in Client(make_app(board)).get("/").text


def test_the_verdict_page_shows_the_window_as_it_was_with_the_cited_value_marked():
    judged = make_groups()["node-health"][0].series
    values = judged[0].values.copy()
    values[-1] = 1.9e10
    pictures = tuple(
        picture_of(f"S{n}", replace(one, values=values if not n else one.values)) for n, one in enumerate(judged)
    )
    journal = FakeJournal([replace(make_verdicts()[0], pictures=pictures)])
    text = Client(make_app(journal=journal, groups=lambda *_: [])).get("/verdicts/v-41").text
    assert text.count('class="window"') == 3
    assert re.search(r'class="pin">.*?>E1</text>', text)
    assert "What the model was shown" in text, "a series that no finding is about"


def test_cited_facts_point_at_the_values_they_name():
    times, values = np.array([10.0, 20.0, 30.0, 40.0]), np.array([5.0, 7.5, 5.0, np.nan])
    cited = [("E1", "rose from 5 to 7.5"), ("E2", "now 7.5"), ("E3", "7.4 times the usual"), ("E4", "")]
    assert [(pin.at, pin.label) for pin in pins(times, values, cited)] == [(20.0, "E2"), (30.0, "E1")]


def test_the_question_can_be_put_again_by_a_command_without_secrets():
    request = ChatRequest("qwen", (), 300)
    asked = replace(make_verdicts()[0], prompt="[user]\nx", request=request)
    board = make_board()
    servers = {**board.servers, "desk": replace(board.servers["desk"], url="http://me:secret@desk:1234/?token=secret")}
    text = Client(make_app(replace(board, servers=servers), journal=FakeJournal([asked]))).get("/verdicts/v-41").text
    assert "curl -sS http://localhost/api/v1/verdicts/v-41/request |" in text
    assert "curl -sS http://desk:1234/v1/chat/completions" in text
    assert "secret" not in text


def journal_of(count: int) -> FakeJournal:
    return FakeJournal([verdict(f"v-{n}", "w", DB1, NOW - n, summary=f"Words {n}.") for n in range(count)])


def test_the_journal_comes_in_pages():
    text = Client(make_app(journal=journal_of(51))).get("/verdicts?watch=w&anomalous=").text
    assert text.count('<div class="line">') == 50
    assert 'href="/verdicts?watch=w&amp;before=v-49"' in text
    assert "Older" not in Client(make_app(journal=journal_of(50))).get("/verdicts").text


def test_the_journal_is_searched_as_the_form_says():
    journal = FakeJournal(make_verdicts())
    client = Client(make_app(journal=journal))
    text = client.get("/verdicts?watch=checkout&outcome=timeout&since=6h&anomalous=1").text
    assert journal.asked[1:] == [
        {
            "watch": "checkout",
            "outcome": "timeout",
            "since": NOW - 6 * 3600,
            "above": 0.5,
            "before": None,
            "limit": 51,
        }
    ]
    assert '<option value="timeout" selected>' in text
    assert "No verdict fits." in text
    assert client.get("/verdicts?since=soon").status_code == 400


def test_the_configuration_is_a_page_for_browsers_and_yaml_for_programs():
    client = Client(make_app(config_text=lambda: "a: <secret>\n"))
    page, text = client.get("/config", headers=HTML), client.get("/config")
    assert (page.mimetype, text.mimetype) == ("text/html", "text/plain")
    assert '<pre class="yaml" tabindex="0">a: &lt;secret&gt;\n</pre>' in page.text
    assert text.text == "a: <secret>\n"
    assert page.headers["Vary"] == text.headers["Vary"] == "Accept"


def test_words_of_ten_thousand_characters_are_cut_and_can_be_read_whole():
    long = "x" * 10_000
    said = replace(make_verdicts()[0], summary=long, cause="c" * 10_000, watch=long)
    client = Client(make_app(journal=FakeJournal([said])))
    assert f">{long}<" not in client.get("/").text
    page = client.get("/verdicts/v-41").text
    assert f"<summary>All 10000 characters</summary><p>{long}</p>" in page
    assert "<title>Verdict on " + "x" * 79 + "… · lmwatch</title>" in page


@pytest.mark.parametrize("path", ["/verdicts/v-41", "/verdicts", "/"])
def test_what_turns_the_direction_of_writing_shows_as_its_code(path: str):
    said = replace(make_verdicts()[0], summary="safe\u202etxt.exe", answer="a\u200bb\x00")
    response = Client(make_app(journal=FakeJournal([said]))).get(path)
    assert "safe⟨U+202E⟩txt.exe" in response.text
    assert not set(response.text) & set("\u202e\u200b\x00")


def test_half_a_surrogate_pair_breaks_neither_pages_nor_api():
    said = replace(make_verdicts()[0], summary="half \ud800", answer="\udfff")
    client = Client(make_app(journal=FakeJournal([said])))
    assert "half ⟨U+D800⟩" in client.get("/verdicts/v-41").text
    assert client.get("/api/v1/verdicts").json["data"][0]["summary"] == "half \ud800"


def test_the_status_tells_by_its_etag_whether_people_would_see_something_new():
    board = make_board()
    client = Client(make_app(board))
    first = client.get("/api/v1/status")
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    again = client.get("/api/v1/status", headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert Client(make_app(board, journal=FakeJournal())).get("/api/v1/status").headers["ETag"] != tag
    assert first.json["data"]["newest_verdict"]["id"] == "v-41"


QWEN = make_board().servers["desk"].models[0]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"polled_at": NOW - 2, "poll_duration_seconds": 9.0}, True),
        ({"models": (replace(QWEN, ttl_remaining_seconds=2390.0, last_used_at=NOW),)}, True),
        ({"models": (replace(QWEN, ttl_remaining_seconds=2300.0),)}, False),
        ({"models": (replace(QWEN, status="idle"),)}, False),
        ({"models": ()}, False),
        ({"polled_at": NOW + 58}, False),
    ],
)
def test_a_poll_that_found_everything_as_it_was_is_new_once_a_minute(changes: dict[str, Any], same: bool):
    """An open page says how long ago a server was polled: that must not grow old while nothing else happens."""

    def tag(**more: Any) -> str:
        desk = replace(make_board().servers["desk"], **{"polled_at": NOW - 4, "models": (QWEN,), **more})
        return Client(make_app(make_board(servers={"desk": desk}))).get("/api/v1/status").headers["ETag"]

    assert (tag(**changes) == tag()) == same


def test_a_screening_is_new_but_not_that_of_the_heartbeat_which_no_page_shows():
    board = make_board()
    beating = {**board.watches, HEARTBEAT_WATCH: replace(board.watches["checkout"], name=HEARTBEAT_WATCH)}
    watches = {**board.watches, "checkout": replace(board.watches["checkout"], at=NOW)}
    tags = {
        Client(make_app(one)).get("/api/v1/status").headers["ETag"]
        for one in (board, replace(board, watches=watches), replace(board, watches=beating))
    }
    assert len(tags) == 2


@pytest.mark.parametrize("path", ["/", "/watches/node-health", "/servers/desk", "/verdicts"])
def test_a_page_that_refreshes_itself_knows_what_it_shows(path: str):
    """So that its first question is answered with 304, and a verdict that comes right after it is announced."""
    client = Client(make_app(make_board(), journal=FakeJournal(make_verdicts())))
    tag = client.get("/api/v1/status").headers["ETag"]
    text = client.get(path).text
    assert f'data-revision="{tag.removeprefix("W/").strip(chr(34))}"' in text
    assert f'data-newest="{make_verdicts()[0].id}"' in text
