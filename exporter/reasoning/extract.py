"""Finds the JSON object in a model's answer, whatever stands around it."""

import json
from collections.abc import Iterator
from typing import Any

_LONGEST_ANSWER = 100_000
_MOST_ATTEMPTS = 256
_END_OF_THOUGHT = "</think>"


class _NotStrictError(ValueError):
    """JSON that means two things, or nothing: NaN, Infinity, the same key twice."""


def json_object(text: str, wanted: str) -> dict[str, Any] | None:
    """The object with the key `wanted` in this text; None if there is none that is complete.

    The whole text first, then what follows `</think>`, then anything: the last complete object counts, so that
    fences around an answer and what a model said before it do not matter. Of an answer longer than 100,000
    characters only the beginning is read, and at most 256 opening braces are tried.
    """
    text = text[:_LONGEST_ANSWER].strip()
    whole = _loads(text)
    if isinstance(whole, dict):
        return whole if wanted in whole else None
    thought, end, answer = text.rpartition(_END_OF_THOUGHT)
    for part in (answer, thought) if end else (text,):
        found = [candidate for candidate in _objects(part) if wanted in candidate]
        if found:
            return found[-1]
    return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Every outermost complete object."""
    decoder = _decoder()
    position = text.find("{")
    attempts = 0
    while position >= 0 and attempts < _MOST_ATTEMPTS:
        attempts += 1
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            end = position + 1
        else:
            yield value
        position = text.find("{", end)


def _loads(text: str) -> Any:
    try:
        return _decoder().decode(text)
    except (ValueError, RecursionError):
        return None


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise _NotStrictError("the same key twice")
    return mapping


def _refuse(constant: str) -> Any:
    raise _NotStrictError(f"{constant} is no JSON")
