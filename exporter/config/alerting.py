"""The bridge in `lmwatch.yml`: Alertmanagers that alerts are pushed to, and notifications that come in."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from exporter.config.base import (
    Duration,
    InputFile,
    LabelName,
    SecretUrl,
    Section,
    Url,
    at_least,
    longer_than_nothing,
    matching,
)
from exporter.config.files import FileDiscovery
from exporter.config.http import HttpClient

OWN_LABELS = frozenset({"alertname", "watch", "metric", "kind", "severity"})
"""Labels of an alert that lmwatch sets itself."""


class Alertmanager(HttpClient):
    """An Alertmanager to push alerts to, or several that files list."""

    url: Url | None = None
    file_sd: list[FileDiscovery] = Field(default_factory=list)
    scheme: Literal["http", "https"] = "http"
    path_prefix: Annotated[str, matching(r"/|(/[^\s/?#]+)*/?", "be a path like /alertmanager")] = ""
    timeout: Annotated[Duration, longer_than_nothing] = 10.0

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url is None) != bool(self.file_sd):
            raise ValueError("give exactly one of url and file_sd")
        if self.url is not None and self.model_fields_set & {"scheme", "path_prefix"}:
            raise ValueError("scheme and path_prefix belong to file_sd; write them into url")
        return self


class Webhook(Section):
    """Incoming Alertmanager notifications."""

    enabled: bool = False
    token_file: InputFile | None = None
    forward_to: SecretUrl | None = None
    forward_http_config: HttpClient = HttpClient()
    deadline: Annotated[Duration, longer_than_nothing] = 20.0
    """Seconds from the receipt of a notification to its being sent on, explained or not."""
    repeat_after: Duration = 900.0
    """Seconds within which the same notification is a repeat; later it is a reminder, and sent on like a new one."""
    calls_per_minute: Annotated[int, Field(ge=0, le=1000)] = 6
    """Calls to models for explanations; 0 asks none."""
    queue_limit: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Notifications that may wait to be explained or sent on; further ones are answered with 503."""


def _not_ours(name: str) -> str:
    if name in OWN_LABELS:
        raise ValueError(f"lmwatch sets the label {name} itself; choose another name")
    return name


class Alerting(Section):
    """The bridge to Alertmanager."""

    alertmanagers: list[Alertmanager] = Field(default_factory=list)
    for_: Duration = Field(default=120.0, alias="for")
    resend_interval: Annotated[Duration, at_least("1s")] = 60.0
    labels: dict[Annotated[LabelName, AfterValidator(_not_ours)], str] = Field(default_factory=dict)
    webhook: Webhook = Webhook()
