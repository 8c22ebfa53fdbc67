"""lmwatch as users run it: a process with a configuration file."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
