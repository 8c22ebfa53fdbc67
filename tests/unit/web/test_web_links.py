"""Where the links in alerts lead: the newest verdict on a group, and the runbooks."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_fakes import DB1, FakeJournal, make_app, make_board, make_verdicts, verdict
from werkzeug.test import Client

from exporter.errors import TransientError
from exporter.series.labels import Labels, labels_of
from exporter.web.kept import newest_for
from exporter.web.markdown import anchor, to_html


@dataclass(frozen=True)
class NamedVerdict:
    id: str
    group: Labels
    at: float


def location(query: str, **changes) -> tuple[int, str]:
    response = Client(make_app(**changes)).get(f"/verdicts/latest{query}")
    return response.status_code, response.headers.get("Location", "")


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("?watch=node-health&instance=db1%3A9100&job=node&metric=node_load1", "/verdicts/v-41"),
        ("?watch=node-health&instance=db2:9100", "/verdicts/v-40"),
        ("?watch=node-health&instance=db9:9100", "/watches/node-health"),
        ("?watch=node-health", "/watches/node-health"),
        ("?watch=checkout&job=shop&region=eu", "/verdicts/v-39"),
        ("?watch=gpu-farm&instance=db1:9100", "/watches/gpu-farm"),
        ("?watch=what%20is/this", "/watches/what%20is%2Fthis"),
    ],
)
def test_the_link_of_an_alert_leads_to_the_newest_verdict_on_its_group(query: str, page: str):
    assert location(query) == (302, page)


def test_the_verdict_on_the_board_is_newer_than_the_journals():
    board = make_board()
    newer = verdict("v-99", "node-health", DB1, 2e9)
    board.watches["node-health"].verdicts[DB1] = newer
    assert location("?watch=node-health&instance=db1:9100", board=board) == (302, "/verdicts/v-99")


def test_the_redirect_carries_the_path_of_the_external_url():
    query = "?watch=node-health&instance=db1:9100"
    assert location(query, external_url="https://h/lm/watch") == (302, "/lm/watch/verdicts/v-41")


@pytest.mark.parametrize("query", ["", "?instance=db1:9100", "?watch="])
def test_a_link_without_a_watch_is_a_bad_request(query: str):
    assert location(query)[0] == 400


def test_a_journal_that_cannot_be_read_costs_only_the_older_verdicts():
    class Broken(FakeJournal):
        def list(self, **_):
            raise TransientError("the disk is gone")

    journal = Broken(make_verdicts())
    assert location("?watch=node-health&instance=db1:9100", journal=journal) == (302, "/verdicts/v-41")
    assert location("?watch=node-health&instance=db2:9100", journal=journal) == (302, "/watches/node-health")


def test_labels_are_compared_as_they_are_exposed():
    """A group label that collides with ours stands in the alert with a prefix."""
    kept = [NamedVerdict("a", labels_of({"watch": "theirs"}), 1.0)]
    assert newest_for({"watch": "w", "exported_watch": "theirs"}, kept) == "a"
    assert newest_for({"watch": "theirs"}, kept) is None


def test_the_group_that_says_most_is_the_series_own():
    kept = [NamedVerdict("all", (), 9.0), NamedVerdict("old", DB1, 1.0), NamedVerdict("new", DB1, 2.0)]
    assert newest_for(dict(DB1), kept) == "new"
    assert newest_for({"instance": "elsewhere"}, kept) == "all"
    assert newest_for(dict(DB1), []) is None


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)


@given(LABELS, st.lists(LABELS, max_size=6))
def test_a_verdict_is_found_exactly_where_its_group_has_no_other_value(labels: dict, groups: list[dict]):
    kept = [NamedVerdict(str(place), labels_of(group), float(place)) for place, group in enumerate(groups)]
    found = newest_for(labels, kept)
    fitting = {str(place) for place, group in enumerate(groups) if group.items() <= labels.items()}
    assert (found in fitting) if fitting else (found is None)


def test_the_runbooks_are_a_page_with_an_anchor_for_each_alert():
    response = Client(make_app()).get("/docs/runbooks")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    assert '<h2 id="lmstudiodown">LMStudioDown</h2>' in response.text
    assert '<code class="language-sh">' in response.text
    assert " style=" not in response.text


def test_markdown_is_text_and_not_html():
    html = to_html("# A <b>\n\n<script>alert(1)</script> [x](javascript:alert(1))\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "<td>1</td>" in html


@pytest.mark.parametrize(
    ("title", "expected"), [("LMWatchDown", "lmwatchdown"), ("What's in `it`?", "whats-in-it"), ("A b", "a-b")]
)
def test_an_anchor_is_what_github_makes_of_a_heading(title: str, expected: str):
    assert anchor(title) == expected
