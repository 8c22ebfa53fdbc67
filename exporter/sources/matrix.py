r"""A range query's JSON as arrays, with no Python object for a point.

An answer is mostly points: `[1700000000,"0.25"]`, thousands of times. They are cut out of the text between
`"values":[[` and `]]` and read by numpy in one go; only what is left, the labels, goes through the JSON parser. Inside
a JSON string a quote is written `\"`, so no label value can hold the text that is looked for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.errors import BadDataError
from exporter.series.frame import FloatArray, IntArray

_BATCH = 1 << 22
"""Bytes of points that are read in one go."""
_OPENING = b'"values":[['
_CLOSING = b"]]"
_STRUCTURE = b'[]"'
_NUMERIC = b"0123456789.eE+-NaInf"
_POINT = b'[,""]'
"""What is left of a point without the characters of its numbers."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """Points of several series, end to end."""

    metrics: tuple[dict[str, str], ...]
    """[series]: all labels, `__name__` among them."""
    counts: IntArray
    """[series]: points of each."""
    times: FloatArray
    """[points]: Unix seconds."""
    values: FloatArray
    """[points]"""
    warnings: tuple[str, ...]
    """The server's warnings and infos."""
    partial: bool
    """Whether the server says that it could not ask all of its storage."""
    histograms: int
    """Series that came as native histograms, which have no value to take."""


def parse_matrix(body: bytes) -> Matrix:
    """The points of a successful answer of `/api/v1/query_range`.

    Raises:
        BadDataError: it is cut off, or something else than such an answer.
    """
    skeleton, texts = _cut_out(body)
    document = load_json(skeleton)
    data = document.get("data")
    if document.get("status") != "success" or not isinstance(data, dict) or data.get("resultType") != "matrix":
        raise BadDataError("the answer is JSON, but no result of a range query (status success, resultType matrix)")
    result = data.get("result")
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise BadDataError("the result of the range query is no list of series")
    with_values = [item for item in result if "values" in item]
    numbers, counts = _points(with_values, texts)
    return Matrix(
        metrics=tuple(metric_of(item) for item in with_values),
        counts=counts,
        times=numbers[0::2],
        values=numbers[1::2],
        warnings=strings_of(document.get("warnings")) + strings_of(document.get("infos")),
        partial=document.get("isPartial") is True,
        histograms=sum("histograms" in item for item in result),
    )


def load_json(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BadDataError: the text is none, or is cut off.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadDataError(f"the answer is no valid JSON, or was cut off ({error})") from None
    if not isinstance(document, dict):
        raise BadDataError("the answer is JSON, but no object")
    return document


def _cut_out(body: bytes) -> tuple[bytes, list[bytes]]:
    """The JSON with each list of points replaced by its number, and the points' texts."""
    kept: list[bytes] = []
    texts: list[bytes] = []
    at = 0
    while (opening := body.find(_OPENING, at)) >= 0:
        closing = body.find(_CLOSING, opening)
        if closing < 0:
            raise BadDataError("the answer was cut off in the middle of its points")
        kept += [body[at:opening], b'"values":%d' % len(texts)]
        texts.append(body[opening + len(_OPENING) - 1 : closing + 1])
        at = closing + len(_CLOSING)
    kept.append(body[at:])
    return b"".join(kept), texts


def _points(items: list[dict[str, Any]], texts: list[bytes]) -> tuple[FloatArray, IntArray]:
    """Instants and values in turn, and how many points each series has."""
    if [item["values"] for item in items] != list(range(len(texts))):
        # Not the compact JSON that servers write: the points are spelled out once more in that form.
        texts = [_respell(item["values"], texts) for item in items]
    counts = np.array([text.count(b"],[") + 1 if text else 0 for text in texts], dtype=np.intp)
    parts = [_numbers(b",".join(batch)) for batch in _batches(texts)]
    return (np.concatenate(parts) if parts else np.empty(0)), counts


def _batches(texts: list[bytes]) -> Iterator[list[bytes]]:
    """The texts that hold points, in groups that are small enough to be copied."""
    batch: list[bytes] = []
    size = 0
    for text in texts:
        if text:
            batch.append(text)
            size += len(text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _respell(values: Any, texts: list[bytes]) -> bytes:
    if type(values) is int and 0 <= values < len(texts):
        return texts[values]
    if not isinstance(values, list):
        raise BadDataError("the values of a series are no list")
    return json.dumps(values, separators=(",", ":")).encode()[1:-1]


def _numbers(text: bytes) -> FloatArray:
    """The numbers of points written one after the other."""
    points = text.count(b"],[") + 1
    if text.translate(None, _NUMERIC) != b",".join([_POINT] * points):
        raise BadDataError('a point of the answer is not of the form [time, "value"]')
    try:
        numbers = np.fromstring(text.translate(None, _STRUCTURE), dtype=np.float64, sep=",")
    except (ValueError, DeprecationWarning):
        # What numpy does with text that is no number changes between its versions: nothing, a warning, an error.
        numbers = np.empty(0)
    if len(numbers) != 2 * points:
        raise BadDataError("a point of the answer holds something that is no number")
    return numbers


def metric_of(item: dict[str, Any]) -> dict[str, str]:
    """The labels of a series of an answer.

    Raises:
        BadDataError: it has none.
    """
    metric = item.get("metric")
    if not isinstance(metric, dict) or not all(isinstance(value, str) for value in metric.values()):
        raise BadDataError("a series of the answer has no labels")
    return metric


def strings_of(values: Any) -> tuple[str, ...]:
    """The entries of a list as text; nothing where there is no list."""
    return tuple(str(value) for value in values) if isinstance(values, list) else ()
