"""The heartbeat at work: the built-in watch with a pool that spares models, and its state on the board."""

from collections.abc import Callable
from dataclasses import replace

from exporter.board import HeartbeatState, WatchPicture
from exporter.clock import Clock
from exporter.config.watches import HEARTBEAT_WATCH
from exporter.lmstudio.pool import LaneSession, Pool
from exporter.lmstudio.tokens import TokenCounter
from exporter.reasoning.analyst import Analyst
from exporter.reasoning.memory import Memory
from exporter.reasoning.sight import Sight
from exporter.reasoning.verdict import Verdict
from exporter.reporter import Reporter
from exporter.watching.heartbeat import HeartbeatFeed, Pulse, heartbeat_watch
from exporter.watching.watcher import Judging, Watcher


class Heartbeat:
    """Plants an anomaly every `interval` seconds and follows what becomes of it.

    Args:
        interval: seconds, at least 60.
        pool: the servers; a model that is to be unloaded is left alone, as by probes.
        reporter: told how it goes.
        tokens: estimates the length of prompts.
        clock: tells the time.
    """

    def __init__(self, interval: float, pool: Pool, reporter: Reporter, tokens: TokenCounter, clock: Clock) -> None:
        self.interval = interval
        self._reporter = reporter
        self._memory = Memory()
        now = clock.now()
        feed = HeartbeatFeed(interval, now)
        self._pulse = Pulse(interval, feed, now)
        analyst = Analyst(tokens.estimate, tokens.learn, self._memory, Sight())
        judging = Judging(_SparingPool(pool, self._pulse, clock), analyst, reporter.instruments, self._hear)
        self.watcher = Watcher(heartbeat_watch(interval), feed, judging, self._look, clock)

    @property
    def state(self) -> HeartbeatState:
        """How it stands."""
        return self._pulse.state

    def tick(self) -> None:
        """One step of the beat."""
        self.watcher.tick()
        self._tell()

    def _look(self, picture: WatchPicture) -> None:
        self._pulse.look(picture)
        named = {group: _named(verdict) for group, verdict in picture.verdicts.items()}
        self._reporter.picture(replace(picture, verdicts=named))

    def _hear(self, verdict: Verdict) -> None:
        self._pulse.hear(verdict)
        # Each beat is judged by itself: a model that is told what it said last would say it again.
        self._memory.forget(HEARTBEAT_WATCH)
        self._reporter.keep(_named(verdict))
        self._tell()

    def _tell(self) -> None:
        """Tell how it stands; not of one that was turned off meanwhile, whose state would stay and age."""
        if not self.watcher.closed:
            self._reporter.heartbeat(self.state)


def _named(verdict: Verdict) -> Verdict:
    """With an id that is always the same, so that the journal keeps the newest one only."""
    return replace(verdict, id=HEARTBEAT_WATCH)


class _SparingPool:
    """The pool for questions that nobody needs answered."""

    def __init__(self, pool: Pool, pulse: Pulse, clock: Clock) -> None:
        self._pool = pool
        self._pulse = pulse
        self._clock = clock

    def submit(
        self, job: Callable[[LaneSession], None], *, patience_seconds: float, on_expired: Callable[[], None]
    ) -> bool:
        if self._pool.spares():
            self._pulse.spared(self._clock.now())
            return False
        self._pulse.asked()
        return self._pool.submit(job, patience_seconds=patience_seconds, on_expired=on_expired, sparing=True)

    def usable(self) -> bool:
        return self._pool.usable()
