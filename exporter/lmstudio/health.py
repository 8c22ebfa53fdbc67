"""Polling a server: is it up, which API does it speak, which models does it have."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.failures import ModelFailure, classify, from_http, load_json
from exporter.lmstudio.fields import text
from exporter.lmstudio.listings import is_llama_cpp, parse_openai, parse_v0, parse_v1, with_props
from exporter.lmstudio.wire import Api, Model, ServerHealth
from exporter.sources.http import Cancel, HttpError, HttpSession

MAX_LIST_BYTES = 16 * 1024**2
LONGEST_POLL_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 600.0
"""How long a server is taken for less than v1 before the better APIs are tried again."""
_LEAST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Api:
    name: Api
    path: str
    parse: Callable[[Any], tuple[Model, ...] | None]


# The best first: v1 tells most, the OpenAI list least.
_APIS: tuple[_Api, ...] = (
    _Api("v1", "/api/v1/models", parse_v1),
    _Api("v0", "/api/v0/models", parse_v0),
    _Api("openai", "/v1/models", parse_openai),
)
_ABSENT = ("unexpected_endpoint", "bad_answer")
"""Failures that mean that an API is not there, not that the server is unwell."""
_HOPELESS = ("unreachable", "timeout", "cancelled", "auth")
"""Failures after which another path on the same server need not be tried."""


@dataclass(frozen=True, slots=True)
class _Found:
    api: _Api
    models: tuple[Model, ...]
    version: str = ""


class HealthPoller:
    """Asks one server for its models, and remembers the API that answered. One poll at a time."""

    def __init__(self, config: Server, session: HttpSession, clock: Clock, cancel: Cancel | None = None) -> None:
        self._config = config
        self._session = session
        self._clock = clock
        self._cancel = cancel
        self._known: _Api | None = None
        self._found_at = 0.0
        self._deadline = min(LONGEST_POLL_SECONDS, max(1.0, config.poll_interval))
        self._until = 0.0

    def poll(self) -> ServerHealth:
        """What the server says now. Whatever the server does, the answer is a value: `up` is False and says why."""
        started = self._clock.monotonic()
        self._until = started + self._deadline
        try:
            found = self._find()
        except ModelFailure as failure:
            self._known = None
            return self._health(started, failure=failure)
        self._known = found.api
        return self._health(started, found=found)

    def _find(self) -> _Found:
        if self._known is not None and not self._due_to_look_again():
            try:
                return self._ask(self._known)
            except ModelFailure as failure:
                if failure.reason not in _ABSENT:
                    raise
        self._found_at = self._clock.monotonic()
        failures: list[ModelFailure] = []
        for api in _APIS:
            try:
                return self._ask(api)
            except ModelFailure as failure:
                failures.append(failure)
                if failure.reason in _HOPELESS:
                    break
        raise _most_telling(failures)

    def _due_to_look_again(self) -> bool:
        return self._known is not _APIS[0] and self._clock.monotonic() - self._found_at >= LOOK_AGAIN_SECONDS

    def _ask(self, api: _Api) -> _Found:
        document = self._get(api.path)
        models = api.parse(document)
        if models is None:
            url = self._config.url + api.path
            raise ModelFailure("bad_answer", f"no model list of the {api.name} API", status=200, url=url)
        if api.name == "openai" and is_llama_cpp(document):
            props = self._props()
            return _Found(api, with_props(models, props), text(props, "build_info"))
        return _Found(api, models)

    def _props(self) -> Mapping[str, Any]:
        """What llama.cpp's server tells of itself; nothing if it keeps that back."""
        try:
            return self._get("/props")
        except ModelFailure:
            return MappingProxyType({})

    def _get(self, path: str) -> Mapping[str, Any]:
        url = self._config.url + path
        left = max(self._until - self._clock.monotonic(), _LEAST_SECONDS)
        try:
            answer = self._session.get(url, deadline_seconds=left, max_bytes=MAX_LIST_BYTES, cancel=self._cancel)
        except HttpError as error:
            raise from_http(error) from error
        failure = classify(answer.status, answer.headers.get("Content-Type", ""), answer.body, url=url)
        if failure is not None:
            raise failure
        document = load_json(answer.body)
        return document if isinstance(document, dict) else {}

    def _health(
        self, started: float, *, found: _Found | None = None, failure: ModelFailure | None = None
    ) -> ServerHealth:
        return ServerHealth(
            server=self._config.name,
            url=self._config.url,
            up=found is not None,
            api=found.api.name if found is not None else None,
            version=found.version if found is not None else "",
            models=found.models if found is not None else (),
            poll_duration_seconds=self._clock.monotonic() - started,
            polled_at=self._clock.now(),
            failure=failure.reason if failure is not None else None,
            detail=str(failure) if failure is not None else "",
        )


def _most_telling(failures: list[ModelFailure]) -> ModelFailure:
    """A refusal or a breakdown says more than a missing path, which every older server has."""
    weights = {"unexpected_endpoint": 0, "bad_answer": 1}
    return max(failures, key=lambda failure: weights.get(failure.reason, 2))
