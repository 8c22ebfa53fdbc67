"""The whole of `lmwatch.yml` as typed, frozen values.

Every key of the file is an attribute here and nothing else is accepted. Reading the file, and saying where in it a
mistake stands, is `load.py`'s job.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from exporter.config.alerting import Alerting
from exporter.config.base import (
    AutoOnOff,
    Duration,
    FilePath,
    InputFile,
    LabelName,
    ListenAddress,
    Name,
    PageUrl,
    Secret,
    Section,
    Size,
    Target,
    Url,
    at_least,
    longer_than_nothing,
    matching,
)
from exporter.config.files import FileDiscovery
from exporter.config.http import HttpClient
from exporter.config.secrets import redact_lists
from exporter.config.watches import As, Reason, Selection, Watch

__all__ = [
    "As",
    "Config",
    "FileDiscovery",
    "Grafana",
    "Heartbeat",
    "HttpDiscovery",
    "Journal",
    "Probe",
    "PrometheusApi",
    "Proxy",
    "Reason",
    "Scrape",
    "Selection",
    "Server",
    "Source",
    "Watch",
    "Web",
]

_SHORTEST_HEARTBEAT = 60.0


class Probe(Section):
    """A tiny chat that measures a loaded, idle model."""

    interval: Duration = 300.0
    """Seconds between probes; 0 turns them off."""
    max_tokens: Annotated[int, Field(ge=1, le=1024)] = 16
    keep_loaded: bool = False
    """Whether a probe may extend the time that a model stays loaded."""


class Server(HttpClient):
    """An LM Studio server, or any OpenAI-compatible one."""

    name: Name
    url: Url
    api_token_file: InputFile | None = None
    api_token: Secret | None = None
    model: Annotated[str, Field(min_length=1)] = "auto"
    """A model key, or auto: an LLM that is loaded already."""
    load: bool = False
    """Whether a watch may make the server load the model."""
    poll_interval: Annotated[Duration, at_least("1s")] = 10.0
    deadline: Annotated[Duration, longer_than_nothing] = 120.0
    """Seconds for one reasoning call, everything included."""
    max_parallel: Annotated[int, Field(ge=1, le=64)] = 1
    queue_limit: Annotated[int, Field(ge=1, le=10_000)] = 32
    """Analyses that may wait for this server; further ones are skipped and counted."""
    probe: Probe = Probe()
    rpc: AutoOnOff = "auto"
    log_stream: AutoOnOff = "auto"

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        given = (self.api_token, self.api_token_file, self.basic_auth, self.authorization)
        if sum(part is not None for part in given) > 1:
            raise ValueError("api_token_file, api_token, basic_auth and authorization exclude each other")
        return self


class HttpDiscovery(HttpClient):
    """Targets fetched from a URL, as Prometheus' http_sd_configs."""

    url: PageUrl
    refresh_interval: Annotated[Duration, at_least("1s")] = 60.0


Params = Annotated[dict[str, list[str]], PlainSerializer(redact_lists, return_type=dict[str, list[str]])]
"""Parameters of a URL."""


def _default_timeout(section: dict[str, Any]) -> float:
    """10 s, or the interval where that is shorter, as in Prometheus."""
    return min(10.0, float(section.get("interval", 10.0)))


class Scrape(HttpClient):
    """Targets that expose metrics for Prometheus."""

    targets: list[Target] = Field(default_factory=list)
    file_sd: list[FileDiscovery] = Field(default_factory=list)
    http_sd: list[HttpDiscovery] = Field(default_factory=list)
    scheme: Literal["http", "https"] = "http"
    path: Annotated[str, matching(r"/\S*", "begin with / and hold no spaces")] = "/metrics"
    params: Params = Field(default_factory=dict)
    interval: Annotated[Duration, at_least("1s")] = 15.0
    timeout: Annotated[Duration, longer_than_nothing] = Field(default_factory=_default_timeout)
    labels: dict[LabelName, str] = Field(default_factory=dict)
    honor_labels: bool = False
    sample_limit: Annotated[int, Field(ge=0)] = 50_000
    """Samples a scrape may bring; more fail the scrape. 0 is no limit."""
    body_size_limit: Size = 64 * 1024**2
    label_limit: Annotated[int, Field(ge=0)] = 64
    label_value_length_limit: Annotated[int, Field(ge=0)] = 4096

    @model_validator(mode="after")
    def _has_targets(self) -> Self:
        if not (self.targets or self.file_sd or self.http_sd):
            raise ValueError("name at least one of targets, file_sd and http_sd")
        if self.timeout > self.interval:
            raise ValueError("timeout must not be longer than interval")
        return self


class PrometheusApi(HttpClient):
    """A server with Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics."""

    url: Url
    timeout: Annotated[Duration, longer_than_nothing] = 30.0
    step: Annotated[Duration, at_least("1s")] = 15.0
    max_points: Annotated[int, Field(ge=10, le=11_000)] = 11_000
    """Points a series that one request may ask for; Prometheus itself refuses more than 11,000."""
    sample_limit: Annotated[int, Field(ge=0)] = 50_000_000
    body_size_limit: Size = 512 * 1024**2


class Source(Section):
    """Where target metrics come from: exactly one of `scrape` and `prometheus`."""

    name: Name
    scrape: Scrape | None = None
    prometheus: PrometheusApi | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.scrape is None) == (self.prometheus is None):
            raise ValueError("give exactly one of scrape and prometheus")
        return self


class Journal(Section):
    """Where verdicts are kept."""

    path: FilePath = Field(default=Path("lmwatch.db"), validate_default=True)
    retention: Annotated[Duration, at_least("1h")] = 30 * 86400.0


class Web(Section):
    """How others reach lmwatch."""

    external_url: Url | None = None


def _no_or_a_minute(value: float) -> float:
    if 0 < value < _SHORTEST_HEARTBEAT:
        raise ValueError("must be at least 1m, or 0 to turn it off")
    return value


class Heartbeat(Section):
    """A synthetic series with a planted anomaly, judged like any other."""

    interval: Annotated[Duration, AfterValidator(_no_or_a_minute)] = 300.0
    """Seconds from one planted anomaly to the next; 0 turns it off."""


class Proxy(Section):
    """An address in front of a server: what passes through it is measured and handed on unchanged."""

    listen: ListenAddress
    server: Name


class Grafana(HttpClient):
    """Where verdicts are written as annotations."""

    url: Url
    token_file: InputFile | None = None
    tags: list[str] = Field(default_factory=lambda: ["lmwatch"])

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if sum(part is not None for part in (self.token_file, self.basic_auth, self.authorization)) > 1:
            raise ValueError("token_file, basic_auth and authorization exclude each other")
        return self


def _default_servers() -> list[Server]:
    return [Server(name="local", url="http://127.0.0.1:1234")]


class Config(Section):
    """`lmwatch.yml`."""

    servers: list[Server] = Field(default_factory=_default_servers)
    sources: list[Source] = Field(default_factory=list)
    watches: list[Watch] = Field(default_factory=list)
    alerting: Alerting = Alerting()
    heartbeat: Heartbeat = Heartbeat()
    journal: Journal | None = None
    """None: verdicts are kept in memory only."""
    web: Web = Web()
    proxy: Proxy | None = None
    grafana: Grafana | None = None

    @property
    def heartbeat_interval(self) -> float:
        """Seconds from one heartbeat to the next; 0 for none, as where nothing is watched."""
        return self.heartbeat.interval if self.watches else 0.0

    def source(self, name: str) -> Source:
        """The source of this name.

        Raises:
            KeyError: there is none; a loaded configuration has all that its watches name.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise KeyError(name)
