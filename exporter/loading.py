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


def _selectors_parse(config: Config) -> Iterable[tuple[Location, str]]:
    for number, watch in enumerate(config.watches):
        for index, selection in enumerate(watch.select):
            if selection.series is None:
                continue
            try:
                Selector.parse(selection.series)
            except ValueError as error:
                yield ("watches", number, "select", index), str(error)
