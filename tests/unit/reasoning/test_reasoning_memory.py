"""What a model is told of its own last verdicts."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from reasoning_cases import AT, make_series

from exporter.reasoning.document import to_document
from exporter.reasoning.memory import Memory
from exporter.reasoning.verdict import Finding, Verdict, verdict_id

GROUP = (("instance", "db1"),)


def make_finding(**changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "series": make_series().series,
        "screen_score": 0.9,
        "llm_score": 0.9,
        "confidence": 0.8,
        "kind": "level_shift",
        "evidence": ("E1",),
        "text": "It rose.",
        "grounded": True,
    }
    return Finding(**{**fields, **changes})


def make_verdict(at: float = AT, **changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "id": verdict_id("node-health", GROUP, at),
        "watch": "node-health",
        "group": GROUP,
        "at": at,
        "outcome": "ok",
        "model": "qwen2.5-7b",
        "server": "desk",
        "group_score": 0.8,
        "summary": "Load rose.",
        "cause": "",
        "next_steps": "",
        "findings": (make_finding(),),
        "problems": (),
        "facts": (),
        "prompt": "",
        "answer": "",
        "shown": 1,
        "dropped": 0,
        "prompt_tokens_estimated": 100,
        "predictions": (),
    }
    return Verdict(**{**fields, **changes})


def remembered(*verdicts: Verdict) -> tuple[str, ...]:
    memory = Memory()
    for verdict in verdicts:
        memory.remember(verdict)
    return memory.lines("node-health", GROUP, AT + 600)


def test_a_verdict_is_one_line_with_its_time_and_the_age_comes_last() -> None:
    assert remembered(make_verdict()) == (
        "2025-11-22 09:24 UTC: score 8, node_load1 level_shift. Load rose.",
        "the last of these is 10m old",
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"findings": (), "group_score": 0.1, "summary": "Calm."}, "score 1, nothing odd. Calm."),
        ({"outcome": "ungrounded"}, "score 8, node_load1 level_shift"),
        ({"findings": (make_finding(grounded=False),)}, "score 8, nothing odd. Load rose."),
        ({"findings": (make_finding(kind=None),)}, "score 8, node_load1 odd. Load rose."),
        ({"findings": (make_finding(llm_score=0.5),)}, "score 8, nothing odd. Load rose."),
        (
            {"findings": (make_finding(),) * 5, "summary": "a\nb"},
            "score 8, node_load1 level_shift, node_load1 level_shift, node_load1 level_shift and 2 more. a b",
        ),
    ],
)
def test_words_of_the_model_are_kept_only_where_every_check_passed(changes: dict[str, Any], line: str) -> None:
    assert f"2025-11-22 09:24 UTC: {line}" == remembered(make_verdict(**changes))[0]


@pytest.mark.parametrize("outcome", ["invalid", "llm_error", "timeout"])
def test_a_verdict_without_an_answer_leaves_no_line(outcome: str) -> None:
    assert remembered(make_verdict(outcome=outcome, group_score=None)) == ()


def test_lines_are_bounded() -> None:
    line = remembered(make_verdict(summary="word " * 200))[0]
    assert len(line) == 180
    assert line.endswith("…")


def test_the_oldest_go_several_at_once_and_the_beginning_stays_between() -> None:
    memory = Memory(keep=8, prune=4)
    counts = []
    heads = []
    for index in range(20):
        memory.remember(make_verdict(AT + 60 * index))
        lines = memory.lines("node-health", GROUP, AT + 60 * index)[:-1]
        counts.append(len(lines))
        heads.append(lines[0])
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8]
    assert len(set(heads)) == 4


def test_the_age_reads_well() -> None:
    memory = Memory()
    memory.remember(make_verdict())
    ages = [memory.lines("node-health", GROUP, AT + after)[-1] for after in (-5, 0.4, 59.9, 150, 7100, 7300, 90000)]
    assert [line.split()[-2] for line in ages] == ["0", "0", "59s", "2m", "1h58m", "2h", "1d1h"]


def test_groups_and_watches_are_kept_apart_and_forgotten() -> None:
    memory = Memory()
    memory.remember(make_verdict())
    memory.remember(make_verdict(watch="other", summary="Elsewhere."))
    assert len(memory.lines("node-health", GROUP, AT)) == 2
    assert memory.lines("node-health", (), AT) == ()
    memory.forget("node-health")
    memory.forget("unknown")
    assert memory.lines("node-health", GROUP, AT) == ()
    assert len(memory.lines("other", GROUP, AT)) == 2


def test_the_group_used_least_recently_is_forgotten_first() -> None:
    memory = Memory(groups=2)
    first, second, third = ((("instance", name),) for name in "abc")
    memory.remember(make_verdict(group=first))
    memory.remember(make_verdict(group=second))
    memory.lines("node-health", first, AT)
    memory.remember(make_verdict(group=third))
    assert [bool(memory.lines("node-health", group, AT)) for group in (first, second, third)] == [True, False, True]


@pytest.mark.parametrize("settings", [{"keep": 0}, {"keep": 2, "prune": 3}, {"prune": 0}, {"groups": 0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="memory needs"):
        Memory(**settings)


def test_threads_may_share_it() -> None:
    memory = Memory(keep=4, prune=2, groups=8)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for index in range(200):
                group = (("instance", str((seed * 7 + index) % 12)),)
                memory.remember(replace(make_verdict(AT + index), group=group))
                assert len(memory.lines("node-health", group, AT + index)) <= 5
                if index % 50 == 0:
                    memory.forget("node-health")
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_after_a_restart_the_same_lines_are_told_as_before() -> None:
    verdicts = [
        make_verdict(AT),
        make_verdict(AT + 60, outcome="ungrounded", findings=(make_finding(grounded=False), make_finding(kind=None))),
        make_verdict(AT + 120, outcome="timeout", group_score=None),
    ]
    restored = Memory()
    count = restored.restore(json.loads(json.dumps([to_document(verdict) for verdict in reversed(verdicts)])))
    assert count == 2
    assert remembered(*verdicts) == restored.lines("node-health", GROUP, AT + 600)


@pytest.mark.parametrize(
    "change",
    [{"at": None}, {"at": 1e300}, {"findings": [{}]}, {"group": ["a"]}, {"group_score": "high"}, {"summary": None}],
)
def test_a_document_of_another_shape_leaves_no_line_and_spoils_no_other(change: dict[str, Any]) -> None:
    memory = Memory()
    broken = {**to_document(make_verdict(AT - 60)), **change}
    kept = memory.restore([broken, {}, to_document(make_verdict())])
    assert kept == len(memory.lines("node-health", GROUP, AT)) - 1
    assert memory.lines("node-health", GROUP, AT)[-2] == remembered(make_verdict())[0]


def test_restoring_many_prunes_as_remembering_does() -> None:
    verdicts = [make_verdict(AT + 60 * index) for index in range(11)]
    restored = Memory()
    restored.restore(to_document(verdict) for verdict in verdicts)
    assert remembered(*verdicts) == restored.lines("node-health", GROUP, AT + 600)
