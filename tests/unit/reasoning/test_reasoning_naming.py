"""People read names, not ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_cases import answer, finding, make_group, make_series, snapshot_of

from exporter.reasoning.checks import ParsedAnswer, parse_answer
from exporter.reasoning.naming import for_people, ids_in, spoken_names

NAMES = {"S1": "node_load1", "S2": 'cpu{mode="user"}'}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("S1 rose to 9.", "node_load1 rose to 9."),
        ("Series S1 and S2 rose.", 'node_load1 and cpu{mode="user"} rose.'),
        ("node_load1 (S1) rose (E1, E2).", "node_load1 rose."),
        ("S1 node_load1 rose.", "node_load1 rose."),
        ("It rose [E1].", "It rose."),
        ("It rose (see facts E1 and E2), then fell.", "It rose, then fell."),
        ("E1 and E2 say so.", "The evidence say so."),
        ("As the facts E1, E2 and E3 show, it rose.", "As the evidence show, it rose."),
        ("See E7.", "See the evidence."),
        ("S9 and E10 exist or not.", "S9 and the evidence exist or not."),
        ("(E1)", "(E1)"),
        ("Nothing is wrong.", "Nothing is wrong."),
        ("ES1 and S12x are words.", "ES1 and S12x are words."),
    ],
)
def test_ids_become_names(text: str, read: str) -> None:
    assert read == for_people(text, NAMES, ())


def test_what_is_a_word_of_the_snapshot_stays() -> None:
    assert for_people("The S1 store and E4 roads (E4).", NAMES, {"S1", "E4"}) == "The S1 store and E4 roads (E4)."
    assert for_people("S2 (E3)", NAMES, {"S1", "E4"}) == 'cpu{mode="user"}'


@given(st.text(alphabet="SE12 ()[],.andsee:x", max_size=60))
def test_no_known_id_is_left_unless_ids_were_all_there_was(text: str) -> None:
    read = for_people(text, NAMES, ())
    assert read == text or not ids_in([read]) & {*NAMES, "E1", "E2"}


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    series = [make_series("a", labels={"cpu": "0"}), make_series("a", labels={"cpu": "1"}), make_series("b")]
    assert spoken_names(series, (("instance", "db1"),)) == ('a{cpu="0"}', 'a{cpu="1"}', "b")


def test_every_sentence_of_a_verdict_is_worded_for_people() -> None:
    document = answer(
        summary="S1 and S2 changed.", cause="S2 filled (E4).", next_steps="Look at S1.", findings=answer()["findings"]
    )
    document["findings"]["S1"] = finding(text="S1 is 9, usually 0.7 to 1.3 (E3).")
    result = parse_answer(json.dumps(document), snapshot_of())
    assert isinstance(result, ParsedAnswer)
    assert result.problems == ()
    assert (result.findings[0].text, result.summary, result.cause, result.next_steps) == (
        "node_load1 is 9, usually 0.7 to 1.3.",
        "node_load1 and node_filesystem_avail_bytes changed.",
        "node_filesystem_avail_bytes filled.",
        "Look at node_load1.",
    )


def test_a_fact_about_several_series_may_be_cited_only_for_those_that_it_names() -> None:
    document = answer()
    document["findings"]["S1"]["evidence"] = ["E7"]
    document["findings"]["S3"]["evidence"] = ["E7"]
    result = parse_answer(json.dumps(document), snapshot_of())
    assert isinstance(result, ParsedAnswer)
    assert result.problems == ("node_hwmon_temp_celsius: cites E7, which belongs to another series",)


def test_a_label_that_looks_like_an_id_keeps_its_word() -> None:
    group = make_group(make_series(labels={"store": "S1"}))
    document = {**answer(), "findings": {"S1": finding(text="The S1 store is slow.")}}
    result = parse_answer(json.dumps(document), snapshot_of(group))
    assert isinstance(result, ParsedAnswer)
    assert result.findings[0].text == "The S1 store is slow. Now 9, above the expected 0.7 to 1.3."
