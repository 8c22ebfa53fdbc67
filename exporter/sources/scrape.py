"""Scraping: targets that expose metrics, each with its window of values."""

import hashlib
import logging
from dataclasses import replace

from exporter.clock import Clock
from exporter.config.model import Scrape, Source
from exporter.errors import BadDataError, ConfigError, LmwatchError, RefusedError, TransientError
from exporter.logs import fields
from exporter.series.exposition import ExpositionReader, Limits
from exporter.series.labels import Labels, labels_of
from exporter.series.window import Ingested, TargetWindow
from exporter.sources.collected import Collected
from exporter.sources.discovery import Endpoint, FileTargets, HttpTargets, checked_address
from exporter.sources.http import Answer, Cancel, HttpSession
from exporter.sources.words import excerpt, media_type

logger = logging.getLogger(__name__)

ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
"""As Prometheus 2 sends it."""
_EXPOSITIONS = ("text/plain", "application/openmetrics-text")


class ScrapeTarget:
    """One target: scraped by `collect`, one thread at a time.

    Attributes:
        source: the name of the source it belongs to.
        endpoint: what it was listed or discovered as.
        address: `host:port`, unique within the source.
        url: what is fetched, without parameters.
        labels: what its series get besides their own.
        window: the values so far.
        last: how the last scrape went; None before the first.
    """

    def __init__(
        self,
        source: str,
        endpoint: Endpoint,
        *,
        settings: Scrape,
        session: HttpSession,
        window: TargetWindow,
        clock: Clock,
        cancel: Cancel | None = None,
    ) -> None:
        self.source = source
        self.endpoint = endpoint
        self.address = endpoint.address
        self.url = f"{endpoint.scheme or settings.scheme}://{endpoint.address}{endpoint.path or settings.path}"
        self.labels = target_labels(source, endpoint, settings)
        self.window = window
        self.last: Collected | None = None
        self._settings = settings
        self._params = {**settings.params, **dict(endpoint.params)}
        self._session = session
        self._clock = clock
        self._cancel = cancel
        self._headers = {"Accept": ACCEPT, "X-Prometheus-Scrape-Timeout-Seconds": f"{settings.timeout:g}"}

    def collect(self) -> Collected:
        """Scrape once. A scrape that fails leaves a gap in the window and says why; nothing half-read is kept."""
        at = self._clock.now()
        started = self._clock.monotonic()
        try:
            ingested = self._scrape(at)
        except LmwatchError as error:
            self.last = self._missed(at, started, str(error))
        except Exception as error:
            # A fault of ours must not leave the target shown as up by its last good scrape.
            logger.exception("a scrape failed", extra=fields(source=self.source, target=self.address))
            self.last = self._missed(at, started, f"{self.url}: lmwatch failed: {error!r}")
        else:
            self.last = replace(
                self._collected(at, started, up=True), samples=ingested.samples, warnings=_warnings(self.url, ingested)
            )
        return self.last

    def _missed(self, at: float, started: float, error: str) -> Collected:
        self.window.miss(at)
        return self._collected(at, started, up=False, error=error)

    def _scrape(self, at: float) -> Ingested:
        answer = self._session.get(
            self.url,
            deadline_seconds=self._settings.timeout,
            max_bytes=self._settings.body_size_limit,
            params=self._params,
            headers=self._headers,
            cancel=self._cancel,
        )
        _check(answer, self.url)
        try:
            return self.window.ingest(answer.body, answer.headers.get("Content-Type", ""), at)
        except BadDataError as error:
            raise BadDataError(f"{self.url}: {error}") from error

    def _collected(self, at: float, started: float, *, up: bool, error: str = "") -> Collected:
        duration = self._clock.monotonic() - started
        return Collected(self.source, self.address, up, duration, samples=0, at=at, error=error)


def target_labels(source: str, endpoint: Endpoint, settings: Scrape) -> Labels:
    """`job` and `instance`, then the configured labels, then the discovered ones: the later wins."""
    return labels_of(
        {"job": source, "instance": endpoint.address, **settings.labels, **dict(endpoint.labels)},
    )


def _check(answer: Answer, url: str) -> None:
    """Refuse what is no exposition.

    Raises:
        RefusedError: the target wants other credentials, or has no such page.
        TransientError: any other status than 200.
        BadDataError: the content is of another type.
    """
    if answer.status in (401, 403):
        raise RefusedError(f"{url}: answered {answer.status}; check basic_auth or authorization of this source")
    if answer.status == 404:
        raise RefusedError(f"{url}: answered 404; check path, which is where the target exposes its metrics")
    if answer.status != 200:
        raise TransientError(f"{url}: answered {answer.status} where 200 with metrics was expected{excerpt(answer)}")
    kind = media_type(answer)
    if kind and kind not in _EXPOSITIONS:
        raise BadDataError(
            f"{url}: answered 200 with {kind[:100]!r} where metrics in {' or '.join(_EXPOSITIONS)} were expected; "
            "check path and port"
        )
    if not answer.body.strip():
        # As likely an answer cut off in its headers as a target without metrics; taken, all its series would vanish.
        raise BadDataError(f"{url}: answered 200 with an empty body where metrics were expected")


