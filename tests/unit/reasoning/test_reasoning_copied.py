"""An answer about the instructions' example is no answer about what was shown."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reasoning_cases import (
    AT,
    MODEL,
    ScriptedModel,
    answer,
    finding,
    make_group,
    make_series,
    snapshot_of,
    two_hosts,
    words,
)

from exporter.reasoning.analyst import Analyst
from exporter.reasoning.checks import ParsedAnswer, parse_answer
from exporter.reasoning.copied import copied_from_examples, examples_in
from exporter.reasoning.memory import Memory
from exporter.reasoning.prompt import system_prompt
from exporter.reasoning.snapshot import Snapshot

HOSTS = snapshot_of()
"""Load, a disk and a temperature: no queue, no consumer, no CPU."""

CAUSE = "Work is not taken from the queue: its consumer stands or waits."
COPIES = [
    CAUSE,
    "The queue is several times as long as usual and stays so.",
    "The queue jumped and stays full; the CPU is calm.",
    "Check whether the consumer runs and what it waits for.",
    "CPU use is as usual.",
    "The queue is hardly longer than usual.",
]
NEAR_COPIES = [
    "work is not fetched from the queue",
    "The consumer is not taken from the queue: its consumer stands or waits.",
    "Its consumer hangs or waits.",
    "The consumer runs and what it waits for.",
    "The consumers run and wait for what it waits for.",
    "The queue is not as long as usual, but it is not a problem.",
    "The queue is few minutes longer than usual, but it is just a small change.",
    "The queue jumped and stays so.",
    "I believe that by now work is not taken from the queue because a disk of this host filled too fast.",
    "The queue, several times as long as usual, stays so.",
    "THE QUEUE JUMPED AND STAYS FULL",
]
OWN_WORDS = [
    "Nothing is wrong.",
    "Ordinary variation.",
    "Nothing to do.",
    "Load rose and the disk filled.",
    "The load is several times as high as usual and stays so.",
    "The load jumped and stays high; the temperature is calm.",
    "Check whether the backup runs and what it waits for.",
    "Free space is several times as small as usual and stays so.",
    "Requests queue up behind a slow disk.",
    "A job keeps the CPU busy.",
    "The CPU is overloaded, so the run queue grows.",
    "A consumer of memory.",
    "The load is several times as long as usual and stays so, perhaps for a queue.",
    "Load jumped and the CPU is busy with backups.",
    "",
    "…",
]


def copied(*texts: str, snapshot: Snapshot = HOSTS) -> set[str]:
    return set(copied_from_examples(texts, snapshot.text))


def parsed(document: dict, snapshot: Snapshot = HOSTS) -> ParsedAnswer:
    result = parse_answer(json.dumps(document), snapshot)
    assert isinstance(result, ParsedAnswer)
    return result


@pytest.mark.parametrize("text", COPIES + NEAR_COPIES)
def test_a_sentence_of_the_examples_about_what_was_not_shown_is_a_copy(text: str) -> None:
    assert copied("Load rose.", text) == {text}


@pytest.mark.parametrize("text", OWN_WORDS)
def test_the_style_of_the_examples_and_single_words_of_them_are_free(text: str) -> None:
    assert copied(text) == set()


def test_each_sentence_of_the_shipped_examples_is_free_or_a_copy() -> None:
    """The tables above name the sentences; this finds out when the instructions change."""
    sentences = {
        text
        for line in re.findall(r"^\{.*\}$", system_prompt(), re.MULTILINE)
        for text in re.findall(r'"([^"]+\.)"', line)
    }
    assert sentences == set(COPIES) | {"Nothing is wrong.", "Ordinary variation.", "Nothing to do."}


def test_the_things_that_were_not_shown_are_named() -> None:
    assert copied_from_examples([CAUSE], HOSTS.text) == {CAUSE: ("consumer", "queue")}
    half = snapshot_of(context="The consumer of orders.")
    assert copied_from_examples([CAUSE], half.text) == {CAUSE: ("queue",)}


@pytest.mark.parametrize(
    "snapshot",
    [
        snapshot_of(
            make_group(make_series("shop_queue_length"), make_series("shop_consumers"), make_series("cpu_busy"))
        ),
        snapshot_of(make_group(make_series("jobs", description="Queued jobs of each consumer. CPU-bound."))),
        snapshot_of(make_group(make_series("jobs", unit="queues", labels={"consumergroup": "a", "cpu": "0"}))),
        snapshot_of(context="Consumers take work from a queue; the CPU is shared."),
    ],
)
@pytest.mark.parametrize("text", COPIES)
def test_what_the_snapshot_speaks_of_may_be_said_in_the_words_of_the_examples(snapshot: Snapshot, text: str) -> None:
    """In a name, HELP, unit, label or the user's words."""
    assert copied(text, snapshot=snapshot) == set()


