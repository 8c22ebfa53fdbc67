"""A fake `lms` that behaves as the real one is documented to, also in that almost every command starts LM Studio.

`FakeLms` writes an executable into a folder; it runs this file's `main`. What the executable finds and leaves in the folder:

    running     there while LM Studio "runs"
    started     written when a command had to start LM Studio: the trap
    plan.json   for each run of `log stream`, the steps that it takes; the last entry stands for all further runs
    feed        what the step `follow` passes on as it grows
    calls       one line for each command: its arguments, process id, and the pinned instance
    modern      there if it starts nothing when an instance is pinned, as since 2026-07

Only the standard library: the executable runs without the packages of the tests.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STREAM = ["log", "stream", "--source", "model", "--filter", "output", "--json"]
GREETING = "Streaming logs from LM Studio\n\n"


class FakeLms:
    """The fake as a test sees it."""

    def __init__(self, root):
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.path = root / "lms"
        self.path.write_text(
            f"#!{sys.executable} -IS\n"
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            f"import fake_lms; sys.exit(fake_lms.main({str(root)!r}, sys.argv[1:]))\n",
            encoding="utf-8",
        )
        self.path.chmod(0o755)
        self.plan(["follow"])

    def plan(self, *runs):
        """What each run of `log stream` does: a list of steps, each a name or [name, argument…]."""
        _replace(self.root / "plan.json", json.dumps(runs))

    def up(self):
        (self.root / "running").touch()

    def down(self):
        (self.root / "running").unlink(missing_ok=True)

    def is_up(self):
        return (self.root / "running").exists()

    def modern(self):
        (self.root / "modern").touch()

    def feed(self, data):
        with (self.root / "feed").open("ab") as file:
            file.write(data)

    @property
    def was_started(self):
        return (self.root / "started").exists()

    @property
    def calls(self):
        file = self.root / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def grandchild(self):
        return int((self.root / "grandchild").read_text())


def until(condition, seconds=20.0):
    """Wait for a condition; fails when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def is_alive(pid):
    """Whether a process runs; one that has ended and was not fetched by its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def event(model="qwen", *, text="An answer.", at=1_789_795_491_321, **stats):
    """One line of the stream."""
    figures = {"stopReason": "eosFound", "tokensPerSecond": 50.0, "numGpuLayers": -1, "timeToFirstTokenSec": 0.5}
    figures |= {"totalTimeSec": 2.5, "promptTokensCount": 20, "predictedTokensCount": 101, "totalTokensCount": 121}
    data = {"type": "llm.prediction.output", "output": text, "stats": figures | stats, "modelIdentifier": model}
    return json.dumps({"timestamp": at, "data": data}, ensure_ascii=False).encode() + b"\n"


def _replace(path, text):
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def main(folder, arguments):
    """The executable: one `lms` command. Returns its exit status."""
    root = Path(folder)
    pinned = os.environ.get("LMS_API_SERVER_INFO_PATH")
    with (root / "calls").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps({"arguments": arguments, "pid": os.getpid(), "pinned": pinned}) + "\n")
    runs = (root / "running").exists()
    if arguments == ["server", "status", "--json"]:
        _say({"running": runs, "port": 1234} if runs else {"running": False})
        return 0
    if arguments == ["daemon", "status", "--json"]:
        _say({"status": "running", "pid": 1, "isDaemon": True} if runs else {"status": "not-running"})
        return 0
    if not runs:
        if pinned is not None and (root / "modern").exists():
            _err(root, f"Failed to connect using {pinned}.\n")
            return 1
        (root / "started").touch()
        (root / "running").touch()
    if arguments != STREAM:
        _err(root, f"unexpected command: {arguments}\n")
        return 2
    plan = json.loads((root / "plan.json").read_text(encoding="utf-8"))
    starts = sum(json.loads(line)["arguments"] == STREAM for line in (root / "calls").read_text().splitlines())
    _err(root, GREETING)
    return _stream(root, plan[min(starts, len(plan)) - 1])


def _say(document):
    sys.stdout.write(json.dumps(document) + "\n")


def _stream(root, steps):
    for step in steps:
        name, *given = [step] if isinstance(step, str) else step
        status = _STEPS[name](root, *given)
        if status is not None:
            return status
    signal.pause()
    return 0


def _write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _out(_, text, times=1):
    data = text.encode()
    for _ in range(times):
        _write(data)


def _long(_, mebibytes):
    """One event with an answer of so many MiB, in uneven pieces."""
    head, _, tail = event("long").decode().partition("An answer.")
    _write(head.encode())
    piece = ('a line with \\"quotes\\", \\\\ and \\n' * 40_000).encode()[: 1 << 20]
    piece = piece[: piece.rindex(b"\\n") + 2]
    for _ in range(mebibytes + 1):
        _write(piece)
    _write(tail.encode())


def _err(_, text):
    sys.stderr.write(text)
    sys.stderr.flush()


def _exit(_, status):
    return status


def _follow(root):
    file = root / "feed"
    file.touch()
    with file.open("rb") as feed:
        while True:
            data = feed.read(1 << 20)
            if data:
                _write(data)
            else:
                time.sleep(0.002)


def _stubborn(_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _farewell(_, text):
    def leave(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(0.1)
        _write(text.encode())
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)


def _close(_):
    os.close(1)


def _grandchild(root):
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-ISc", code], stdout=subprocess.PIPE)
    child.stdout.read(1)
    _replace(root / "grandchild", str(child.pid))


_STEPS = {
    "out": _out,
    "long": _long,
    "err": _err,
    "exit": _exit,
    "follow": _follow,
    "stubborn": _stubborn,
    "farewell": _farewell,
    "close": _close,
    "grandchild": _grandchild,
}
