"""One server of the pool: what the last poll found, which of its models is asked, and whether it may be asked at all."""

import threading
from pathlib import Path

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.beside_http import BesideHttp
from exporter.lmstudio.breaker import Breaker
from exporter.lmstudio.client import LmStudioClient
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.health import HealthPoller
from exporter.lmstudio.hostprocess import HostProcess
from exporter.lmstudio.rpc import RpcClient
from exporter.lmstudio.session import open_session
from exporter.lmstudio.wire import Model, ServerHealth
from exporter.sources.http import Cancel, HttpSession

AUTO = "auto"
LAST_SECONDS = 10.0
"""A model that has no longer than this left may be gone before a question arrives, and would be loaded anew for it."""


class Lane:
    """A server with its client, its poller and its breaker. Safe to use from several threads; one poll at a time.

    Args:
        config: the server.
        session: its HTTP connections; closed with the lane.
        client: asks its models.
        poller: asks how it is.
        breaker: cuts it off while it fails.
        beside: what is known of it beside its HTTP API; None for nothing.
    """

    def __init__(
        self,
        config: Server,
        session: HttpSession,
        client: LmStudioClient,
        poller: HealthPoller,
        breaker: Breaker,
        *,
        beside: BesideHttp | None = None,
    ) -> None:
        self.config = config
        self.client = client
        self.breaker = breaker
        self._session = session
        self._poller = poller
        self._beside = beside
        self._polling = threading.Lock()
        self._health: ServerHealth | None = None

    @property
    def health(self) -> ServerHealth | None:
        """What the last poll found; None before the first."""
        return self._health

    def poll(self) -> ServerHealth:
        """Ask the server how it is, and remember it. A second caller waits for the first, then asks anew."""
        with self._polling:
            health = self._poller.poll()
            if self._beside is not None:
                health = self._beside.complete(health)
            self._health = health
        if health.up:
            self.breaker.polled_well()
        return health

    def choose_model(self) -> Model | None:
        """The model that a question would go to now; None if there is none, as for a server that is down."""
        return choose(self.config, self._health) if self._health is not None else None

    def spares(self) -> bool:
        """Whether a question that nobody needs, as of a probe, is kept from the model: it would load it, or keep it loaded."""
        model = self.choose_model()
        return model is None or not in_memory(model) or kept_by_asking(self.config, model)

    def load(self) -> int:
        """Requests that the chosen model had at the last poll, whoever sent them; at least 1 while it was at work."""
        model = self.choose_model()
        if model is None:
            return 0
        return max(model.queued_requests or 0, int(model.status not in (None, "idle")))

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
        if self._beside is not None:
            self._beside.close()


def open_lane(config: Server, clock: Clock, cancel: Cancel, home: Path | None = None) -> Lane:
    """A lane to this server.

    Args:
        config: the server.
        clock: tells the time.
        cancel: ends its polls.
        home: the home directory of the user who runs LM Studio, if that is on this host; None for that of this user.
    """
    session = open_session(config)
    client = LmStudioClient(config, session, clock)
    poller = HealthPoller(config, session, clock, cancel)
    process = HostProcess(config, clock, home=home or _own_home(), cancel=cancel)
    beside = BesideHttp(config, RpcClient(config, clock, cancel), process)
    return Lane(config, session, client, poller, Breaker(clock), beside=beside)


def _own_home() -> Path | None:
    """The home directory of this user; None for one that has none, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


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


def in_memory(model: Model) -> bool:
    """Whether a model can answer without being loaded; where a server does not say, one whose running context it tells."""
    if model.loaded is None:
        return model.context_length is not None
    return model.loaded and model.status != "loading"


def kept_by_asking(config: Server, model: Model) -> bool:
    """Whether a question would keep a model loaded that is to be unloaded, and the configuration does not allow that."""
    left = model.ttl_remaining_seconds
    return left is not None and (not config.probe.keep_loaded or left <= LAST_SECONDS)


def _preference(model: Model) -> tuple[int, int]:
    loaded = {True: 0, None: 1, False: 2}[model.loaded]
    busy = model.status not in (None, "idle") or bool(model.queued_requests)
    return loaded, int(busy)
