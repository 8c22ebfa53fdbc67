"""All predictions of an LM Studio on this host, its own chats and other clients' included, through `lms log stream`.

A thread keeps `lms` running: before each start it asks whether LM Studio runs, because `lms` would start it otherwise, and it
waits longer and longer between starts that lead to nothing. A stream that has gone deaf shows by a prediction of lmwatch
itself for which no event comes; then `lms` is started anew, and counts as up only when something is heard again.
"""

import logging
import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ParamSpec

from exporter.clock import Clock
from exporter.config.model import Server
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.logchild import LogChild
from exporter.lmstudio.logevents import LogParser
from exporter.lmstudio.logfigures import LoggedPrediction, outcome
from exporter.lmstudio.logpace import Backoff, Pace
from exporter.lmstudio.own_calls import MOST_CALLS, WINDOW_SECONDS, OwnCalls, Settling
from exporter.lmstudio.wire import Prediction
from exporter.logs import fields

P = ParamSpec("P")

logger = logging.getLogger(__name__)


class _Run:
    """One child, from its start to its end, and what came of it."""

    def __init__(self, clock: Clock) -> None:
        self.parser = LogParser()
        self.child: LogChild | None = None
        self.ended = False
        self.started = clock.monotonic()
        self.heard_at = clock.now()
        """Unix seconds of the last prediction; of the start before the first."""
        self.heard = False
        self.deaf = False
        """Whether a prediction of lmwatch went by unheard."""


