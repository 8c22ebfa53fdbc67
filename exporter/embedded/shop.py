"""A small shop that exists only as numbers: the same seed and the same moment give the same figures.

Time goes in steps of half a second. What happens in a step is drawn from a generator that belongs to that step, so the
figures of a moment do not depend on how often or when somebody looked before.
"""

import math
import threading
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from exporter.embedded.plan import Plan
from exporter.errors import LmwatchError

STEP_SECONDS = 0.5
ROUTES = ("/", "/product", "/cart", "/checkout")
ITEMS = ("lamp", "chair", "desk")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper edges of the duration histogram, seconds; +Inf comes on top."""
METRICS = frozenset(
    {
        "shop_requests_total", "shop_errors_total", "shop_request_duration_seconds", "shop_queue_length",
        "shop_heap_bytes", "shop_sessions", "shop_orders_total", "shop_stock_items",
    }
)  # fmt: skip
"""What anomalies can be planted in."""

_REQUESTS_PER_SECOND = np.array([40.0, 25.0, 12.0, 8.0])
_ERROR_RATIO = 0.006
_ORDERS_PER_CHECKOUT = 0.7
_MEDIAN_SECONDS = 0.045
_SPREAD = 0.55
"""Standard deviation of the logarithm of a request's duration."""
_DAY_SWING = 0.2
_SESSIONS = 150.0
_QUEUE = 5.0
_FULL_STOCK = 500
_DELIVERY_STEPS = 40
_HEAP_LOW = 180e6
_HEAP_HIGH = 260e6
_HEAP_PER_STEP = 3e6
_KEPT_STATES = 4096


@dataclass(frozen=True, slots=True)
class ShopState:
    """The figures of one moment: what is exposed, and the levels below it that carry over to the next step."""

    requests: tuple[int, ...] = (0,) * len(ROUTES)
    errors: tuple[int, ...] = (0,) * len(ROUTES)
    durations: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)
    """Requests a bucket, not cumulative; the last is +Inf."""
    duration_sum: float = 0.0
    orders: int = 0
    queue_length: int = round(_QUEUE)
    heap_bytes: int = round(_HEAP_LOW)
    sessions: int = round(_SESSIONS)
    stock: tuple[int, ...] = (_FULL_STOCK,) * len(ITEMS)
    traffic_mood: float = 0.0
    """A slow wander of the traffic around its daily shape, as a part of it."""
    queue_level: float = _QUEUE
    sessions_level: float = 0.0
    """Sessions above or below what the daily shape says."""
    heap_level: float = _HEAP_LOW
    stock_level: tuple[int, ...] = (_FULL_STOCK,) * len(ITEMS)


