"""`lms log stream` as a child process: started in a group of its own, read while it runs, and never left behind.

At `end` the whole group is asked to terminate and then killed. When lmwatch itself is killed, the kernel ends the child at
once where Linux has the command `setpriv`; elsewhere the child ends when it next writes, as nobody reads its pipe.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

ARGUMENTS = ("log", "stream", "--source", "model", "--filter", "output", "--json")
_READ = 1 << 20
_REAP_SECONDS = 5.0
"""A killed process is gone at once, unless the kernel holds it in the middle of I/O."""


class LogChild:
    """One run of `lms log stream`.

    Args:
        lms: the command.
        environ: its environment.
        on_output: is given what it writes to stdout, piece by piece, in a thread of the child's own.
        on_end: is called in that thread when nothing more can come.

    Raises:
        OSError: it could not be started.
    """

    def __init__(
        self,
        lms: Path,
        environ: Mapping[str, str],
        on_output: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self.stderr_bytes = 0
        """What came on stderr, where greetings and complaints go. It is read and forgotten."""
        self._on_output = on_output
        self._on_end = on_end
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - the user's own `lms`, with fixed arguments
            [*_ends_with_parent(), str(lms), *ARGUMENTS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environ),
            start_new_session=True,
            creationflags=_creation_flags(),
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = (
            self._thread(self._read_output, self._process.stdout),
            self._thread(self._read_errors, self._process.stderr),
        )

    def terminate(self) -> None:
        """Ask the child to end. Safe to call at any time, from any thread."""
        self._signal("SIGTERM")

    def end(self, grace_seconds: float) -> int | None:
        """Make sure that the child and what it started have ended.

        Args:
            grace_seconds: how long it may take to end by itself after being asked.

        Returns:
            The exit status, negative for a signal; None if the system still holds the process.
        """
        self.terminate()
        self._readers[0].join(grace_seconds)
        self._signal("SIGKILL")
        with self._lock, contextlib.suppress(subprocess.TimeoutExpired):
            # Only now may its process id be given to another process; no signal is sent after this.
            self._process.wait(_REAP_SECONDS)
        for reader in self._readers:
            reader.join(grace_seconds)
        return self._process.returncode

    def _signal(self, name: str) -> None:
        with self._lock:
            if self._process.returncode is not None:
                return
            # A group whose last process has just ended: Linux says no such process, macOS not permitted.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if sys.platform == "win32":
                    self._process.kill()
                else:
                    os.killpg(self.pid, signal.Signals[name])

    def _thread(self, target: Callable[[IO[bytes]], None], pipe: IO[bytes]) -> threading.Thread:
        thread = threading.Thread(target=target, args=(pipe,), name=f"lmwatch-lms-{self.pid}", daemon=True)
        thread.start()
        return thread

    def _read_output(self, pipe: IO[bytes]) -> None:
        try:
            with pipe:
                while piece := pipe.read(_READ):
                    self._on_output(piece)
        finally:
            self._on_end()

    def _read_errors(self, pipe: IO[bytes]) -> None:
        with pipe:
            while piece := pipe.read(_READ):
                self.stderr_bytes += len(piece)


def _ends_with_parent() -> list[str]:
    """The command before the command that has the kernel end the child when the thread that started it ends."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return []
    prefix = [setpriv, "--pdeathsig", "TERM", "--"]
    # Small systems have a setpriv of this name that cannot do it.
    tried = subprocess.run([*prefix, setpriv, "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - no input from outside
    return prefix if tried.returncode == 0 else []


def _creation_flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return 0
