"""The configuration file, checked in full: what `config` can see, and what only the series layer knows."""

import os
from collections.abc import Iterable
from pathlib import Path

from exporter.config.load import default_config, load_config
from exporter.config.model import Config
from exporter.series.selector import Selector

INPUT = "lmwatch:input"
"""The metric that rules/screening.rules.yml judges."""
Location = tuple[str | int, ...]


def load(path: Path | None) -> Config:
    """The configuration in a file; without a file the default one.

    Raises:
        ConfigError: names file, line, column and key of every mistake.
    """
    if path is None:
        return default_config()
    return load_config(path, os.environ, checks=[_selectors_parse, _pushdown_asks_for_records])


def _selectors_parse(config: Config) -> Iterable[tuple[Location, str]]:
    for number, watch in enumerate(config.watches):
        for index, selection in enumerate(watch.select):
            if selection.series is None:
                continue
            try:
                Selector.parse(selection.series)
            except ValueError as error:
                yield ("watches", number, "select", index), str(error)


def _pushdown_asks_for_records(config: Config) -> Iterable[tuple[Location, str]]:
    """What a ruler has recorded can only be asked for by a selector of the input that it recorded it from."""
    for number, watch in enumerate(config.watches):
        if watch.screen != "pushdown":
            continue
        for index, selection in enumerate(watch.select):
            wanted = (
                f'with screen: pushdown, give a selector of {INPUT}, like {INPUT}{{anomaly_name="checkout"}}; '
                "rules/screening.rules.yml computes baselines of nothing else"
            )
            where = ("watches", number, "select", index, "query")
            try:
                named = [one for one in Selector.parse(selection.query or "").matchers if one.label == "__name__"]
            except ValueError as error:
                yield where, f"{error}; {wanted}"
            else:
                if [(one.operator, one.value) for one in named] != [("=", INPUT)]:
                    yield where, wanted
