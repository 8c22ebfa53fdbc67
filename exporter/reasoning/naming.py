"""What series are called: in the prompt, and in the sentences that people read instead of S1 and E2."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from exporter.reasoning.clean import ELLIPSIS, quoted
from exporter.screening.result import ScreenedSeries
from exporter.series.labels import Labels

NAME_LIMIT = 128
_VALUE_LIMIT = 64
_LABELS_LIMIT = 240
_SPOKEN_LABELS_LIMIT = 80
UNIT_LIMIT = 24

_ID = re.compile(r"\b[ES]\d+\b")
_IDS = r"E\d+\b(?:(?:\s*[,;/&]\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)E\d+\b)*"
_IN_BRACKETS = re.compile(rf"\s*[(\[]\s*(?:see\s+)?(?:facts?:?\s+|evidence:?\s+)?{_IDS}\s*[)\]]", re.IGNORECASE)
_IN_SENTENCE = re.compile(rf"\b(?:(?:the\s+)?(?:facts?|evidence)\s+)?{_IDS}")
_SERIES = re.compile(r"\b(?:[Ss]eries\s+)?(S\d+)\b")
_EVIDENCE = "the evidence"


def title(series: ScreenedSeries, group: Labels) -> str:
    """Metric, the labels that it does not share with its group, unit."""
    unit = clean_unit(series)
    return f"{_with_labels(series, group, _LABELS_LIMIT)}{f' in {unit}' if unit else ''}"


def clean_unit(series: ScreenedSeries) -> str:
    """The unit, fit for a prompt."""
    return quoted(series.series.unit, UNIT_LIMIT)


def spoken_names(series: Sequence[ScreenedSeries], group: Labels) -> tuple[str, ...]:
    """What each series is called in a sentence: its metric, with its own labels only where others have the same."""
    bare = [quoted(one.series.name, NAME_LIMIT) for one in series]
    count = Counter(bare)
    return tuple(
        name if count[name] == 1 else _with_labels(one, group, _SPOKEN_LABELS_LIMIT)
        for name, one in zip(bare, series, strict=True)
    )


def pairs(labels: Labels, limit: int = _LABELS_LIMIT) -> str:
    """`a="1",b="2"`, as many whole pairs as the limit allows; `…` stands for the others."""
    text = ""
    for name, value in labels:
        pair = f'{quoted(name, _VALUE_LIMIT)}="{quoted(value, _VALUE_LIMIT)}"'
        if len(text) + len(pair) > limit:
            return f"{text},{ELLIPSIS}" if text else ELLIPSIS
        text = f"{text},{pair}" if text else pair
    return text


def ids_in(texts: Iterable[str]) -> frozenset[str]:
    """Everything in these texts that looks like the id of a series or a fact."""
    return frozenset(name for text in texts for name in _ID.findall(text))


def for_people(text: str, names: Mapping[str, str], words: Collection[str]) -> str:
    """A sentence without ids: series by their names, facts as what they are.

    A text of ids alone stays as it is, and so do ids that name nothing.

    Args:
        text: the sentence.
        names: what each series is called, by its id.
        words: what looks like an id, but is a word of the snapshot too, as S3 may be in a label: it stays.
    """

    def named(match: re.Match[str]) -> str:
        known = match[1] in names and match[1] not in words
        return names[match[1]] if known else match[0]

    def removed(match: re.Match[str]) -> str:
        return match[0] if ids_in([match[0]]) & set(words) else ""

    def spoken(match: re.Match[str]) -> str:
        if ids_in([match[0]]) & set(words):
            return match[0]
        return _EVIDENCE if match.string[: match.start()].strip() else _EVIDENCE.capitalize()

    line = _SERIES.sub(named, _IN_SENTENCE.sub(spoken, _IN_BRACKETS.sub(removed, text)))
    for name in names.values():
        # A model that gave both the name and the id has said it twice now.
        line = line.replace(f"{name} ({name})", name).replace(f"{name} {name}", name)
    return line.strip() or text


def _with_labels(series: ScreenedSeries, group: Labels, limit: int) -> str:
    own = tuple(pair for pair in series.series.labels if pair not in group)
    labels = f"{{{pairs(own, limit)}}}" if own else ""
    return f"{quoted(series.series.name, NAME_LIMIT)}{labels}"