def _warnings(url: str, ingested: Ingested) -> tuple[str, ...]:
    dropped = (
        (ingested.duplicates, "of series that the exposition holds already"),
        (ingested.out_of_order, "older than the ones before"),
        (ingested.out_of_bounds, "with a timestamp before the window or in the future"),
    )
    return tuple(f"{url}: {count} samples {which} were dropped" for count, which in dropped if count)


class ScrapeSource:
    """The targets of one source, listed and discovered.

    Args:
        config: a source with a `scrape` part.
        horizon: seconds of values that windows keep.
        clock: the time.
        session: the HTTP client; made from the configuration where none is given.

    Raises:
        ConfigError: a listed target is no `host:port`.
    """

    def __init__(self, config: Source, *, horizon: float, clock: Clock, session: HttpSession | None = None) -> None:
        if config.scrape is None:
            raise ValueError(f"the source {config.name} has no scrape part")
        self.name = config.name
        self.horizon = horizon
        self._settings = config.scrape
        self._clock = clock
        self._cancel = Cancel()
        self._session = session or HttpSession(config.scrape, pool_size=1)
        self._listed = tuple(_listed(target, config.name) for target in config.scrape.targets)
        self._urls = tuple(HttpTargets(url, clock, self._cancel) for url in config.scrape.http_sd)
        self._discoveries: tuple[FileTargets | HttpTargets, ...] = (
            *(FileTargets(files, clock) for files in config.scrape.file_sd),
            *self._urls,
        )
        self._targets: dict[str, ScrapeTarget] = {}
        self._twice: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[ScrapeTarget, ...]:
        """The targets as the last refresh left them."""
        return tuple(self._targets.values())

    def holds(self, target: ScrapeTarget) -> bool:
        """Whether this is one of the present targets."""
        return self._targets.get(target.address) is target

    @property
    def errors(self) -> tuple[str, ...]:
        """What is wrong with the discovery of targets, in words; the last good targets stay in use."""
        discovered = (error for found in self._discoveries for error in found.errors)
        return (*discovered, *self._twice)

    def refresh(self) -> None:
        """Evaluate listed and discovered targets anew; an unchanged target keeps its window.

        Changed files are seen at once, URLs are asked when their refresh interval has passed. Not for two threads at
        a time.
        """
        for found in self._discoveries:
            found.refresh()
        endpoints = self._unique()
        before = self._targets
        self._targets = {
            address: before[address]
            if address in before and before[address].endpoint == endpoint
            else self._make(endpoint)
            for address, endpoint in endpoints.items()
        }

    def offset(self, target: ScrapeTarget, interval: float) -> float:
        """Seconds into the interval at which this target's turn is: spread evenly, the same after a restart."""
        digest = hashlib.blake2b(f"{self.name}\n{target.address}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 * interval

    def close(self) -> None:
        """End scrapes under way and close all connections."""
        self._targets = {}
        self._cancel.cancel()
        self._session.close()
        for url in self._urls:
            url.close()

    def _unique(self) -> dict[str, Endpoint]:
        """Endpoints by address; the first of several with one address counts, listed before discovered."""
        endpoints: dict[str, Endpoint] = {}
        twice: dict[str, None] = {}
        discovered = (endpoint for found in self._discoveries for endpoint in found.endpoints)
        for endpoint in (*self._listed, *discovered):
            if endpoints.setdefault(endpoint.address, endpoint) != endpoint:
                twice[endpoint.address] = None
        self._twice = tuple(
            f"source {self.name}: the target {address} is there more than once with different labels or paths; "
            "the first is used"
            for address in twice
        )
        return endpoints

    def _make(self, endpoint: Endpoint) -> ScrapeTarget:
        settings = self._settings
        limits = Limits(settings.sample_limit, settings.label_limit, settings.label_value_length_limit)
        reader = ExpositionReader(target_labels(self.name, endpoint, settings), settings.honor_labels, limits)
        window = TargetWindow(endpoint.address, reader, settings.interval, self.horizon)
        return ScrapeTarget(
            self.name,
            endpoint,
            settings=settings,
            session=self._session,
            window=window,
            clock=self._clock,
            cancel=self._cancel,
        )


def _listed(target: str, source: str) -> Endpoint:
    try:
        return Endpoint(checked_address(target, f"source {source}, targets"))
    except BadDataError as error:
        raise ConfigError(str(error)) from None
