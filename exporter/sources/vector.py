"""An instant query's JSON as one array, with the labels of each sample."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.errors import BadDataError
from exporter.series.frame import FloatArray
from exporter.sources.matrix import load_json, metric_of, strings_of


@dataclass(frozen=True, eq=False)
class Vector:
    """One sample of each of several series."""

    metrics: tuple[dict[str, str], ...]
    """[series]: all labels, `__name__` among them."""
    values: FloatArray
    """[series]"""
    warnings: tuple[str, ...]
    """The server's warnings and infos."""
    partial: bool
    """Whether the server says that it could not ask all of its storage."""
    histograms: int
    """Series that came as native histograms, which have no value to take."""


def parse_vector(body: bytes) -> Vector:
    """The samples of a successful answer of `/api/v1/query`.

    Raises:
        BadDataError: it is cut off, or something else than such an answer.
    """
    document = load_json(body)
    data = document.get("data")
    if document.get("status") != "success" or not isinstance(data, dict) or data.get("resultType") != "vector":
        raise BadDataError("the answer is JSON, but no result of an instant query (status success, resultType vector)")
    result = data.get("result")
    if not isinstance(result, list) or not all(isinstance(item, dict) for item in result):
        raise BadDataError("the result of the instant query is no list of series")
    with_value = [item for item in result if "value" in item]
    return Vector(
        metrics=tuple(metric_of(item) for item in with_value),
        values=np.array([_value(item["value"]) for item in with_value], dtype=np.float64),
        warnings=strings_of(document.get("warnings")) + strings_of(document.get("infos")),
        partial=document.get("isPartial") is True,
        histograms=sum("histogram" in item for item in result),
    )


def _value(sample: Any) -> float:
    try:
        _, text = sample
        return float(text)
    except (TypeError, ValueError):
        raise BadDataError('a sample of the answer is not of the form [time, "value"]') from None
