"""The schema forces exactly the answer that the checks accept."""

import json
from typing import Any

from reasoning_cases import answer, snapshot_of

from exporter.reasoning.checks import ParsedAnswer, parse_answer
from exporter.reasoning.schema import answer_schema
from exporter.screening.result import KINDS

KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "items", "enum",
    "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum",
}  # fmt: skip
"""What llama.cpp's conversion to a grammar and other engines all understand."""


def nodes(schema: dict[str, Any]) -> list[dict[str, Any]]:
    children = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(node for child in children for node in nodes(child))]


def test_each_series_is_a_required_key_that_may_cite_only_facts_about_it() -> None:
    findings = answer_schema(snapshot_of())["properties"]["findings"]
    assert ["S1", "S2", "S3"] == list(findings["properties"]) == findings["required"]
    assert [part["properties"]["evidence"]["items"]["enum"] for part in findings["properties"].values()] == [
        ["E1", "E2", "E3", "E7"],
        ["E4", "E5", "E7"],
        ["E6"],
    ]


def test_a_model_writes_evidence_and_words_before_scores_and_series_before_the_group() -> None:
    schema = answer_schema(snapshot_of())
    assert list(schema["properties"]) == ["findings", "summary", "cause", "next_steps", "score"]
    finding = schema["properties"]["findings"]["properties"]["S1"]
    assert list(finding["properties"]) == ["evidence", "text", "kind", "score", "confidence"]
    assert [*KINDS, "none"] == finding["properties"]["kind"]["enum"]


def test_only_keywords_that_every_engine_knows_are_used_and_nothing_is_left_open() -> None:
    for node in nodes(answer_schema(snapshot_of())):
        assert set(node) <= KEYWORDS
        if node["type"] == "object":
            assert node["additionalProperties"] is False
            assert list(node["properties"]) == node["required"]
        if node["type"] == "string":
            assert "enum" in node or node["maxLength"] < 2000, "llama.cpp refuses repetitions from 2000 on"
        if node["type"] == "integer":
            assert (node["minimum"], node["maximum"]) == (0, 10)


def test_the_order_of_the_properties_survives_the_wire() -> None:
    schema = answer_schema(snapshot_of())
    assert json.dumps(schema) == json.dumps(json.loads(json.dumps(schema)))
    text = json.dumps(schema["properties"]["findings"]["properties"]["S1"]["properties"])
    places = [text.index(f'"{name}": {{') for name in ("evidence", "text", "kind", "score", "confidence")]
    assert places == sorted(places)


def test_an_answer_that_follows_the_schema_passes_the_checks() -> None:
    parsed = parse_answer(json.dumps(answer()), snapshot_of())
    assert isinstance(parsed, ParsedAnswer)
    assert parsed.problems == ()
