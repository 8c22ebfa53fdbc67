"""The scheduler: repetition, separation of kinds of work, counting of what did not run."""

import queue
import threading

import pytest

from exporter.clock import ManualClock
from exporter.scheduling import Scheduler


@pytest.fixture
def scheduler():
    scheduler = Scheduler(on_missed=lambda kind: None)
    scheduler.start()
    yield scheduler
    scheduler.stop()


def test_a_job_repeats(scheduler):
    runs = threading.Semaphore(0)
    scheduler.every(0.02, runs.release, name="tick", kind="screen")
    for _ in range(3):
        assert runs.acquire(timeout=10)


def test_a_job_without_offset_runs_at_once(scheduler):
    ran = threading.Event()
    scheduler.every(3600.0, ran.set, name="rare", kind="poll")
    assert ran.wait(10)


def test_a_job_with_an_offset_waits_for_it(scheduler):
    early, late = threading.Event(), threading.Event()
    scheduler.every(3600.0, late.set, name="late", kind="poll", offset=3600.0)
    scheduler.every(3600.0, early.set, name="early", kind="poll")
    assert early.wait(10)
    assert not late.is_set()


def test_a_slow_job_of_one_kind_does_not_delay_another_kind(scheduler):
    release, quick = threading.Event(), threading.Semaphore(0)
    for index in range(4):
        scheduler.every(0.02, lambda: release.wait(10), name=f"slow{index}", kind="screen")
    scheduler.every(0.02, quick.release, name="quick", kind="poll")
    try:
        for _ in range(3):
            assert quick.acquire(timeout=10)
    finally:
        release.set()


def test_a_run_that_finds_the_last_one_still_going_is_left_out_and_counted():
    release, missed = threading.Event(), queue.Queue()
    scheduler = Scheduler(missed.put)
    scheduler.start()
    try:
        scheduler.every(0.02, lambda: release.wait(10), name="slow", kind="collect")
        assert missed.get(timeout=10) == "collect"
    finally:
        release.set()
        scheduler.stop()


def test_a_job_that_raises_runs_again(scheduler):
    runs = threading.Semaphore(0)

    def job():
        runs.release()
        raise ValueError("once more")

    scheduler.every(0.02, job, name="raises", kind="screen")
    for _ in range(3):
        assert runs.acquire(timeout=10)


def test_a_cancelled_job_runs_no_more_and_cancelling_twice_is_no_error(scheduler):
    runs = threading.Semaphore(0)
    scheduler.every(0.02, runs.release, name="tick", kind="screen")
    assert runs.acquire(timeout=10)
    scheduler.cancel("tick")
    scheduler.cancel("tick")
    other = threading.Semaphore(0)
    scheduler.every(0.02, other.release, name="other", kind="screen")
    assert other.acquire(timeout=10)
    while runs.acquire(blocking=False):
        pass
    for _ in range(5):
        assert other.acquire(timeout=10)
    assert not runs.acquire(blocking=False)


def test_jobs_are_moved_along_with_a_clock_that_is_set():
    # APScheduler sees the machine's own clock, which stays: a job that is moved by an hour is due now.
    clock, ran = ManualClock(1000.0), threading.Event()
    scheduler = Scheduler(lambda kind: None, clock, look_seconds=0.01)
    scheduler.start()
    try:
        scheduler.every(7200.0, ran.set, name="rare", kind="poll", offset=3600.0)
        clock.jump(-3600.0)
        assert ran.wait(10)
    finally:
        scheduler.stop()


def test_a_job_that_comes_after_the_clock_was_set_is_not_moved():
    clock, early, late = ManualClock(1000.0), threading.Event(), threading.Event()
    scheduler = Scheduler(lambda kind: None, clock, look_seconds=0.01)
    try:
        clock.jump(-3600.0)
        scheduler.every(7200.0, late.set, name="late", kind="poll", offset=3600.0)
        scheduler.start()
        clock.jump(0.5)
        scheduler.every(7200.0, early.set, name="early", kind="poll", offset=0.1)
        assert early.wait(10)
        assert not late.is_set()
    finally:
        scheduler.stop()
