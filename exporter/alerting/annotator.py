"""The way to Grafana: a bounded queue of annotations, and a thread that empties it."""

import logging
import threading
from collections import OrderedDict

from exporter.alerting.grafana import Annotation, GrafanaClient, NotReachedError, NotTakenError
from exporter.clock import Clock
from exporter.logs import fields
from exporter.metrics.annotating import AnnotationInstruments

logger = logging.getLogger(__name__)

CAPACITY = 1000
"""Annotations that may wait."""
_REMEMBERED = 10_000
"""Ids of annotations, which later versions change instead of adding another."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_PATIENCE = 0.5
"""Seconds that a cancelled call may take to end."""

_Identity = tuple[int, tuple[str, ...]]
"""When it begins, and its tags: the same for all versions of one annotation."""


class Annotator:
    """Writes annotations to one Grafana. Any thread may call any method.

    The newest version of an annotation takes the place of the one that still waits. When the queue is full the first
    in it give way and are counted. What Grafana refuses for good is counted and not tried again.

    Args:
        client: speaks to the Grafana.
        instruments: count what happens.
        clock: tells the time.
        capacity: annotations that may wait.
        first_pause: seconds after a failure, before the next attempt; twice as long after each further one.
    """

    def __init__(
        self,
        client: GrafanaClient,
        instruments: AnnotationInstruments,
        clock: Clock,
        *,
        capacity: int = CAPACITY,
        first_pause: float = _FIRST_PAUSE,
    ) -> None:
        self._client = client
        self._instruments = instruments
        self._clock = clock
        self._capacity = capacity
        self._first_pause = first_pause
        self._waiting: OrderedDict[_Identity, Annotation] = OrderedDict()
        self._ids: OrderedDict[_Identity, int | None] = OrderedDict()
        """None where a request to create it failed in a way that leaves open whether it is there."""
        self._in_hand = 0
        self._changed = threading.Condition()
        self._until: float | None = None
        """Monotonic seconds at which a stop that was asked for gives up; None while nobody asked."""
        self._thread = threading.Thread(target=self._work, name="annotations", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._instruments.declare()
        self._thread.start()

    def put(self, annotation: Annotation) -> None:
        """Queue an annotation, or a newer version of one. Never blocks."""
        with self._changed:
            self._waiting[_identity(annotation)] = annotation
            self._drop_first()
            self._changed.notify_all()

    def stop(self, timeout: float) -> None:
        """Write what waits, for so many seconds at most, and end. What was not written by then is dropped and counted."""
        with self._changed:
            self._until = self._clock.monotonic() + timeout
            self._changed.notify_all()
        self._thread.join(timeout)
        self._client.close()
        self._thread.join(_PATIENCE)
        with self._changed:
            self._instruments.dropped(len(self._waiting) + self._in_hand)
            self._waiting.clear()
            self._in_hand = 0
            self._instruments.queue_length(0)

    def _work(self) -> None:
        pause = self._first_pause
        while (annotation := self._take()) is not None:
            try:
                self._write(annotation)
            except NotTakenError as error:
                self._complain(error.reason, error)
                self._instruments.dropped()
            except NotReachedError as error:
                self._complain(error.reason, error)
                self._give_back(annotation)
                self._rest(max(pause, error.not_before))
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            except Exception:
                # Whatever is wrong with this one must not end the thread: the next ones still have to go out.
                logger.exception("an annotation was given up")
                self._instruments.dropped()
            with self._changed:
                self._in_hand = 0
            pause = self._first_pause

    def _write(self, annotation: Annotation) -> None:
        identity = _identity(annotation)
        known = self._ids.get(identity)
        if known is None and identity in self._ids:
            known = self._client.find(annotation)
        if known is None:
            try:
                known = self._client.create(annotation)
            except NotReachedError:
                self._remember(identity, None)
                raise
            self._instruments.written(created=True)
        else:
            self._client.update(known, annotation)
            self._instruments.written(created=False)
        self._remember(identity, known)

    def _remember(self, identity: _Identity, number: int | None) -> None:
        self._ids[identity] = number
        if len(self._ids) > _REMEMBERED:
            self._ids.popitem(last=False)

    def _take(self) -> Annotation | None:
        """The first that waits; None when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._until is not None)
            over = self._until is not None and self._clock.monotonic() >= self._until
            if over or not self._waiting:
                return None
            _, annotation = self._waiting.popitem(last=False)
            self._in_hand = 1
            self._instruments.queue_length(len(self._waiting))
            return annotation

    def _give_back(self, annotation: Annotation) -> None:
        """Put it behind all others, which it must not hold up for good, unless a newer version waits already."""
        with self._changed:
            self._waiting.setdefault(_identity(annotation), annotation)
            self._in_hand = 0
            self._drop_first()

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt; at the end no longer than is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._until is not None, timeout=seconds)
            if self._until is not None:
                self._changed.wait(min(seconds, max(0.0, self._until - self._clock.monotonic())))

    def _drop_first(self) -> None:
        while len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)
            self._instruments.dropped()
        self._instruments.queue_length(len(self._waiting))

    def _complain(self, reason: str, error: Exception) -> None:
        self._instruments.failed(reason)
        level = logging.DEBUG if reason == "cancelled" else logging.WARNING
        logger.log(level, "an annotation was not written", extra=fields(reason=reason, error=str(error)))


def _identity(annotation: Annotation) -> _Identity:
    return annotation.time, annotation.tags
