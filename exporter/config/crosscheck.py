"""What has to fit together across sections of the file: names, kinds of sources, intervals.

These checks read the plain data and not the model, so that they find their mistakes in a file that has others too;
what is not of the right type is passed over here, because the model reports it.
"""

from collections.abc import Iterator
from typing import Any

from exporter.config.document import Loc
from exporter.config.durations import format_duration, parse_duration
from exporter.config.keys import keys_of
from exporter.config.model import Scrape, Watch
from exporter.config.similar import suggestion
from exporter.config.watches import HEARTBEAT_WATCH

Finding = tuple[Loc, str]


def crosscheck(data: Any) -> Iterator[Finding]:
    """Every mistake that takes two places of the file to see: where it is best mended, and what it is."""
    for section in ("servers", "sources", "watches"):
        yield from _repeated((section,), _entries(data, section), "name")
    for index, watch in _entries(data, "watches"):
        if watch.get("name") == HEARTBEAT_WATCH:
            yield (
                ("watches", index, "name"),
                f"{HEARTBEAT_WATCH!r} is the watch by which lmwatch tests itself: give another name",
            )
    sources = {entry["name"]: entry for _, entry in _entries(data, "sources") if isinstance(entry.get("name"), str)}
    for index, watch in _entries(data, "watches"):
        yield from _watch(("watches", index), watch, sources)
    yield from _proxy(data)


def _entries(data: Any, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The mappings in a list, with their positions; empty where there is no such list."""
    found = data.get(key) if isinstance(data, dict) else None
    return [(i, entry) for i, entry in enumerate(found) if isinstance(entry, dict)] if isinstance(found, list) else []


def _repeated(loc: Loc, entries: list[tuple[int, dict[str, Any]]], key: str) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, entry in entries:
        name = entry.get(key)
        if not isinstance(name, str):
            continue
        if name in first:
            yield (*loc, index, key), f"{name!r} is already the name of {loc[-1]}[{first[name]}]"
        first.setdefault(name, index)


def _watch(loc: Loc, watch: dict[str, Any], sources: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    yield from _repeated((*loc, "select"), _entries(watch, "select"), "name")
    name = watch.get("source")
    if not isinstance(name, str):
        return
    if name not in sources:
        valid = suggestion(name, sources, noun="sources are") or "; the file has no sources"
        yield (*loc, "source"), f"there is no source {name!r}{valid}"
    elif isinstance(sources[name].get("scrape"), dict):
        yield from _watch_of_scrape(loc, watch, name, sources[name]["scrape"])
    elif isinstance(sources[name].get("prometheus"), dict):
        yield from _watch_of_prometheus(loc, watch, name)


def _watch_of_scrape(loc: Loc, watch: dict[str, Any], source: str, scrape: dict[str, Any]) -> Iterator[Finding]:
    for index, entry in _entries(watch, "select"):
        if "query" in entry:
            yield (
                (*loc, "select", index, "query"),
                f"source {source!r} scrapes targets and cannot answer queries: give series (a selector)",
            )
    if watch.get("screen") == "pushdown":
        yield (*loc, "screen"), f"pushdown needs a prometheus source, and {source!r} scrapes targets"
    screened = _seconds(watch, "interval", keys_of(Watch)["interval"].default)
    scraped = _seconds(scrape, "interval", keys_of(Scrape)["interval"].default)
    if screened is not None and scraped is not None and screened < scraped:
        longer = format_duration(scraped)
        yield (
            (*loc, "interval"),
            f"{format_duration(screened)} is shorter than the {longer} in which source {source!r} scrapes",
        )


def _watch_of_prometheus(loc: Loc, watch: dict[str, Any], source: str) -> Iterator[Finding]:
    selections = watch.get("select")
    for index, entry in enumerate(selections if isinstance(selections, list) else []):
        if isinstance(entry, str) or (isinstance(entry, dict) and "series" in entry):
            yield (
                (*loc, "select", index, "series"),
                f"source {source!r} is asked in PromQL: give query and name instead of series",
            )
    reason = watch.get("reason")
    if watch.get("screen") == "pushdown" and isinstance(reason, dict) and reason.get("when") == "always":
        yield (
            (*loc, "reason", "when"),
            "with screen: pushdown only suspicious groups can be put to the model: give suspicious or never",
        )


def _proxy(data: Any) -> Iterator[Finding]:
    proxy = data.get("proxy") if isinstance(data, dict) else None
    name = proxy.get("server") if isinstance(proxy, dict) else None
    servers = {entry.get("name") for _, entry in _entries(data, "servers")} if "servers" in (data or {}) else {"local"}
    if isinstance(name, str) and name not in servers:
        valid = suggestion(name, {known for known in servers if isinstance(known, str)}, noun="servers are")
        yield ("proxy", "server"), f"there is no server {name!r}{valid or '; the file has no servers'}"


def _seconds(section: dict[str, Any], key: str, default: float) -> float | None:
    value = section.get(key, default)
    if not isinstance(value, str):
        return value if isinstance(value, float) else None
    try:
        return parse_duration(value)
    except ValueError:
        return None
