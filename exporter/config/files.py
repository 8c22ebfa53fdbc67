"""Lists of addresses that stand in files of their own."""

from typing import Annotated

from pydantic import Field

from exporter.config.base import Duration, FilePath, Section, at_least


class FileDiscovery(Section):
    """Targets read from JSON or YAML files, as Prometheus' file_sd_configs."""

    files: Annotated[list[FilePath], Field(min_length=1)]
    refresh_interval: Annotated[Duration, at_least("1s")] = 300.0
