"""The configuration file, checked in full: what `config` can see, and what only the series layer knows."""

import os
from collections.abc import Iterable
from pathlib import Path

from exporter.config.load import default_config, load_config
from exporter.config.model import Config
from exporter.series.selector import Selector

Location = tuple[str | int, ...]


def load(path: Path | None) -> Config:
    """The configuration in a file; without a file the default one.

    Raises:
        ConfigError: names file, line, column and key of every mistake.
    """
    if path is None:
        return default_config()
    return load_config(path, os.environ, checks=[_selectors_parse])


def without_effect(config: Config) -> tuple[str, ...]:
    """The keys in use that this version accepts and does nothing with."""
    watches = [(f"watches[{number}]", watch) for number, watch in enumerate(config.watches)]
    used = {f"{name}.screen": watch.screen != "local" for name, watch in watches}
    return tuple(key for key, is_used in used.items() if is_used)


def _selectors_parse(config: Config) -> Iterable[tuple[Location, str]]:
    for number, watch in enumerate(config.watches):
        for index, selection in enumerate(watch.select):
            if selection.series is None:
                continue
            try:
                Selector.parse(selection.series)
            except ValueError as error:
                yield ("watches", number, "select", index), str(error)
