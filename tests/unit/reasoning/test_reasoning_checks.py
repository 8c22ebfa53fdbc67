"""What a model wrote is believed only as far as it holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_cases import answer, finding, make_group, make_series, snapshot_of

from exporter.reasoning.checks import ParsedAnswer, Problem, parse_answer

GOOD = json.dumps(answer())


def with_finding(**changes: Any) -> str:
    document = answer()
    document["findings"]["S1"].update(changes)
    return json.dumps(document)


def without(*path: str) -> str:
    document = answer()
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    del holder[path[-1]]
    return json.dumps(document)


def parsed(text: str) -> ParsedAnswer:
    result = parse_answer(text, snapshot_of())
    assert isinstance(result, ParsedAnswer), result
    return result


def test_a_faultless_answer_is_taken_as_it_is() -> None:
    result = parsed(GOOD)
    assert result.problems == ()
    assert (
        result.summary,
        result.cause,
        result.next_steps,
        result.group_score,
    ) == ("Load rose and the disk filled.", "A job writes much.", "Look for what writes.", 0.8)
    first, second, third = result.findings
    assert (
        first.series.name,
        first.screen_score,
        first.llm_score,
        first.confidence,
        first.kind,
        first.evidence,
        first.grounded,
    ) == ("node_load1", 0.97, 0.9, 0.8, "level_shift", ("E1",), True)
    assert (second.kind, second.grounded) == ("drop", True)
    assert (third.kind, third.grounded) == (None, True)


@pytest.mark.parametrize(
    "text",
    [
        f"\n {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Here is the JSON:\n\n{GOOD}\n\nI hope that helps {{}}.",
        f"<think>Let me see: {{not json}} and {{}}</think>\n{GOOD}",
        f'<think>A draft: {{"findings":{{}},"score":0}}</think>{GOOD}',
        f"thoughts without an opening tag</think>{GOOD}",
        f'{{"draft":1}} {GOOD}',
        f"{json.dumps(answer(score=1))} No, rather: {GOOD}",
        json.dumps(answer(), indent=4),
        json.dumps({**answer(), "remark": "an unknown key", "findings": answer()["findings"]}),
        with_finding(note="an unknown key"),
        with_finding(score=9.0),
    ],
)
def test_what_stands_around_the_answer_does_not_matter(text: str) -> None:
    result = parsed(text)
    assert result.problems == ()
    assert (len(result.findings), result.group_score) == (3, 0.8)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it was empty"),
        (" \n\t", "it was empty"),
        ("All series look normal to me.", "it held no JSON object"),
        (GOOD[: len(GOOD) // 2], "it held no complete JSON object with findings"),
        (GOOD[:-1], "it held no complete JSON object with findings"),
        ("{}", "it held no complete JSON object with findings"),
        ("[1, 2]", "it held no JSON object"),
        ("null", "it held no JSON object"),
        (json.dumps(answer()["findings"]), "it held no complete JSON object with findings"),
        (GOOD.replace('"score": 8}', '"score": NaN}'), "it held no complete JSON object with findings"),
        (GOOD.replace('"S2"', '"S1"'), "it held no complete JSON object with findings"),
        ("{" * 200_000, "it held no complete JSON object with findings"),
        ('{"findings":' * 50_000, "it held no complete JSON object with findings"),
        (json.dumps(answer(findings=[finding()])), "findings: Input should be a valid dictionary"),
        (json.dumps(answer(findings={})), "S1: not answered; S2: not answered; S3: not answered"),
        (json.dumps(answer(findings={"S9": finding()})), "S1: not answered; S2: not answered; S3: not answered"),
        (without("score"), "score: Field required"),
        (json.dumps(answer(score=11)), "score: Input should be less than or equal to 10"),
        (json.dumps(answer(score="8")), "score: Input should be a valid number"),
        (json.dumps(answer(score=True)), "score: Input should be a valid number"),
        (json.dumps(answer(summary=None)), "summary: Input should be a valid string"),
        ("<think>It is calm. {</think>", "it held no complete JSON object with findings"),
    ],
)
def test_what_cannot_be_read_is_a_problem_in_words(text: str, problem: str) -> None:
    assert Problem(problem) == parse_answer(text, snapshot_of())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (without("findings", "S1"), "node_load1: not answered"),
        (with_finding(score=15), "node_load1: score: Input should be less than or equal to 10"),
        (with_finding(score=-1), "node_load1: score: Input should be greater than or equal to 0"),
        (with_finding(score="high"), "node_load1: score: Input should be a valid number"),
        (with_finding(score=None), "node_load1: score: Input should be a valid number"),
        (with_finding(confidence=10.5), "node_load1: confidence: Input should be less than or equal to 10"),
        (with_finding(text=["a"]), "node_load1: text: Input should be a valid string"),
        (with_finding(evidence="E1"), "node_load1: evidence: Input should be a valid list"),
        (
            with_finding(evidence=["E1"] * 9),
            "node_load1: evidence: List should have at most 8 items after validation, not 9",
        ),
        (with_finding(evidence=[1]), "node_load1: evidence.0: Input should be a valid string"),
        (without("findings", "S1", "kind"), "node_load1: kind: Field required"),
        (json.dumps(answer(findings={**answer()["findings"], "S1": "fine"})), None),
        (with_finding(kind="strange"), None),
    ],
)
def test_a_finding_off_the_schema_is_left_out_and_the_others_stay(text: str, problem: str | None) -> None:
    result = parsed(text)
    assert [one.series.name for one in result.findings] == ["node_filesystem_avail_bytes", "node_hwmon_temp_celsius"]
    assert len(result.problems) == 1
    assert result.problems[0].startswith("node_load1: ")
    assert problem in (None, result.problems[0])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"evidence": ["E99"]}, "node_load1: cites E99, which does not exist"),
        ({"evidence": ["fact one"]}, "node_load1: cites fact one, which does not exist"),
        ({"evidence": ["E1", "E4"]}, "node_load1: cites E4, which belongs to another series"),
        ({"evidence": []}, "node_load1: calls it anomalous and cites no evidence"),
        ({"text": " \u200b"}, "node_load1: the text is empty"),
        ({"text": "It rose to 77."}, "node_load1: states 77, which was not shown"),
        ({"text": "It rose 12-fold."}, "node_load1: states 12, which was not shown"),
        ({"text": "E1 and E42 agree."}, "node_load1: speaks of E42, which does not exist"),
        ({"text": "Worse than S7."}, "node_load1: speaks of S7, which does not exist"),
        ({"text": "A score of 7."}, "node_load1: states 7, which was not shown"),
        ({"text": "It began at 03:15."}, "node_load1: states 03:15, which was not shown"),
    ],
)
def test_a_finding_that_does_not_hold_stays_and_is_marked(changes: dict[str, Any], problem: str) -> None:
    result = parsed(with_finding(**changes))
    assert (problem,) == result.problems
    assert [one.grounded for one in result.findings] == [False, True, True]


@pytest.mark.parametrize(
    "text",
    [
        "It is 9, 8 times the highest of 14 days.",
        "E1 says so, and S2 fell as well.",
        "Score 9, confidence 8.",
        "I give 9/10 with a confidence of 8 out of 10.",
        "The expected range ends at 1.3; it is at 9.",
        "It runs since the backup at 02:00.",
    ],
)
def test_numbers_and_ids_that_were_shown_and_the_own_scores_are_grounded(text: str) -> None:
    assert parsed(with_finding(text=text)).problems == ()


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"text": "It rose far."}, "It rose far. Now 9, above the expected 0.7 to 1.3."),
        ({"text": "It rose far"}, "It rose far. Now 9, above the expected 0.7 to 1.3."),
        ({"text": "p90 rose!"}, "p90 rose! Now 9, above the expected 0.7 to 1.3."),
        ({"text": "It rose to 9."}, "It rose to 9."),
        ({"text": "It is calm.", "score": 5}, "It is calm."),
        ({"text": ""}, ""),
    ],
)
def test_figures_that_a_sentence_about_an_anomaly_leaves_out_are_added(changes: dict[str, Any], read: str) -> None:
    assert parsed(with_finding(**changes)).findings[0].text == read


@pytest.mark.parametrize("part", ["summary", "cause", "next_steps"])
def test_the_words_about_the_group_are_held_to_the_same(part: str) -> None:
    result = parsed(json.dumps(answer(**{part: "Load rose to 77."})))
    assert (f"{part}: states 77, which was not shown",) == result.problems
    assert all(one.grounded for one in result.findings)


def test_a_calm_finding_needs_no_evidence() -> None:
    document = answer()
    document["findings"]["S3"]["evidence"] = []
    assert parsed(json.dumps(document)).problems == ()


def test_missing_words_about_the_group_leave_the_findings() -> None:
    document = answer()
    del document["summary"], document["cause"], document["next_steps"]
    result = parsed(json.dumps(document))
    assert result.problems == ("the summary is empty",)
    assert (result.summary, result.cause, result.next_steps) == ("", "", "")
    assert len(result.findings) == 3


def test_series_that_do_not_exist_are_reported_and_ignored() -> None:
    document = answer()
    document["findings"]["S9"] = finding()
    result = parsed(json.dumps(document))
    assert result.problems == ("S9: no such series",)
    assert len(result.findings) == 3


def test_evidence_cited_twice_counts_once() -> None:
    assert parsed(with_finding(evidence=["E2", "E1", "E2"])).findings[0].evidence == ("E2", "E1")


def test_a_word_that_looks_like_an_id_is_fine_where_it_was_shown() -> None:
    snapshot = snapshot_of(make_group(make_series(labels={"store": "S3"})))
    document = {**answer(), "findings": {"S1": finding(text="The S3 store is slow.")}}
    result = parse_answer(json.dumps(document), snapshot)
    assert isinstance(result, ParsedAnswer)
    assert result.problems == ()


def test_what_a_model_says_is_one_visible_line_of_bounded_length() -> None:
    result = parsed(json.dumps(answer(summary="a\n\u202eb\x1b[31m " + "c" * 10_000)))
    assert result.summary.startswith("a b [31m c")
    assert len(result.summary) == 300


@given(st.text(max_size=300))
def test_no_text_whatever_breaks_the_reader(text: str) -> None:
    assert isinstance(parse_answer(text, snapshot_of()), Problem)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(part=st.sampled_from(["evidence", "text", "kind", "score", "confidence"]), value=JSON)
def test_any_value_anywhere_in_a_finding_is_taken_marked_or_left_out(part: str, value: Any) -> None:
    result = parse_answer(with_finding(**{part: value}), snapshot_of())
    if isinstance(result, ParsedAnswer):
        assert all(0 <= one.llm_score <= 1 and 0 <= one.confidence <= 1 for one in result.findings)
        assert all(one.grounded for one in result.findings) or result.problems


@given(st.integers(min_value=0, max_value=len(GOOD) - 1))
def test_no_beginning_of_an_answer_is_taken_for_the_whole(length: int) -> None:
    assert isinstance(parse_answer(GOOD[:length], snapshot_of()), Problem)