class LogStream:
    """Counts what one LM Studio does for anybody. `start` once, `stop` once; callbacks come from the stream's thread.

    Args:
        config: the server; with `log_stream: on` a stream that breaks off is a warning, else a remark.
        lms: the command.
        check: whether LM Studio runs, found out without starting it; asked before each start and while the stream runs.
        clock: tells the time.
        on_prediction: told each prediction that ended well and is not in `own`.
        on_failure: told the model (the instance) and why a prediction ended badly.
        on_state: told whether predictions come in: False at `start`, then whenever it changes.
        own: the predictions that are counted elsewhere; None if there are none.
        environ: gives the environment for `lms`, at each start.
        on_stop: called at `stop`; to end a check that is under way.
        pace: how patient it is.
    """

    def __init__(
        self,
        config: Server,
        lms: Path,
        check: Callable[[], bool],
        clock: Clock,
        *,
        on_prediction: Callable[[Prediction], None],
        on_failure: Callable[[str, ModelFailure], None],
        on_state: Callable[[bool], None],
        own: OwnCalls | None,
        environ: Callable[[], Mapping[str, str]] = lambda: os.environ,
        on_stop: Callable[[], None] = lambda: None,
        pace: Pace | None = None,
    ) -> None:
        self._config = config
        self._lms = lms
        self._check = check
        self._clock = clock
        self._on_prediction = on_prediction
        self._on_failure = on_failure
        self._on_state = on_state
        self._own = own
        self._environ = environ
        self._on_stop = on_stop
        self._pace = pace if pace is not None else Pace()
        self._changed = threading.Condition()
        self._settling = Settling(own, self._pace.settle)
        self._stopping = False
        self._renewing = False
        self._up: bool | None = None
        self._run: _Run | None = None
        self._deaf = False
        self._ended_early = False
        self._thread = threading.Thread(target=self._supervise, name=f"lmwatch-log-{config.name}", daemon=True)

    def start(self) -> None:
        """Begin to listen, as soon as LM Studio runs."""
        self._tell(up=False)
        self._thread.start()

    def renew(self) -> None:
        """Start `lms` anew, and at once: LM Studio was restarted, or is back."""
        with self._changed:
            self._renewing = True
            self._changed.notify_all()

    def stop(self, timeout: float) -> None:
        """End the child and the thread; what waited to be recognised is counted. Takes little more than `timeout` seconds."""
        with self._changed:
            self._stopping = True
            child = self._run.child if self._run is not None else None
            self._changed.notify_all()
        self._on_stop()
        if child is not None:
            child.terminate()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        if child is not None:
            child.end(0.0)

    def _supervise(self) -> None:
        backoff = Backoff(self._pace)
        while not self._stopping:
            self._renewing = False
            if self._is_safe():
                self._rest(backoff.pause(self._listen()))
            else:
                self._rest(self._pace.look)
        with self._changed:
            left = self._settling.due(math.inf)
        self._hand_on(left)

    def _listen(self) -> float:
        """Run a child to its end. Returns the seconds that it lived."""
        run = _Run(self._clock)
        with self._changed:
            self._run = run
        error, status = "", None
        try:
            run.child = LogChild(
                self._lms, self._environ(), lambda piece: self._take(run, piece), lambda: self._end(run)
            )
        except (OSError, ValueError) as refused:
            error = str(refused)
        else:
            try:
                self._attend(run)
            finally:
                status = run.child.end(self._pace.grace)
        lived = self._clock.monotonic() - run.started
        with self._changed:
            self._run = None
            if run.ended:
                self._settle(run.parser.end())
        self._tell(up=False)
        self._report(run, lived, status, error)
        return lived

    def _attend(self, run: _Run) -> None:
        """Hand on what a child brings until it ends, or there is a reason to end it."""
        check_at = run.started + self._pace.check
        while True:
            self._rest(min(self._pace.tick, check_at - self._clock.monotonic()), run)
            if self._stopping or self._renewing or run.ended:
                return
            now = self._clock.monotonic()
            if now >= check_at:
                if not self._is_safe():
                    return
                check_at = now + self._pace.check
            if self._missed_our_own(run):
                self._deaf = run.deaf = True
                return
            if run.heard or (not self._deaf and now - run.started >= self._pace.up_after):
                self._tell(up=True)

    def _rest(self, seconds: float, run: _Run | None = None) -> None:
        """Let time pass, handing on events that have settled, until there is something else to do."""
        until = self._clock.monotonic() + seconds
        while True:
            with self._changed:
                now = self._clock.monotonic()
                settled = self._settling.due(now)
                if not settled:
                    if now >= until or self._stopping or self._renewing or (run is not None and run.ended):
                        return
                    due = self._settling.next_due()
                    self._changed.wait(min(self._pace.tick, (until if due is None else min(until, due)) - now))
                    continue
                self._changed.notify_all()
            self._hand_on(settled)

    def _take(self, run: _Run, piece: bytes) -> None:
        """Take what a child wrote, in the child's thread; waits while more is waiting than may."""
        found = run.parser.feed(piece)
        if not found:
            return
        with self._changed:
            self._settle(found)
            run.heard = True
            run.heard_at = self._clock.now()
            self._deaf = False
            self._changed.notify_all()
            while len(self._settling) > MOST_CALLS and run is self._run and not self._stopping:
                self._changed.wait(self._pace.tick)

    def _settle(self, found: Sequence[LoggedPrediction]) -> None:
        monotonic, now = self._clock.monotonic(), self._clock.now()
        for logged in found:
            self._settling.put(logged, monotonic=monotonic, now=now)

    def _end(self, run: _Run) -> None:
        with self._changed:
            run.ended = True
            self._changed.notify_all()

    def _missed_our_own(self, run: _Run) -> bool:
        """Whether lmwatch made a prediction, while this child listened, and nothing at all was heard since."""
        if self._own is None:
            return False
        missed = self._own.expire(self._clock.now() - WINDOW_SECONDS - self._pace.settle)
        return missed is not None and missed - WINDOW_SECONDS > run.heard_at

    def _hand_on(self, settled: Sequence[LoggedPrediction]) -> None:
        for logged in settled:
            result = outcome(logged, self._config.name)
            if isinstance(result, ModelFailure):
                _call(self._on_failure, logged.model, result)
            else:
                _call(self._on_prediction, result)

    def _is_safe(self) -> bool:
        try:
            return self._check()
        except Exception:
            logger.exception("cannot tell whether LM Studio runs", extra=fields(server=self._config.name))
            return False

    def _tell(self, *, up: bool) -> None:
        if self._up is not up:
            self._up = up
            _call(self._on_state, up)

    def _report(self, run: _Run, lived: float, status: int | None, error: str) -> None:
        """Say that a child ended: once aloud, then quietly until one runs steadily."""
        early = lived < self._pace.steady
        forced = self._config.log_stream == "on"
        level = logging.WARNING if forced else logging.INFO
        if self._stopping or self._renewing or (early and self._ended_early):
            level = logging.DEBUG
        self._ended_early = early
        message = "the log stream missed a prediction of our own" if run.deaf else "the log stream ended"
        counts = run.parser.counts
        logger.log(
            level,
            "lms cannot be run" if error else message,
            extra=fields(
                server=self._config.name,
                lms=str(self._lms),
                error=error,
                status=status,
                seconds=round(lived, 3),
                predictions=counts.predictions,
                unreadable=counts.unreadable,
                too_long=counts.too_long,
                stderr_bytes=run.child.stderr_bytes if run.child is not None else 0,
            ),
        )


def _call(function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a listener: what it raises is logged and ends nothing."""
    try:
        function(*args, **kwargs)
    except Exception:
        logger.exception("a listener of the log stream failed")
