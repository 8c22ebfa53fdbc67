"""Whether the answer to a query can be used, and in the server's own words why not."""

import re

from exporter.errors import BadDataError, RefusedError, TransientError
from exporter.sources.http import Answer
from exporter.sources.matrix import Matrix, load_json
from exporter.sources.vector import Vector
from exporter.sources.words import excerpt, media_type, readable

_INCOMPLETE = re.compile(
    r"partial|truncated|rpc error|(?:receive|fetch) series|remote.?read|no storeapis|context (?:canceled|deadline)",
    re.IGNORECASE,
)
"""Warnings that mean missing data: Prometheus' "results truncated due to limit" and failed remote reads, Thanos'
partial responses (a store that failed or matched nothing). Other warnings and infos comment on the query."""
_COMMENT = "PromQL "
"""How Prometheus' comments on a query begin; they repeat names of metrics, which may hold any of these words."""


def check_answer(answer: Answer, url: str, query: str) -> None:
    """Refuse an answer that is not a successful JSON one.

    Raises:
        RefusedError: the server does not take this query, or not from us.
        TransientError: the server failed, or is overloaded.
        BadDataError: the answer is no JSON.
    """
    status = answer.status
    if status == 200 and media_type(answer) == "application/json":
        return
    said = _error_text(answer)
    if status in (401, 403):
        raise RefusedError(f"{url}: answered {status}{said}; check the credentials of this source")
    if status == 404:
        raise RefusedError(f"{url}: answered 404{said}; is url the root of a Prometheus API?")
    if status in (400, 422):
        raise RefusedError(f"{url}: {query} was refused with {status}{said}")
    if status != 200:
        raise TransientError(f"{url}: {query}: answered {status}{said}")
    raise BadDataError(
        f"answered 200 with {media_type(answer)[:100]!r} where application/json was expected; is url the root of a Prometheus API?"
    )


def check_whole(matrix: Matrix | Vector) -> None:
    """Refuse an answer that holds only a part of the data.

    Raises:
        BadDataError: the server says that it is partial, or its warnings do, or series came as native histograms.
    """
    if matrix.partial:
        raise BadDataError(
            "the server could answer only in part (isPartial), since some of its storage does not answer; "
            "missing series would look like vanished ones, so nothing of it was taken"
        )
    incomplete = [
        warning for warning in matrix.warnings if not warning.startswith(_COMMENT) and _INCOMPLETE.search(warning)
    ]
    if incomplete:
        raise BadDataError(
            f"the answer is incomplete, so nothing of it was taken; the server says: {readable(incomplete[0])}"
        )
    if matrix.histograms:
        raise BadDataError(
            f"{matrix.histograms} series are native histograms; take a number out of them in the query, "
            "with histogram_quantile or histogram_avg"
        )


def _error_text(answer: Answer) -> str:
    """What the server says is wrong, after a colon; empty where it says nothing readable."""
    try:
        document = load_json(answer.body)
    except BadDataError:
        return excerpt(answer)
    kind, text = document.get("errorType"), document.get("error")
    return f": {readable(': '.join(str(part) for part in (kind, text) if part))}" if text else ""
