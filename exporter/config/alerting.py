"""The bridge in `lmwatch.yml`: Alertmanagers that alerts are pushed to, and notifications that come in."""

from typing import Annotated

from pydantic import Field

from exporter.config.base import Duration, InputFile, LabelName, SecretUrl, Section, Url, at_least, longer_than_nothing
from exporter.config.http import HttpClient


class Alertmanager(HttpClient):
    """An Alertmanager to push alerts to."""

    url: Url
    timeout: Annotated[Duration, longer_than_nothing] = 10.0


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


class Alerting(Section):
    """The bridge to Alertmanager."""

    alertmanagers: list[Alertmanager] = Field(default_factory=list)
    for_: Duration = Field(default=120.0, alias="for")
    resend_interval: Annotated[Duration, at_least("1s")] = 60.0
    labels: dict[LabelName, str] = Field(default_factory=dict)
    webhook: Webhook = Webhook()