class Shop:
    """The shop's figures at any moment. Safe to use from several threads.

    Args:
        seed: of all that is random.
        plan: what goes wrong.
        day_seconds: how long one day of the shop lasts.

    Raises:
        LmwatchError: the seed is negative, or the plan names a metric that the shop does not have.
    """

    def __init__(self, seed: int, plan: Plan, *, day_seconds: float = 360.0) -> None:
        if seed < 0:
            raise LmwatchError(f"the seed is {seed}; expected 0 or more")
        for planted in plan.planted:
            if planted.metric not in METRICS:
                raise LmwatchError(f"cannot plant a {planted.kind} in {planted.metric}: the shop has no such metric")
        self._seed = seed
        self._plan = plan
        self._day_seconds = day_seconds
        self._lock = threading.Lock()
        self._newest = 0
        self._kept: deque[ShopState] = deque([ShopState()], maxlen=_KEPT_STATES)

    def at(self, elapsed: float) -> ShopState:
        """The figures so many seconds after the shop opened."""
        step = max(0, math.floor(elapsed / STEP_SECONDS))
        with self._lock:
            if step <= self._newest - len(self._kept):
                self._newest, self._kept = 0, deque([ShopState()], maxlen=_KEPT_STATES)
            while self._newest < step:
                self._newest += 1
                self._kept.append(self._after(self._kept[-1], self._newest))
            return self._kept[step - self._newest - 1]

    def _after(self, before: ShopState, step: int) -> ShopState:
        """The state at the end of step number `step`."""
        elapsed = step * STEP_SECONDS
        random = np.random.default_rng((self._seed, step))
        shape = 1 + _DAY_SWING * math.sin(2 * math.pi * elapsed / self._day_seconds)
        mood = 0.97 * before.traffic_mood + random.normal(0, 0.012)
        state = self._trade(replace(before, traffic_mood=mood), random, elapsed, shape * (1 + mood))
        state = self._wander(state, random, elapsed, shape)
        return self._stock(state, before.orders, random, step)

    def _trade(self, state: ShopState, random: np.random.Generator, elapsed: float, traffic: float) -> ShopState:
        """Requests, their errors and durations, and orders: everything that is counted."""
        rates = _REQUESTS_PER_SECOND * STEP_SECONDS * traffic * self._factor("shop_requests_total", elapsed)
        requests = random.poisson(rates)
        errors = random.binomial(requests, min(1.0, _ERROR_RATIO * self._factor("shop_errors_total", elapsed)))
        orders = random.poisson(rates[-1] * _ORDERS_PER_CHECKOUT * self._factor("shop_orders_total", elapsed))
        slowness = self._factor("shop_request_duration_seconds", elapsed)
        drawn = random.lognormal(
            math.log(_MEDIAN_SECONDS * (1 + state.queue_length / 80)), _SPREAD, int(requests.sum())
        )
        durations = drawn * slowness if slowness else drawn[:0]
        filled = np.bincount(np.searchsorted(BUCKETS, durations), minlength=len(BUCKETS) + 1)
        return replace(
            state,
            requests=_plus(state.requests, requests),
            errors=_plus(state.errors, errors),
            orders=state.orders + int(orders),
            durations=_plus(state.durations, filled),
            duration_sum=state.duration_sum + float(durations.sum()),
        )

    def _wander(self, state: ShopState, random: np.random.Generator, elapsed: float, shape: float) -> ShopState:
        """Queue, sessions and heap: levels that wander, and what is shown of them."""
        queue = max(0.0, state.queue_level + 0.3 * (_QUEUE * shape - state.queue_level) + random.normal(0, 0.6))
        sessions = 0.9 * state.sessions_level + random.normal(0, 2.0)
        heap = state.heap_level + _HEAP_PER_STEP * random.uniform(0.5, 1.5)
        if heap > _HEAP_HIGH:
            heap = _HEAP_LOW + random.uniform(0, 5e6)
        return replace(
            state,
            queue_level=queue,
            sessions_level=sessions,
            heap_level=heap,
            queue_length=self._shown("shop_queue_length", queue, state.queue_length, elapsed, usual=_QUEUE),
            sessions=self._shown(
                "shop_sessions", _SESSIONS * shape + sessions, state.sessions, elapsed, usual=_SESSIONS
            ),
            heap_bytes=self._shown("shop_heap_bytes", heap, state.heap_bytes, elapsed, usual=_HEAP_LOW),
        )

    def _stock(self, state: ShopState, orders_before: int, random: np.random.Generator, step: int) -> ShopState:
        """Each order takes one item; a van fills the shelf of one item after the other."""
        sold = random.multinomial(state.orders - orders_before, [1 / len(ITEMS)] * len(ITEMS))
        level = [max(0, have - int(gone)) for have, gone in zip(state.stock_level, sold, strict=True)]
        item, waits = divmod(step % (_DELIVERY_STEPS * len(ITEMS)), _DELIVERY_STEPS)
        if waits == 0:
            level[item] = _FULL_STOCK
        elapsed = step * STEP_SECONDS
        shown = tuple(
            self._shown("shop_stock_items", have, was, elapsed, usual=_FULL_STOCK)
            for have, was in zip(level, state.stock, strict=True)
        )
        return replace(state, stock_level=tuple(level), stock=shown)

    def _factor(self, metric: str, elapsed: float) -> float:
        """What a rate is multiplied with."""
        planted = self._plan.on(metric, elapsed)
        return 1.0 if planted is None else planted.factor(elapsed)

    def _shown(self, metric: str, value: float, shown_before: int, elapsed: float, *, usual: float) -> int:
        """What a gauge shows: a flatline holds what was shown before, a leak comes on top of what goes up and down."""
        planted = self._plan.on(metric, elapsed)
        if planted is None:
            return round(value)
        if planted.kind == "flatline":
            return shown_before
        if planted.kind == "leak":
            return round(value + usual * (planted.factor(elapsed) - 1))
        return round(value * planted.factor(elapsed))


def _plus(total: tuple[int, ...], more: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[int, ...]:
    return tuple(have + int(new) for have, new in zip(total, more, strict=True))
