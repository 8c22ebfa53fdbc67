"""The dashboards as they ship, read for tests: panels, queries, variables, and PromQL as Grafana would send it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?:\.[^}:]+)?(?::\w+)?\}|\$([A-Za-z_]\w*)")
GLOBALS = {
    "__rate_interval": "1m",
    "__interval": "15s",
    "__range": "1h",
}
"""Grafana's own variables, with what they are for a range of an hour."""


@dataclass(frozen=True)
class Panel:
    dashboard: str
    """Its uid."""
    document: dict[str, Any]

    @property
    def title(self) -> str:
        return self.document["title"]

    @property
    def targets(self) -> list[dict[str, Any]]:
        return self.document.get("targets", [])

    @property
    def row(self) -> bool:
        return self.document["type"] == "row"

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title}"


@dataclass(frozen=True)
class Query:
    panel: Panel
    target: dict[str, Any]

    @property
    def expr(self) -> str:
        return self.target["expr"]

    def __str__(self) -> str:
        return f"{self.panel}: {self.target['refId']}"


def load(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


DASHBOARDS = {document["uid"]: document for document in map(load, FILES)}
PANELS = [Panel(uid, panel) for uid, document in DASHBOARDS.items() for panel in document["panels"]]
SHOWN = [panel for panel in PANELS if not panel.row]
QUERIES = [Query(panel, target) for panel in SHOWN for target in panel.targets]

ANNOTATIONS = [
    (uid, one)
    for uid, document in DASHBOARDS.items()
    for one in document["annotations"]["list"]
    if one["datasource"]["type"] == "prometheus"
]


def variables(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = dashboard["templating"]["list"]
    return listed


def used_variables(text: str) -> set[str]:
    """The names of variables in a text, Grafana's own included."""
    return {braced or bare for braced, bare in _VARIABLE.findall(text)}


def filled(text: str, values: dict[str, str]) -> str:
    """The text with its variables replaced, as Grafana does it before it asks.

    Raises:
        KeyError: a variable has no value.
    """
    known = {**GLOBALS, **values}
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], text)


def anything(dashboard: dict[str, Any]) -> dict[str, str]:
    """For each variable what stands for all its values, or for some value."""
    return {one["name"]: one.get("allValue", "some") for one in variables(dashboard)} | {"series": 'watch=~".+"'}
