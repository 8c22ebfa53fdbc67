"""llama.cpp's own server with the demo model, in a process of its own that can be killed."""

import contextlib
import subprocess
import sys
from pathlib import Path

from real_programs import ROOT, eventually, fetch, free_port

_PROGRAM = """
import sys, threading
import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.verbosity = -1
parameters.model.path = sys.argv[1]
parameters.port = int(sys.argv[2])
parameters.n_ctx = 2048
parameters.n_parallel = 2
parameters.warmup = False
parameters.endpoint_props = True
parameters.cache_ram_mib = 64
parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(parameters)
threading.Event().wait()
"""


class LlamaServer:
    """The server on a port that it keeps; started and killed at will."""

    def __init__(self, model: Path, log: Path) -> None:
        self._arguments = [sys.executable, "-c", _PROGRAM, str(model)]
        self._log = log
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until the model is loaded."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*self._arguments, str(self._port)], stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
            )
        eventually(self._ready, seconds=90, what="llama.cpp ready")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError):
            return fetch(f"{self.url}/health")[0] == 200
        return False
