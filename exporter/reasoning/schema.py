"""The JSON schema that a model's answer is forced into, made for one snapshot.

Only what llama.cpp turns into a grammar and other engines share: objects with fixed properties in a fixed order, arrays,
enums, bounded integers and strings. Series are keys, so that none can be left out, named twice or made up; each may
cite only its own facts and those that name it beside others. Evidence and the sentence come before the score: a model writes from left to right, and what
it has put into words is what its score then rests on. The group comes last for the same reason.
"""

from typing import Any, Final

from exporter.reasoning.snapshot import ShownSeries, Snapshot
from exporter.screening.result import KINDS

NO_KIND: Final = "none"
TOP_SCORE: Final = 10
MOST_EVIDENCE: Final = 3
TEXT_LIMIT: Final = 140
SUMMARY_LIMIT: Final = 180


def answer_schema(snapshot: Snapshot) -> dict[str, Any]:
    """The schema of the answer to this snapshot."""
    return _object(
        {
            "findings": _object({series.id: _finding(series) for series in snapshot.shown}),
            "summary": _sentence(SUMMARY_LIMIT),
            "cause": _sentence(TEXT_LIMIT),
            "next_steps": _sentence(TEXT_LIMIT),
            "score": _score(),
        },
    )


def _finding(series: ShownSeries) -> dict[str, Any]:
    return _object(
        {
            "evidence": {
                "type": "array",
                "items": {"type": "string", "enum": list(series.citable)},
                "minItems": 1,
                "maxItems": MOST_EVIDENCE,
            },
            "text": _sentence(TEXT_LIMIT),
            "kind": {"type": "string", "enum": [*KINDS, NO_KIND]},
            "score": _score(),
            "confidence": _score(),
        },
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _sentence(limit: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": limit}


def _score() -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": TOP_SCORE}
