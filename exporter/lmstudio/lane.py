"""One server of the pool: what the last poll found, which of its models is asked, and whether it may be asked at all."""

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.breaker import Breaker
from exporter.lmstudio.client import LmStudioClient
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.health import HealthPoller
from exporter.lmstudio.session import open_session
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.sources.http import Cancel, HttpSession

AUTO = "auto"


class Lane:
    """A server with its client, its poller and its breaker. `poll` is for one thread at a time, the rest for any."""

    def __init__(
        self, config: Server, session: HttpSession, client: LmStudioClient, poller: HealthPoller, breaker: Breaker
    ) -> None:
        self.config = config
        self.client = client
        self.breaker = breaker
        self._session = session
        self._poller = poller
        self._health: ServerHealth | None = None

    @property
    def health(self) -> ServerHealth | None:
        """What the last poll found; None before the first."""
        return self._health

    def poll(self) -> ServerHealth:
        """Ask the server how it is, and remember it."""
        health = self._poller.poll()
        self._health = health
        if health.up:
            self.breaker.polled_well()
        return health

    def choose_model(self) -> Model | None:
        """The model that a question would go to now; None if there is none, as for a server that is down."""
        return choose(self.config, self._health) if self._health is not None else None

    def usable(self) -> bool:
        """Whether a question may go to this server now."""
        return self.breaker.would_admit() and self.choose_model() is not None

    def failed(self, failure: ModelFailure) -> None:
        """Draw the consequence of a failed call for the breaker.

        It counts what would hit any other question too. What lies in the question itself shows that the server works.
        """
        if failure.reason == "cancelled":
            self.breaker.released()
        elif failure.reason != "context_overflow" and (failure.retryable or failure.elsewhere):
            self.breaker.failed()
        else:
            self.breaker.succeeded()

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()


def open_lane(config: Server, clock: Clock, cancel: Cancel) -> Lane:
    """A lane to this server; `cancel` ends its polls."""
    session = open_session(config)
    client = LmStudioClient(config, session, clock)
    poller = HealthPoller(config, session, clock, cancel)
    return Lane(config, session, client, poller, Breaker(clock))


def choose(config: Server, health: ServerHealth) -> Model | None:
    """The model to ask on a server.

    `auto` takes a chat model that is loaded, or of which the server does not say whether it is. A name takes the instances
    with that identifier or key; one that is not loaded only where the configuration says `load: true`.
    Among several an idle one comes first, then the order of the server's list.
    """
    if not health.up:
        return None
    named = config.model != AUTO
    fitting = [
        model
        for model in health.models
        if model.kind != "embedding"
        and (not named or config.model in (model.id, model.key))
        and (model.loaded is not False or (named and config.load))
    ]
    return min(fitting, key=_preference, default=None)


def _preference(model: Model) -> tuple[int, int]:
    loaded = {True: 0, None: 1, False: 2}[model.loaded]
    busy = model.status not in (None, "idle") or bool(model.queued_requests)
    return loaded, int(busy)
