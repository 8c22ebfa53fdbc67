"""Whether the words of a verdict name the kind of fault that was injected."""

import re
from collections.abc import Mapping
from typing import Final

from exporter.reasoning.verdict import Verdict

_TOPICS: Final[Mapping[str, str]] = {
    "processor": r"cpu|processors?|compute",
    "network": r"network\w*|latenc\w+|delay\w*|packets?|round[ -]trips?|bandwidth",
    "error": r"errors?|exceptions?|fail\w*|returns?|returned|crash\w*",
    "memory": r"memory|heap|oom|swap\w*",
    "disk": r"disks?|storage|file ?systems?|i/o",
}
"""What faults are about, with the words that tell so in the kind of a fault and in a verdict."""
_NAMES = {topic: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE) for topic, words in _TOPICS.items()}
_WORD = re.compile(r"[a-z]{3,}", re.IGNORECASE)


def named_rightly(kind: str, verdict: Verdict) -> bool:
    """Whether a verdict blames what a fault was about: the processor, the network, an error, memory or a disk.

    What stands first counts, so that a text that lists everything is right as seldom as one that guesses. The probable
    cause is read before the summary; if neither names any of these, none of it is right. Of a kind that is about none of
    them one of its own words must occur.

    Args:
        kind: of the fault, as the labels have it: `cpu_contention`.
        verdict: on the group that it was injected into.
    """
    words = kind.replace("_", " ")
    wanted = _first_topic(words)
    if wanted:
        return next((topic for topic in map(_first_topic, (verdict.cause, verdict.summary)) if topic), "") == wanted
    said = f"{verdict.cause} {verdict.summary}".lower()
    return any(word.lower() in said for word in _WORD.findall(words))


def _first_topic(text: str) -> str:
    """What a text is about, by the word of `_TOPICS` that stands first in it; "" where there is none."""
    found = {topic: match.start() for topic, name in _NAMES.items() if (match := name.search(text))}
    return min(found, key=lambda topic: found[topic]) if found else ""
