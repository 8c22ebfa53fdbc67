"""Jobs that repeat: APScheduler behind three methods.

APScheduler's defaults suit short jobs: one pool for everything, and a run that is late by more than a second is
thrown away. Here each kind of work has threads of its own, so that slow targets cannot delay screening or polls, and
a late run happens late; what could not run in time is counted.

APScheduler also goes by the wall clock: one that is set back by two hours, as on a machine that boots with its hardware clock in
local time, would hold up every job for as long. So the jobs are moved along with the clock.
"""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from exporter.clock import Clock, SystemClock
from exporter.logs import fields

logger = logging.getLogger(__name__)

Kind = Literal["collect", "screen", "poll", "housekeeping"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_THREADS: dict[Kind, int] = {"collect": 128, "screen": 2, "poll": 16, "housekeeping": 2}
"""At most; threads come into being when they are needed. Collecting and polling wait for others most of the time."""
_CLOCK_SECONDS = 5.0
"""How often the clocks are compared."""
_LEAST_STEP_SECONDS = 1.0
"""A wall clock that is this far from where it was has been set; less is the drift that NTP corrects."""


class _Threads(ThreadPoolExecutor):  # type: ignore[misc]  # the library is not annotated
    """Threads that, at the end, start nothing more of what waits for them."""

    def shutdown(self, wait: bool = True) -> None:
        self._pool.shutdown(wait, cancel_futures=True)


class Scheduler:
    """Runs jobs at fixed intervals, each at most once at a time.

    Args:
        on_missed: told the kind of work whenever a run had to be left out because the one before was still going.
        clock: shows when the wall clock is set.
        look_seconds: how often to see whether it was.
    """

    def __init__(
        self,
        on_missed: Callable[[Kind], None],
        clock: Clock | None = None,
        *,
        look_seconds: float = _CLOCK_SECONDS,
    ) -> None:
        self._on_missed = on_missed
        self._clock = clock or SystemClock()
        self._look_seconds = look_seconds
        self._stopped = threading.Event()
        self._moving = threading.Lock()
        self._ahead = self._clock.now() - self._clock.monotonic()
        self._scheduler = BackgroundScheduler(
            executors={kind: _Threads(_THREADS[kind]) for kind in KINDS},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_listener(self._note, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin to run what was and will be added."""
        self._scheduler.start()
        threading.Thread(target=self._watch_clock, name="lmwatch-clock", daemon=True).start()

    def stop(self) -> None:
        """Start no further run. Does not wait for runs under way: whoever owns their sockets closes those."""
        self._stopped.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def every(self, seconds: float, job: Callable[[], object], *, name: str, kind: Kind, offset: float = 0.0) -> None:
        """Run `job` every `seconds`, first after `offset` seconds. A job of the same name is replaced."""
        self._follow_clock()  # before this job is there, which knows the clock as it is
        first = datetime.now(UTC) + timedelta(seconds=offset)
        self._scheduler.add_job(
            job,
            trigger=IntervalTrigger(seconds=seconds, start_date=first, timezone=UTC),
            next_run_time=first,  # the trigger alone would let a first run that is due now pass
            id=name,
            name=f"{kind} {name}",
            executor=kind,
            replace_existing=True,
        )

    def cancel(self, name: str) -> None:
        """Run the job of this name no more; a name that is not scheduled is no error."""
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            logger.debug("no job %s to cancel", name)

    def _watch_clock(self) -> None:
        while not self._stopped.wait(self._look_seconds):
            self._follow_clock()

    def _follow_clock(self) -> None:
        """Have all jobs run when they would have run if the wall clock had not been set."""
        with self._moving:
            step = self._clock.now() - self._clock.monotonic() - self._ahead
            if abs(step) < _LEAST_STEP_SECONDS:
                return
            self._ahead += step
            logger.warning("the clock was set; jobs keep their rhythm", extra=fields(seconds=round(step, 3)))
            for job in self._scheduler.get_jobs():
                try:
                    job.modify(next_run_time=job.next_run_time + timedelta(seconds=step))
                except JobLookupError:
                    logger.debug("the job %s was cancelled meanwhile", job.id)

    def _note(self, event: JobEvent) -> None:
        """Count a run that was left out; APScheduler itself logs it, and jobs that raise."""
        job = self._scheduler.get_job(event.job_id)
        kind: Kind = job.executor if job else "housekeeping"
        self._on_missed(kind)
