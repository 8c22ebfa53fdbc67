"""Whether a model answers about the worked examples of its instructions instead of what it was shown.

Small models repeat an example's sentences word for word, or nearly, whatever stands in the snapshot (docs/evaluation.md).
Style is meant to be copied, so shared words alone prove nothing: a sentence must also name a thing that the examples speak
of and the snapshot does not. Both are read from the instructions themselves. A thing is a word with an article before it;
sentences that name none, such as "Nothing to do.", are free to be repeated.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import Any

from exporter.reasoning.prompt import system_prompt

_RUN = 4
"""Words in a row, a thing among them, from which on a sentence is a copy, whatever stands around them."""
_SHARE = 0.75
"""Part of a clause's words that stand in a sentence of the examples in the same order: the others were put in place of some."""

_WORD = re.compile(r"[^\W\d_]+")
_CLAUSE = re.compile(r"[.,:;!?]")
_THING = re.compile(r"\b(?:the|an?|its) ([^\W\d_]+)", re.IGNORECASE)

_EARLIER = re.compile(r"<earlier>.*?</earlier>", re.DOTALL)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """What the examples of the instructions say."""

    sentences: tuple[Words, ...]
    things: frozenset[str]
    """What they speak of."""


def copied_from_examples(texts: Collection[str], shown: str) -> Mapping[str, tuple[str, ...]]:
    """The texts of one answer that repeat an example, each with the things it names that were not shown, sorted.

    Once one text is a copy, all others of the answer that name such a thing have it from the examples too.

    Args:
        texts: what the answer says of the group and of each series.
        shown: the text of the snapshot. What the model said earlier, which stands there too, proves no thing.
    """
    examples = _examples()
    seen = _EARLIER.sub(" ", shown).casefold()
    strange = {thing for thing in examples.things if thing not in seen}
    naming = {text: named for text in texts if (named := strange.intersection(_words(text)))}
    if not any(_is_copy(text, strange, examples) for text in naming):
        return {}
    return {text: tuple(sorted(named)) for text, named in naming.items()}


def examples_in(instructions: str) -> Examples:
    """The sentences and the things of the answers, one JSON object a line, that stand in instructions."""
    answers = [json.loads(line) for line in instructions.splitlines() if line.startswith("{")]
    texts = [text for answer in answers for text in _texts(answer)]
    things = {thing for text in texts for name in _THING.findall(text) for thing in _words(name)}
    return Examples(tuple(_words(text) for text in texts), frozenset(things))


@cache
def _examples() -> Examples:
    return examples_in(system_prompt())


def _texts(answer: Mapping[str, Any]) -> Iterator[str]:
    yield from (finding["text"] for finding in answer["findings"].values())
    yield from (text for text in answer.values() if isinstance(text, str))


def _is_copy(text: str, strange: Collection[str], examples: Examples) -> bool:
    parts = {_words(part) for part in (text, *_CLAUSE.split(text))}
    return any(_repeats(part, sentence, strange) for part in parts for sentence in examples.sentences)


def _repeats(part: Words, sentence: Words, strange: Collection[str]) -> bool:
    """Whether enough of a part of a text stands in a sentence in the same order, a strange thing with it."""
    blocks = SequenceMatcher(None, part, sentence, autojunk=False).get_matching_blocks()
    runs = [run for block in blocks if (run := part[block.a : block.a + block.size])]
    about = [run for run in runs if not set(run).isdisjoint(strange)]
    if any(len(run) >= _RUN for run in about):
        return True
    shared = sum(map(len, runs))
    return bool(about) and shared >= _RUN and shared >= _SHARE * len(part)


def _words(text: str) -> Words:
    """The words of a text in small letters; those that differ only by an s at the end are the same."""
    return tuple(word.casefold().removesuffix("s") for word in _WORD.findall(text))
