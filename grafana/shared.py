"""Panels that stand in more than one dashboard."""

from typing import Any

import house
import looks

from exporter.board import WATCH_STATES

_COLOURS = {
    "warming": "light-blue",
    "ok": looks.GREEN,
    "degraded": looks.YELLOW,
    "stale": looks.ORANGE,
    "failed": looks.RED,
}


def watches_not_well(matchers: str) -> Any:
    """How many watches want a look."""
    return house.stat_panel(
        "Watches not well",
        "Watches that are failed, stale, or judged by the screen alone.",
        f'sum(lmwatch_watch_state{{{matchers},state=~"degraded|stale|failed"}})',
        unit="short",
        none="No watches",
        colours=looks.steps(looks.GREEN, (1, looks.ORANGE)),
    )


def watch_states(matchers: str) -> Any:
    """The states of watches over time."""
    states = house.coded("lmwatch_watch_state", "state", WATCH_STATES, matchers, "by (watch)")
    return house.timeline(
        "State of the watches",
        "Why there are scores or none. Degraded: the screen alone judges, because no model answers.",
        [house.query(states, "{{watch}}")],
        looks.looks(WATCH_STATES, _COLOURS),
        none="No watches",
    )