def test_what_the_model_said_earlier_does_not_make_it_true() -> None:
    assert copied(CAUSE, snapshot=snapshot_of(earlier=[CAUSE])) == {CAUSE}


def test_beside_a_copy_every_text_about_the_same_things_has_them_from_the_example() -> None:
    loose = "The consumer is a matter of a few seconds."
    assert copied(loose, "Load rose.") == set()
    assert copied(loose, "Load rose.", CAUSE) == {loose, CAUSE}


def test_sentences_and_things_are_read_from_the_instructions() -> None:
    said = {
        "findings": {"S1": {"text": "A valve leaks."}},
        "summary": "Its pressure falls.",
        "cause": "Rust.",
        "score": 8,
    }
    found = examples_in(f"Judge the data.\n<data>\nS1 the_flow\n</data>\n{json.dumps(said)}\n")
    assert found.things == {"valve", "pressure"}
    assert found.sentences == (("a", "valve", "leak"), ("it", "pressure", "fall"), ("rust",))


@pytest.mark.parametrize("part", ["summary", "cause", "next_steps"])
def test_a_copy_about_the_group_is_a_problem_and_leaves_the_findings(part: str) -> None:
    result = parsed(answer(**{part: CAUSE}))
    assert result.problems == (
        f"{part}: repeats the example of the instructions: nothing shown speaks of consumer, queue",
    )
    assert all(one.grounded for one in result.findings)


def test_a_finding_that_is_a_copy_is_marked_and_the_others_are_not() -> None:
    document = answer()
    document["findings"]["S2"] = finding(evidence=["E4"], text=COPIES[1])
    result = parsed(document)
    assert result.problems == (
        "node_filesystem_avail_bytes: repeats the example of the instructions: nothing shown speaks of queue",
    )
    assert [one.grounded for one in result.findings] == [True, False, True]


def test_a_verdict_with_a_copy_is_ungrounded_and_its_words_are_not_remembered() -> None:
    memory = Memory()
    analyst = Analyst(estimate=lambda text, _: words(text), learn=lambda *_: None, memory=memory)
    model = ScriptedModel(answer(summary=COPIES[2]))
    verdict = analyst.judge(two_hosts(), context="Two hosts.", at=AT, ask=model, server="desk", model=MODEL)
    assert verdict.outcome == "ungrounded"
    remembered = memory.lines(verdict.watch, verdict.group, verdict.at)
    assert remembered
    assert "queue" not in " ".join(remembered)


SHOWN_WORDS = st.lists(st.sampled_from(re.findall(r"\S+", HOSTS.text)), max_size=40).map(" ".join)


@given(st.lists(SHOWN_WORDS, max_size=6))
def test_an_answer_in_words_of_the_snapshot_alone_is_never_a_copy(texts: list[str]) -> None:
    assert copied(*texts) == set()


@given(st.lists(st.text(max_size=300), max_size=6), st.text(max_size=300))
def test_only_texts_of_the_answer_that_name_something_are_copies(texts: list[str], shown: str) -> None:
    found = copied_from_examples([*texts, CAUSE], shown)
    assert set(found) <= {*texts, CAUSE}
    assert all(named and not any(thing in shown.casefold() for thing in named) for named in found.values())
