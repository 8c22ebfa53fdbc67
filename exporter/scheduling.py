"""Jobs that repeat: APScheduler behind three methods.

APScheduler's defaults suit short jobs: one pool for everything, and a run that is late by more than a second is
thrown away. Here each kind of work has threads of its own, so that slow targets cannot delay screening or polls, and
a late run happens late; what could not run in time is counted.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

logger = logging.getLogger(__name__)

Kind = Literal["collect", "screen", "poll", "housekeeping"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_THREADS: dict[Kind, int] = {"collect": 128, "screen": 2, "poll": 16, "housekeeping": 2}
"""At most; threads come into being when they are needed. Collecting and polling wait for others most of the time."""


class _Threads(ThreadPoolExecutor):  # type: ignore[misc]  # the library is not annotated
    """Threads that, at the end, start nothing more of what waits for them."""

    def shutdown(self, wait: bool = True) -> None:
        self._pool.shutdown(wait, cancel_futures=True)


class Scheduler:
    """Runs jobs at fixed intervals, each at most once at a time.

    Args:
        on_missed: told the kind of work whenever a run had to be left out because the one before was still going.
    """

    def __init__(self, on_missed: Callable[[Kind], None]) -> None:
        self._on_missed = on_missed
        self._scheduler = BackgroundScheduler(
            executors={kind: _Threads(_THREADS[kind]) for kind in KINDS},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_listener(self._note, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin to run what was and will be added."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no further run. Does not wait for runs under way: whoever owns their sockets closes those."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def every(self, seconds: float, job: Callable[[], object], *, name: str, kind: Kind, offset: float = 0.0) -> None:
        """Run `job` every `seconds`, first after `offset` seconds. A job of the same name is replaced."""
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

    def _note(self, event: JobEvent) -> None:
        """Count a run that was left out; APScheduler itself logs it, and jobs that raise."""
        job = self._scheduler.get_job(event.job_id)
        kind: Kind = job.executor if job else "housekeeping"
        self._on_missed(kind)
