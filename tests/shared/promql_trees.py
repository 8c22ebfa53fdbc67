"""What the tests of rules and dashboards read from a parsed PromQL expression."""

from typing import Any

import promql_parser


def nodes(tree: Any) -> list[Any]:
    """Every node, the selector inside a range included."""
    found: list[Any] = []
    promql_parser.walk(tree, found.append)
    return found


def selectors(tree: Any) -> list[promql_parser.VectorSelector]:
    """Every selector."""
    return [node for node in nodes(tree) if isinstance(node, promql_parser.VectorSelector)]


def joined_on(tree: Any) -> set[str]:
    """Every label that is aggregated or matched by."""
    found: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found |= set(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None:
            if node.modifier.matching is not None:
                found |= set(node.modifier.matching.labels)
            found |= set(node.modifier.group_labels or ())
    return found
