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
    deadline: Annotated[Duration, longer_than_nothing] = 20.0


class Alerting(Section):
    """The bridge to Alertmanager."""

    alertmanagers: list[Alertmanager] = Field(default_factory=list)
    for_: Duration = Field(default=120.0, alias="for")
    resend_interval: Annotated[Duration, at_least("1s")] = 60.0
    labels: dict[LabelName, str] = Field(default_factory=dict)
    webhook: Webhook = Webhook()
