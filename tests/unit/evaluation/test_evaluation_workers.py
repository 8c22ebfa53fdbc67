"""Tasks on several processors: the same results as on one, in the same order."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from exporter.evaluation.workers import processors, spread

NUMBERS = [9.0, 4.0, 1.0]
ROOTS = [partial(math.sqrt, number) for number in NUMBERS]


def test_there_is_at_least_one_processor():
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_one_process_does_the_tasks_in_their_order():
    done = []
    assert spread(ROOTS, 1, done.append) == [3.0, 2.0, 1.0]
    assert done == [0, 1, 2]


def test_several_processes_do_the_same_elsewhere():
    done = []
    assert spread([*ROOTS, os.getpid], 2, done.append)[:3] == [3.0, 2.0, 1.0]
    assert sorted(done) == [0, 1, 2, 3]
    assert os.getpid() not in spread([os.getpid, os.getpid], 2, done.append)


def test_a_single_task_needs_no_process_and_no_task_nothing_at_all():
    assert spread([os.getpid], 4, lambda _: None) == [os.getpid()]
    assert spread([], 4, lambda _: None) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_task_raises_comes_out(jobs):
    with pytest.raises(ValueError, match="invalid literal"):
        spread([partial(int, "1"), partial(int, "one")], jobs, lambda _: None)


def test_what_goes_wrong_ends_what_takes_long_at_once():
    tasks = [partial(int, "one"), partial(time.sleep, 3600.0)]
    with pytest.raises(ValueError, match="invalid literal"):
        spread(tasks, 2, lambda _: None)
    assert multiprocessing.active_children() == []


_TWO_WORKERS = """
import time
from functools import partial

from exporter.evaluation.workers import spread


def held(said):
    print(said, flush=True)
    time.sleep(3600.0)


if __name__ == "__main__":
    spread([partial(held, "at work")] * 2, 2, lambda _: None)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_parent_that_is_killed(tmp_path, how):
    """Output that ends says that nobody is left who could write any."""
    program = tmp_path / "two_workers.py"
    program.write_text(_TWO_WORKERS)
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert [parent.stdout.readline() for _ in range(2)] == [b"at work\n"] * 2
        parent.send_signal(how)
        assert parent.stdout.read() == b""
    assert parent.returncode == -how
