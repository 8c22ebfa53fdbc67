"""lmwatch processes that need not load lmwatch first: forked off a process that has done so.

Loading takes most of the time of a start, and nothing of lmwatch is at work meanwhile: a test that starts it often, and asks
what happens when it is killed at work, gets more of that in less time. What is forked runs the same `main` with the same arguments.
"""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol, Self

LOADED = ("exporter.app", "exporter.cli", "exporter.loading", "exporter.logs", "exporter.systemd")


class Process(Protocol):
    """What is needed of a process; `subprocess.Popen` has it."""

    def kill(self) -> None: ...
    def terminate(self) -> None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...


class Forked:
    """A process that is not our child. Its exit code is not known: it counts as 0."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._fd = os.pidfd_open(pid)

    def kill(self) -> None:
        signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def terminate(self) -> None:
        signal.pidfd_send_signal(self._fd, signal.SIGTERM)

    def poll(self) -> int | None:
        return 0 if self._is_over(0) else None

    def wait(self, timeout: float) -> int:
        """Wait for its end; not to be used afterwards."""
        if not self._is_over(timeout):
            raise subprocess.TimeoutExpired(str(self._pid), timeout)
        os.close(self._fd)
        return 0

    def _is_over(self, timeout: float) -> bool:
        return bool(select.select([self._fd], [], [], timeout)[0])


class Nursery:
    """Forks processes, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def spawn(self, arguments: list[str], log: Path) -> Forked:
        """Run `lmwatch` with these arguments; its output is added to a file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([arguments, str(log)]).encode() + b"\n")
        self._process.stdin.flush()
        return Forked(int(self._process.stdout.readline()))


def _main() -> int:
    for name in LOADED:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    for line in iter(sys.stdin.buffer.readline, b""):
        arguments, log = json.loads(line)
        pid = os.fork()
        if pid == 0:
            return _live(arguments, log)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    return 0


def _live(arguments: list[str], log: str) -> int:
    from exporter.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for there, here in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(there, here)
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_main())
