"""The demo target: an exporter with real figures of this machine and those of a simulated shop with planted anomalies."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from exporter.clock import Clock
from exporter.embedded.exposition_text import CONTENT_TYPE, Family, by_label, histogram, plain, render
from exporter.embedded.host import Host
from exporter.embedded.plan import Plan, Planted
from exporter.embedded.shop import BUCKETS, ITEMS, ROUTES, Shop, ShopState
from exporter.embedded.studio_http import Call, Listener
from exporter.errors import LmwatchError


class DemoTarget:
    """An exporter on the loopback address; `/metrics` is all it has.

    Args:
        clock: gives the time that passes in the shop.
        seed: of everything random in the shop.
        plan: what goes wrong in the shop, and when.
        port: to listen on; 0 takes a free one.
        day_seconds: how long one day of the shop lasts.

    Raises:
        LmwatchError: psutil is not installed, the seed is negative, or the plan names a metric that the shop does not have.
    """

    def __init__(self, clock: Clock, seed: int, plan: Plan, *, port: int = 0, day_seconds: float = 360.0) -> None:
        self._clock = clock
        self._plan = plan
        self._port = port
        self._shop = Shop(seed, plan, day_seconds=day_seconds)
        self._host = Host()
        self._listener: Listener | None = None
        self._opened = 0.0
        self.began = 0.0
        """Unix seconds when it was started; the times of the plan count from here."""

    @property
    def planted(self) -> tuple[Planted, ...]:
        """What goes wrong, and when."""
        return self._plan.planted

    @property
    def address(self) -> str:
        """`host:port`, as a scrape target is written."""
        return f"127.0.0.1:{self._port}"

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self._opened

    def start(self) -> None:
        """Open the shop and answer scrapes from now on.

        Raises:
            LmwatchError: the port is taken, or it is running already.
        """
        if self._listener is not None:
            raise LmwatchError(f"the demo target runs already, on {self.address}")
        try:
            self._listener = Listener(self._port, self._answer)
        except OSError as error:
            raise LmwatchError(f"cannot listen on {self.address}: {error.strerror}") from error
        self._port = self._listener.port
        self._opened, self.began = self._clock.monotonic(), self._clock.now()
        self._listener.start()

    def stop(self) -> None:
        """Stop answering."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def __enter__(self) -> Self:
        """Started."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped."""
        self.stop()

    def _answer(self, call: Call) -> None:
        if call.path == "/metrics" and call.received.method == "GET":
            call.send_text(200, CONTENT_TYPE, self.exposition())
        else:
            call.send_text(404, "text/plain; charset=utf-8", "Not found. The figures are at /metrics.\n")

    def exposition(self) -> str:
        """The page that a scrape gets now."""
        return render([*self._host.families(), *shop_families(self._shop.at(self.elapsed))])


def shop_families(state: ShopState) -> Iterator[Family]:
    """The figures of the shop at one moment, as metrics."""
    routes, items = zip(ROUTES, state.requests, strict=True), zip(ITEMS, state.stock, strict=True)
    yield by_label("shop_requests_total", "counter", "Requests of visitors.", "route", routes)
    errors = zip(ROUTES, state.errors, strict=True)
    yield by_label("shop_errors_total", "counter", "Requests answered with an error.", "route", errors)
    yield histogram(
        "shop_request_duration_seconds", "Time to answer a request.", BUCKETS, state.durations, state.duration_sum
    )
    yield plain("shop_orders_total", "counter", "Orders placed.", state.orders)
    yield plain("shop_queue_length", "gauge", "Orders waiting to be packed.", state.queue_length)
    yield plain("shop_heap_bytes", "gauge", "Memory that the shop's program uses.", state.heap_bytes)
    yield plain("shop_sessions", "gauge", "Visitors in the shop.", state.sessions)
    yield by_label("shop_stock_items", "gauge", "Items on the shelf.", "item", items)
