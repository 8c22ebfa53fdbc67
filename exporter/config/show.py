"""A configuration as text for people: the whole of it without its secrets, or a summary."""

from collections.abc import Iterator
from typing import Any

import yaml

from exporter.config.document import plain_resolvers
from exporter.config.durations import format_duration
from exporter.config.model import Config, Server, Source, Watch


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that would be read back as something else."""

    yaml_implicit_resolvers = plain_resolvers(yaml.SafeDumper.yaml_implicit_resolvers)

    def ignore_aliases(self, data: object) -> bool:
        """Write equal values out each time."""
        del data
        return True


def redacted_yaml(config: Config) -> str:
    """The configuration with all its defaults, as YAML; secrets are `<secret>`."""
    return yaml.dump(
        _names_first(config.model_dump(mode="json", by_alias=True, exclude_none=True)),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )


def _names_first(value: Any) -> Any:
    """The same values with what names a mapping at its top, as people write it."""
    if isinstance(value, list):
        return [_names_first(item) for item in value]
    if not isinstance(value, dict):
        return value
    order = [key for key in ("name", "url") if key in value] + [key for key in value if key not in ("name", "url")]
    return {key: _names_first(value[key]) for key in order}


def summarise(config: Config) -> str:
    """One line for each server, source and watch, and for what happens to verdicts."""
    return "\n".join(_summary(config))


def _summary(config: Config) -> Iterator[str]:
    yield from (f"server {server.name}: {_server(server)}" for server in config.servers)
    yield from (f"source {source.name}: {_source(source)}" for source in config.sources)
    yield from (f"watch {watch.name}: {_watch(watch)}" for watch in config.watches)
    alerting = config.alerting
    yield f"alerting: {_count(len(alerting.alertmanagers), 'Alertmanager')}, webhook {'on' if alerting.webhook.enabled else 'off'}"
    if config.heartbeat_interval:
        yield f"heartbeat: every {format_duration(config.heartbeat_interval)}"
    if config.journal is None:
        yield "journal: in memory only"
    else:
        yield f"journal: {config.journal.path}, kept for {format_duration(config.journal.retention)}"
    if config.proxy is not None:
        yield f"proxy: {config.proxy.listen} in front of server {config.proxy.server}"
    if config.grafana is not None:
        yield f"grafana: annotations at {config.grafana.url}"


def _server(server: Server) -> str:
    return f"{server.url}, model {server.model}, polled every {format_duration(server.poll_interval)}"


def _source(source: Source) -> str:
    if source.scrape is None:
        return f"queries {source.prometheus.url}" if source.prometheus else ""
    scrape = source.scrape
    discovered = len(scrape.file_sd) + len(scrape.http_sd)
    further = f" and {_count(discovered, 'discovery')}" if discovered else ""
    return f"scrapes {_count(len(scrape.targets), 'target')}{further} every {format_duration(scrape.interval)}"


def _watch(watch: Watch) -> str:
    return (
        f"{_count(len(watch.select), 'selector')} of source {watch.source}, "
        f"{format_duration(watch.window)} screened every {format_duration(watch.interval)}, "
        f"reasoning: {watch.reason.when}"
    )


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun.removesuffix('y')}ies" if noun.endswith("y") else f"{number} {noun}s"
