"""Independent pieces of work on several processors."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

_Result = TypeVar("_Result")
_MOST = 60
"""Windows can wait for 61 processes at once, not for more."""


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(tasks: Sequence[Callable[[], _Result]], jobs: int, done: Callable[[int], None]) -> list[_Result]:
    """Do tasks, several at the same time, and return their results in the order of the tasks.

    Args:
        tasks: they are begun in this order; functions of modules, or `partial`s of them, where `jobs` is above 1.
        jobs: how many processes may work at the same time; 1 is this one.
        done: is told the place of each task that is done, in this process.

    Raises:
        Exception: what a task raised; all others are given up.
    """
    results: dict[int, _Result] = {}
    workers = min(jobs, len(tasks), _MOST)
    if workers <= 1:
        for place, task in enumerate(tasks):
            results[place] = task()
            done(place)
        return list(results.values())
    spawn = multiprocessing.get_context("spawn")
    strangers = set(multiprocessing.active_children())
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_the_parent) as pool:
        futures = {pool.submit(task): place for place, task in enumerate(tasks)}
        try:
            for future in as_completed(futures):
                place = futures[future]
                results[place] = future.result()
                done(place)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Whoever interrupts does not want to wait for tasks that take minutes.
            begun = set(multiprocessing.active_children()) - strangers
            for worker in begun:
                worker.terminate()
            for worker in begun:
                worker.join()
            raise
    return [results[place] for place in range(len(tasks))]


def _end_with_the_parent() -> None:
    """Workers get the terminal's interrupt too; only the parent has something to say about it.

    A parent that is killed can tell them nothing: they watch for its end, or they would wait for tasks for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_exit_after_the_parent, name="parent-watch", daemon=True).start()


def _exit_after_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
