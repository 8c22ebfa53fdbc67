"""lmwatch as users run it: a process with a configuration file."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nursery import Nursery, Process
from real_programs import ROOT, eventually, fetch, free_port, running

LMWATCH = str(Path(sys.executable).with_name("lmwatch"))


class Lmwatch:
    """A running `lmwatch run`."""

    def __init__(self, url: str, process: "subprocess.Popen[bytes]", config: Path, log: Path) -> None:
        self.url = url
        self.process = process
        self.config = config
        self._log = log

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def metrics(self) -> str:
        """The exposition."""
        status, text = fetch(f"{self.url}/metrics")
        assert status == 200, text
        return text

    def status(self) -> dict[str, Any]:
        """What the API says of the present."""
        answer: dict[str, Any] = json.loads(fetch(f"{self.url}/api/v1/status")[1])["data"]
        return answer


@contextlib.contextmanager
def lmwatch(config: str, folder: Path, *flags: str) -> Iterator[Lmwatch]:
    """Start it with this configuration and wait until it answers."""
    file, log = folder / "lmwatch.yml", folder / "lmwatch.log"
    file.write_text(config)
    address = f"127.0.0.1:{free_port()}"
    arguments = [LMWATCH, "run", f"--config.file={file}", f"--web.listen-address={address}", *flags]
    with running(arguments, log, cwd=ROOT) as process:
        started = Lmwatch(f"http://{address}", process, file, log)

        def answers() -> bool:
            assert process.poll() is None, started.log
            with contextlib.suppress(OSError):
                return fetch(f"{started.url}/-/healthy")[0] == 200
            return False

        eventually(answers, what="lmwatch answers")
        yield started


class Restartable:
    """An lmwatch with an address of its own that can be killed and started again, with a journal that stays.

    Args:
        config: the configuration file's text.
        folder: where it, the journal and the log are.
        nursery: has it loaded already; None to start it as users do.
    """

    def __init__(self, config: str, folder: Path, nursery: Nursery | None = None) -> None:
        self.folder = folder
        self._nursery = nursery
        self.file = folder / "lmwatch.yml"
        self.file.write_text(config)
        self._address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self._address}"
        self._process: Process | None = None

    @property
    def log(self) -> str:
        """What it has logged, in all its lives."""
        return (self.folder / "lmwatch.log").read_text()

    def spawn(self) -> Process:
        """Start the process and do not wait for it."""
        assert self._process is None
        arguments = ["run", f"--config.file={self.file}", f"--web.listen-address={self._address}"]
        log = self.folder / "lmwatch.log"
        if self._nursery is not None:
            self._process = self._nursery.spawn(arguments, log)
        else:
            with log.open("ab") as output:
                self._process = subprocess.Popen([LMWATCH, *arguments], stdout=output, stderr=output, cwd=ROOT)
        return self._process

    def start(self) -> "Restartable":
        """Start it and wait until it answers."""
        process = self.spawn()
        eventually(lambda: process.poll() is not None or self.answers(), what="lmwatch answers")
        assert process.poll() is None, self.log
        return self

    def answers(self) -> bool:
        """Whether its HTTP server answers."""
        with contextlib.suppress(OSError):
            return fetch(f"{self.url}/-/healthy")[0] == 200
        return False

    def kill(self) -> None:
        """End it as a power failure would."""
        self._end(lambda process: process.kill())

    def stop(self) -> None:
        """End it in order; does nothing where it does not run."""
        if self._process is not None:
            self._end(lambda process: process.terminate())

    def reload(self, config: str) -> None:
        """Give it another configuration."""
        self.file.write_text(config)
        status, text = fetch(f"{self.url}/-/reload", data=b"")
        assert status == 200, text

    def metrics(self) -> str:
        """The exposition."""
        return fetch(f"{self.url}/metrics")[1]

    def _end(self, how: Callable[[Process], None]) -> None:
        process, self._process = self._process, None
        assert process is not None
        how(process)
        process.wait(60)
