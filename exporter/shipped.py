"""The files that ship with lmwatch beside its code: alerting rules, their runbooks, and Grafana's dashboards.

A wheel has them in `exporter/_shipped`, a checkout where they are kept.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from exporter.errors import BadDataError, ConfigError

RUNBOOK_PREFIX = '{{ with query "lmwatch_web_info" }}{{ . | first | label "external_url" }}{{ end }}/docs/runbooks'
"""How each `runbook_url` of the rules begins: the page of the lmwatch that Prometheus scrapes."""


@dataclass(frozen=True, slots=True)
class Shipped:
    """One file that ships with lmwatch."""

    name: str
    """Without a folder."""
    text: str

    @property
    def summary(self) -> str:
        """The comment in the first line, or a dashboard's title; empty where there is neither."""
        if self.name.endswith(".json"):
            return str(json.loads(self.text).get("title", ""))
        first = self.text.partition("\n")[0]
        return first.removeprefix("# ") if first.startswith("# ") else ""


def rules() -> tuple[Shipped, ...]:
    """The files of alerting and recording rules, by name."""
    return _all("rules", ".rules.yml")


def dashboards() -> tuple[Shipped, ...]:
    """Grafana's dashboards, as the JSON that it imports or is provisioned with."""
    return _all("grafana/dashboards", ".json")


def runbooks() -> str:
    """What to do about each alert, as Markdown."""
    return _place("docs").joinpath("runbooks.md").read_text("utf-8")


def with_runbooks_at(url: str, shipped: Iterable[Shipped]) -> tuple[Shipped, ...]:
    """The same rules with their `runbook_url` at another page, which has the same anchors."""
    return tuple(replace(one, text=one.text.replace(RUNBOOK_PREFIX, url)) for one in shipped)


def pick(shipped: Iterable[Shipped], name: str) -> Shipped:
    """The file with this name.

    Raises:
        BadDataError: there is none; says which there are.
    """
    by_name = {one.name: one for one in shipped}
    if name not in by_name:
        raise BadDataError(f"no file {name!r} ships with lmwatch; there are {', '.join(by_name)}")
    return by_name[name]


def write(shipped: Iterable[Shipped], folder: Path) -> tuple[Path, ...]:
    """Write files into a folder, which is made if need be. Files of the same name are replaced.

    Raises:
        ConfigError: a file cannot be written; says which and why.
    """
    written = []
    for one in shipped:
        path = folder / one.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(one.text, "utf-8", newline="\n")
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error
        written.append(path)
    return tuple(written)


def _all(folder: str, ending: str) -> tuple[Shipped, ...]:
    found = [entry for entry in _place(folder).iterdir() if entry.name.endswith(ending)]
    return tuple(Shipped(entry.name, entry.read_text("utf-8")) for entry in sorted(found, key=lambda one: one.name))


def _place(folder: str) -> Traversable:
    package = files("exporter")
    packaged = package.joinpath("_shipped", folder)
    return packaged if packaged.is_dir() else Path(str(package)).parent / folder
