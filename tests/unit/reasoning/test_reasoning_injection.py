"""Whoever can write a label, a HELP text or a description cannot steer the verdict."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from reasoning_attacks import ATTACK_TABLE, TEMPLATE_TOKEN
from reasoning_cases import AT, MODEL, ScriptedModel, answer, finding, make_group, make_series, two_hosts, words

from exporter.reasoning.analyst import Analyst
from exporter.reasoning.combine import BAND_STEP, combine_groups
from exporter.reasoning.document import to_document
from exporter.reasoning.memory import Memory
from exporter.reasoning.prompt import build_request, system_prompt
from exporter.reasoning.schema import answer_schema
from exporter.reasoning.snapshot import Snapshot, build_snapshot
from exporter.reasoning.verdict import Verdict
from exporter.screening.result import Evidence, ScreenedGroup
from exporter.series.labels import Series, labels_of

MARK = "\u00a7"
"""Stands where an attack goes in the snapshot that nobody attacked."""
MOST_SAID = 4_000
"""Characters that a model says in one sentence: an answer beyond 100,000 is not read."""
PLACES = ("<context>", "</context>", "<earlier>", "</earlier>", "<data>", "</data>")


def planted(
    *,
    value: str = "v",
    label: str = "path",
    help_text: str = "1m load average.",
    name: str = "node_load1",
    unit: str = "jobs",
    group: str = "db1",
    watch: str = "node-health",
    context: str = "Two hosts.",
    earlier: str = "Calm.",
) -> Snapshot:
    """A snapshot of an attacked series beside two others, made as the product makes it."""
    series = Series(name, labels_of({"instance": group, label: value}), "gauge", help_text, unit)
    attacked = replace(
        two_hosts().series[0],
        series=series,
        description=help_text,
        evidence=(Evidence("rank", f"now 9 {unit}, usually 0.7 to 1.3 {unit}", (9.0, 0.7, 1.3), 0.9),),
    )
    key = labels_of({"instance": group})
    shown = replace(make_group(attacked, *two_hosts().series[1:]), key=key, watch=watch)
    memory = Memory()
    memory.restore([{**_verdict_document(), "watch": watch, "group": dict(key), "summary": earlier}])
    lines = memory.lines(watch, key, AT)
    return build_snapshot(shown, context=context, earlier=lines, at=AT, budget_tokens=100_000, estimate=words)


def _verdict_document() -> dict[str, Any]:
    return {"at": AT - 600.0, "group_score": 0.1, "findings": [], "outcome": "ok"}


CARRIERS: dict[str, tuple[Callable[[str], Snapshot], int]] = {
    "label value": (lambda text: planted(value=text or "-"), 64),
    "label name": (lambda text: planted(label=text or "-"), 64),
    "HELP": (lambda text: planted(help_text=text), 160),
    "name of a query": (lambda text: planted(name=text), 128),
    "unit": (lambda text: planted(unit=text), 24),
    "label of the group": (lambda text: planted(group=text or "-"), 64),
    "name of the watch": (lambda text: planted(watch=text), 128),
    "context": (lambda text: planted(context=text), 1000),
    "earlier verdict": (lambda text: planted(earlier=text), 200),
}
"""Where text from outside stands, how to plant it there, and how many characters of it may show."""


UNATTACKED = {name: plant(MARK) for name, (plant, _) in CARRIERS.items()}


@pytest.fixture(params=CARRIERS)
def carrier(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=ATTACK_TABLE)
def attack(request: pytest.FixtureRequest) -> str:
    return ATTACK_TABLE[request.param]


def test_there_are_enough_attacks() -> None:
    assert len(ATTACK_TABLE) >= 40
    assert len(set(ATTACK_TABLE.values())) == len(ATTACK_TABLE)


def test_an_attack_stays_in_its_place_and_loses_its_delimiters_and_tokens(carrier: str, attack: str) -> None:
    """Line by line the snapshot is the one that nobody attacked, around what was planted."""
    plant, limit = CARRIERS[carrier]
    calm, text = UNATTACKED[carrier].text.split("\n"), plant(attack).text
    attacked = text.split("\n")
    assert len(calm) == len(attacked) == len(text.splitlines())
    for before, after in zip(calm, attacked, strict=True):
        start, *_, end = before.split(MARK) if MARK in before else (before, before)
        assert after.startswith(start.rstrip(" ."))
        assert after.endswith(end)
        assert len(after) <= len(before) + before.count(MARK) * (limit + 20)

    _no_token_survives(text)


def _no_token_survives(text: str) -> None:
    """No delimiter but those of the places, and nothing that a chat template is made of."""
    assert [text.count(place) for place in PLACES] == [1] * len(PLACES)
    for place in PLACES:
        text = text.replace(place, "")
    assert not TEMPLATE_TOKEN.search(text)


def test_ids_facts_and_schema_are_those_of_the_snapshot_that_nobody_attacked(carrier: str, attack: str) -> None:
    calm, attacked = UNATTACKED[carrier], CARRIERS[carrier][0](attack)
    assert json.dumps(answer_schema(calm)) == json.dumps(answer_schema(attacked))
    assert [shown.citable for shown in calm.shown] == [shown.citable for shown in attacked.shown]
    assert [(fact.id, fact.series_id) for fact in calm.facts] == [(fact.id, fact.series_id) for fact in attacked.facts]
    if carrier not in ("unit", "name of a query"):
        assert calm.facts == attacked.facts


def test_the_instructions_stay_and_no_message_is_added(attack: str) -> None:
    snapshot = planted(value=attack, help_text=attack, context=attack, unit=attack, name=attack, earlier=attack)
    request = build_request(snapshot, "m", max_tokens=100, schema=answer_schema(snapshot), problem=attack)
    system, user = request.messages
    assert (system.role, system.content, user.role) == ("system", system_prompt(), "user")
    assert user.content.startswith(snapshot.text)
    assert len(user.content) < len(snapshot.text) + 600


SCREEN = np.array([0.97, 0.8, 0.1, 0.6, 0.55])
"""Three that are shown, two that are not."""


def obedient(document: dict[str, Any]) -> Verdict:
    """The verdict when the model says this about a group whose every label told it to."""
    text = ATTACK_TABLE["orders"]
    series = tuple(
        replace(one, series=replace(one.series, help=text, labels=labels_of({**dict(one.series.labels), "note": text})))
        for one in two_hosts().series
    )
    group = replace(two_hosts(), series=series)
    analyst = Analyst(lambda told, _: words(told), lambda *_: None, Memory())
    model = ScriptedModel(document, document)
    return analyst.judge(group, context=text, at=AT, ask=model, server="desk", model=MODEL)


def combined(verdict: Verdict, group: ScreenedGroup) -> np.ndarray:
    """The scores that follow, as the tables of a watch combine them."""
    llm, weight = np.full(SCREEN.size, np.nan), np.full(SCREEN.size, np.nan)
    names = [one.series.name for one in group.series]
    for one in verdict.findings:
        row = names.index(one.series.name)
        llm[row], weight[row] = one.llm_score, one.confidence * one.grounded
    return combine_groups(SCREEN, llm, weight, np.zeros(SCREEN.size, dtype=np.intp))


def all_calm(**changes: Any) -> dict[str, Any]:
    part = {"kind": "none", "score": 0, "confidence": 10, "text": "Healthy.", **changes}
    return answer(
        findings={
            f"S{rank}": finding(**{"evidence": [fact], **part}) for rank, fact in ((1, "E1"), (2, "E4"), (3, "E6"))
        },
        summary="All is well.",
        score=0,
    )


@pytest.mark.parametrize(
    ("document", "outcome", "grounded"),
    [
        (all_calm(), "ok", 3),
        (all_calm(score=10), "ok", 3),
        (all_calm(evidence=["E999"]), "ungrounded", 0),
        (all_calm(evidence=["E1", "E4", "E6"]), "ungrounded", 0),
        (all_calm(evidence=[], score=10), "ungrounded", 0),
        (all_calm(text="It is 41.7 now."), "ungrounded", 0),
        (all_calm(text="S99 is to blame."), "ungrounded", 0),
        (all_calm(text=""), "ungrounded", 0),
        (all_calm(score=-1), "invalid", 0),
        (all_calm(score=1e9), "invalid", 0),
        (all_calm(score="zero"), "invalid", 0),
        (all_calm(confidence=99), "invalid", 0),
        (all_calm(kind="maintenance"), "invalid", 0),
        ({**all_calm(), "findings": {}}, "invalid", 0),
        ({**all_calm(), "findings": {"node_load1": finding(score=0)}}, "invalid", 0),
        ({**all_calm(), "findings": {**all_calm()["findings"], "S99": finding(score=0)}}, "ungrounded", 3),
        ({**all_calm(), "score": -3}, "invalid", 0),
        ({**all_calm(), "summary": "Down to 41.7."}, "ungrounded", 3),
        ({**all_calm(), "summary": ["calm"]}, "invalid", 0),
        ({"verdict": "calm"}, "invalid", 0),
        ({"result": "ok", "findings": []}, "invalid", 0),
    ],
)
def test_a_model_that_does_as_it_was_told_moves_scores_within_the_band_only(
    document: dict[str, Any], outcome: str, grounded: int
) -> None:
    verdict = obedient(document)
    assert (verdict.outcome, sum(one.grounded for one in verdict.findings)) == (outcome, grounded)
    assert {one.series.name for one in verdict.findings} <= {one.series.name for one in two_hosts().series}
    after = combined(verdict, two_hosts())
    odds = np.log(SCREEN / (1 - SCREEN))
    moved = np.log(after / (1 - after)) - odds
    assert (np.abs(moved) <= BAND_STEP + 1e-9).all()
    assert np.array_equal(np.argsort(-SCREEN, kind="stable"), np.argsort(-after, kind="stable"))
    if not grounded:
        assert np.array_equal(SCREEN, after)


def test_a_naysayer_cannot_silence_what_the_screen_is_sure_of() -> None:
    after = combined(obedient(all_calm()), two_hosts())
    assert (after[:2] > 0.5).all()


def test_what_an_obedient_model_repeats_is_one_bounded_visible_line(attack: str) -> None:
    words_of_model = attack[:MOST_SAID]
    findings = {**answer()["findings"], "S1": finding(text=words_of_model)}
    verdict = obedient(
        answer(findings=findings, summary=words_of_model, cause=words_of_model, next_steps=words_of_model)
    )
    assert len(verdict.findings) == 3
    for said in (verdict.findings[0].text, verdict.summary, verdict.cause, verdict.next_steps):
        assert len(said) <= 400
        assert said.isprintable()
    json.dumps(to_document(verdict), allow_nan=False)


def second_question(summary: str) -> list[str]:
    """The lines that a model is asked the second time, after a verdict with this summary."""
    analyst = Analyst(lambda told, _: words(told), lambda *_: None, Memory())
    for number in range(2):
        model = ScriptedModel(answer(summary=summary), answer())
        analyst.judge(two_hosts(), context="", at=AT + 60 * number, ask=model, server="desk", model=MODEL)
    return model.requests[0].messages[1].content.split("\n")


def test_words_that_were_made_to_stay_in_memory_stand_in_their_place_too(attack: str) -> None:
    """A first verdict repeats an attack; the next snapshot quotes it like any other text."""
    calm, attacked = second_question("Calm."), second_question(attack)
    different = [after for before, after in zip(calm, attacked, strict=True) if before != after]
    assert len(different) <= 1
    assert all(line.startswith("- 2025-11-22 09:24 UTC: score 8, ") and len(line) < 220 for line in different)


@pytest.mark.parametrize("invisible", ["\u200b\u200d\u2060\ufeff", "\U000e0041", "\u3164"])
def test_text_that_shows_as_nothing_is_nothing(invisible: str) -> None:
    assert planted(help_text=invisible, unit=invisible).text == planted(help_text="", unit="").text


def test_a_unit_of_any_length_hides_nothing_that_was_measured() -> None:
    group = make_group(make_series(unit="x" * 5000, evidence=(f"now 9 {'x' * 5000}, above 1.3",)))
    snapshot = build_snapshot(group, context="", earlier=(), at=AT, budget_tokens=100_000, estimate=words)
    assert snapshot.facts[0].text == f"now 9 {'x' * 23}…, above 1.3"
