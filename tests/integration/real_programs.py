"""Real programs for the integration tests: found on PATH or beside the virtual environment, started, polled, ended."""

import contextlib
import json
import random
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
_CHANCE = random.SystemRandom()
"""Not the generator that is seeded alike in all processes of a test run."""


def program(name: str) -> str:
    """The path of a program; the message says what provides it."""
    found = shutil.which(name) or shutil.which(name, path=str(ROOT / ".venv/debian/usr/bin"))
    assert found, f"{name} is not here; tools/setup-debian (part of `make test`) unpacks it"
    return found


def unpacked(name: str, folder: Path) -> tuple[str, Path]:
    """Path and working directory of one of Alertmanager's programs that finds its templates.

    Debian's build reads them from `/usr/share/prometheus`, where only an installed package puts them. For one that was
    merely unpacked, a copy in `folder` gets a path of the same length, relative to the working directory.
    """
    path = Path(program(name))
    root = path.parents[2]
    if root == Path("/"):
        return str(path), folder
    there, here = b"/usr/share/prometheus/alertmanager", b"usr//share/prometheus/alertmanager"
    copy = folder / name
    if not copy.exists():
        copy.write_bytes(path.read_bytes().replace(there, here))
        copy.chmod(0o755)
    return str(copy), root


def eventually(probe: Callable[[], T], *, seconds: float = 60.0, what: str) -> T:
    """The first true value that `probe` gives; fails with its last value when none comes in time.

    The time is for the busiest of machines: it passes only where a test fails.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s, last {value!r}"
        time.sleep(0.1)


def free_port() -> int:
    """A port on which nothing listens now.

    It lies below those that Linux gives to whoever wants any, so that no other test's connection takes it meanwhile.
    """
    while True:
        port = _CHANCE.randrange(10_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def fetch(url: str, *, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of an answer; an HTTP error is an answer too."""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@contextlib.contextmanager
def running(arguments: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended afterwards by its own id; its output goes to a file for the case of failure."""
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class Prometheus:
    """A real Prometheus on a free port of loopback."""

    def __init__(self, config: str, folder: Path) -> None:
        folder.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        (folder / "prometheus.yml").write_text(config)
        self._stack = contextlib.ExitStack()

    def start(self) -> "Prometheus":
        """Start it and wait until it is ready."""
        arguments = [
            program("prometheus"),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        process = self._stack.enter_context(running(arguments, self._folder / "log"))
        eventually(lambda: process.poll() is not None or self._ready(), what="Prometheus ready")
        assert process.poll() is None, (self._folder / "log").read_text()
        return self

    def stop(self) -> None:
        """End it."""
        self._stack.close()

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query, now or at a time (Unix seconds)."""
        asked = {"query": expression} if at is None else {"query": expression, "time": at}
        status, text = fetch(f"{self.url}/api/v1/query?{urllib.parse.urlencode(asked)}")
        assert status == 200, text
        result: list[dict[str, Any]] = json.loads(text)["data"]["result"]
        return result

    def targets(self) -> list[dict[str, Any]]:
        """The active targets with their health and last error."""
        active: list[dict[str, Any]] = json.loads(fetch(f"{self.url}/api/v1/targets")[1])["data"]["activeTargets"]
        return active

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return fetch(f"{self.url}/-/ready")[0] == 200
        return False


class Alertmanager:
    """A real Alertmanager, alone and without a cluster, on a free port of loopback."""

    def __init__(self, config: str, folder: Path) -> None:
        folder.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        (folder / "alertmanager.yml").write_text(config)
        self._process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def start(self) -> "Alertmanager":
        """Start it and wait until it is ready; after `stop` it comes back on the same port, without the alerts it had."""
        path, root = unpacked("prometheus-alertmanager", self._folder)
        arguments = [
            path,
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--cluster.listen-address=",
        ]
        process = self._process = self._stack.enter_context(running(arguments, self._folder / "log", cwd=root))
        eventually(lambda: process.poll() is not None or self._ready(), what="Alertmanager ready")
        assert process.poll() is None, (self._folder / "log").read_text()
        return self

    def stop(self) -> None:
        """End it."""
        self._stack.close()

    def kill(self) -> None:
        """End it as a power failure would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._stack.close()

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """The alerts that it holds as active, as its API gives them: all, or those that every matcher takes."""
        return self._list("alerts", matchers)

    def groups(self, *matchers: str) -> list[dict[str, Any]]:
        """The alerts as its routing groups them, each group with its receiver."""
        return self._list("alerts/groups", matchers)

    def post(self, kind: str, document: object) -> tuple[int, str]:
        """Status and text of what it answers to a document, such as a silence for `silences`."""
        body = json.dumps(document).encode()
        return fetch(f"{self.url}/api/v2/{kind}", data=body, headers={"Content-Type": "application/json"})

    def _list(self, kind: str, matchers: tuple[str, ...]) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode([("filter", matcher) for matcher in matchers])
        status, text = fetch(f"{self.url}/api/v2/{kind}?{query}")
        assert status == 200, text
        listed: list[dict[str, Any]] = json.loads(text)
        return listed

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return fetch(f"{self.url}/-/ready")[0] == 200
        return False


class NodeExporter:
    """A real node_exporter on a free port of loopback; as a string, its address."""

    def __init__(self, log: Path) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        self._log = log
        self._stack = contextlib.ExitStack()

    def __str__(self) -> str:
        return self._address

    def __format__(self, _spec: str) -> str:
        return self._address

    def __enter__(self) -> Self:
        arguments = [program("prometheus-node-exporter"), f"--web.listen-address={self._address}"]
        self._stack.enter_context(running(arguments, self._log))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it."""
        self._stack.close()
