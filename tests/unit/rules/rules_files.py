"""The rule files and their tests as the tests read them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from promql_trees import nodes

ROOT = Path(__file__).parents[3]
RULE_FILES = sorted((ROOT / "rules").glob("*.rules.yml"))
TEST_FILES = sorted((ROOT / "rules" / "tests").glob("*.yml"))


@dataclass(frozen=True)
class Rule:
    file: str
    group: str
    alert: str
    """Empty for a recording rule."""
    record: str
    severity: str
    text: dict[str, Any]

    @property
    def expr(self) -> str:
        return self.text["expr"]

    @property
    def annotations(self) -> dict[str, str]:
        return self.text.get("annotations", {})

    def __str__(self) -> str:
        return f"{self.alert or self.record}-{self.severity}"


def groups() -> list[tuple[str, dict[str, Any]]]:
    return [(file.name, group) for file in RULE_FILES for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]


def rules() -> list[Rule]:
    return [
        Rule(
            file,
            group["name"],
            rule.get("alert", ""),
            rule.get("record", ""),
            rule.get("labels", {}).get("severity", ""),
            rule,
        )
        for file, group in groups()
        for rule in group["rules"]
    ]


RULES = rules()
ALERTS = [rule for rule in RULES if rule.alert]
ALERT_NAMES = sorted({rule.alert for rule in ALERTS})
RECORDED = {rule.record for rule in RULES if rule.record}


def parsed(expression: str) -> Any:
    return promql_parser.parse(expression)


def ranges(expression: str) -> list[timedelta]:
    """Every range."""
    return [node.range for node in nodes(parsed(expression)) if isinstance(node, promql_parser.MatrixSelector)]
