import itertools
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time

import lmstudio_fake
import pytest
from fake_lms import STREAM, FakeLms, event, is_alive, until
from lmstudio_fake import json_reply

from exporter.clock import ManualClock, SystemClock
from exporter.config.model import Server
from exporter.lmstudio.lms import INFO_VARIABLE
from exporter.lmstudio.logopen import open_log_stream
from exporter.lmstudio.logpace import Backoff, Pace
from exporter.lmstudio.logstream import LogStream
from exporter.lmstudio.own_calls import MOST_CALLS, OwnCalls

QUICK = Pace(
    look=0.01,
    check=0.02,
    first_pause=0.01,
    longest_pause=0.05,
    steady=30.0,
    up_after=0.1,
    tick=0.01,
    settle=0.0,
    grace=2.0,
)


class Heard:
    """What a stream told, and the arguments with which it tells it."""

    def __init__(self):
        self.predictions = []
        self.failures = []
        self.states = []

    @property
    def callbacks(self):
        return {
            "on_prediction": self.predictions.append,
            "on_failure": lambda model, failure: self.failures.append((model, failure)),
            "on_state": self.states.append,
        }

    @property
    def models(self):
        return [prediction.model for prediction in self.predictions]

    @property
    def is_up(self):
        return self.states[-1:] == [True]


@pytest.fixture
def lms(tmp_path):
    return FakeLms(tmp_path / "bin")


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def stream(lms, heard):
    """Makes and starts a stream over the fake; ends it after the test, and sees that no process is left behind."""
    made = []

    def make(*, path=lms.path, check=lms.is_up, clock=None, own=None, pace=QUICK, log_stream="auto", **more):
        config = Server(name="desk", url="http://127.0.0.1:1234", log_stream=log_stream)
        arguments = {**heard.callbacks, "own": own, "pace": pace, **more}
        made.append(LogStream(config, path, check, clock if clock is not None else SystemClock(), **arguments))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop(10)
    assert [call["pid"] for call in lms.calls if is_alive(call["pid"])] == []


def starts(lms):
    return sum(call["arguments"] == STREAM for call in lms.calls)


def test_all_predictions_are_told(lms, heard, stream):
    lms.up()
    stream()
    lms.feed(event("a") + event("b:2", stopReason="failed") + event("a", stopReason="userStopped"))
    until(lambda: len(heard.predictions) + len(heard.failures) == 3)
    assert [(p.server, p.model, p.output_tokens, p.duration_seconds) for p in heard.predictions] == [
        ("desk", "a", 101, 2.5)
    ]
    assert [(model, failure.reason) for model, failure in heard.failures] == [
        ("b:2", "server_error"),
        ("a", "cancelled"),
    ]
    until(lambda: heard.states == [False, True])


def test_a_child_that_listens_in_silence_counts_as_up(lms, heard, stream):
    lms.up()
    stream()
    until(lambda: heard.is_up)
    assert heard.predictions == []


def test_lm_studio_is_never_started(lms, heard, stream):
    """While it is down no command is run at all; when it goes, the stream goes too; when it is back, so is the stream."""
    looks = itertools.count()
    stream(check=lambda: next(looks) >= 0 and lms.is_up())
    until(lambda: next(looks) > 20)
    assert (lms.calls, heard.states) == ([], [False])
    lms.up()
    until(lambda: heard.is_up)
    lms.down()
    until(lambda: not heard.is_up)
    seen = next(looks)
    until(lambda: next(looks) > seen + 20)
    assert (starts(lms), lms.was_started) == (1, False)
    lms.up()
    until(lambda: heard.is_up)
    lms.feed(event())
    until(lambda: heard.predictions)
    assert (starts(lms), lms.was_started) == (2, False)


def test_the_fake_does_start_lm_studio(lms):
    """The trap is real: what the other tests show to stay away would come."""
    assert subprocess.run([lms.path, "ps", "--json"], capture_output=True, check=False).returncode == 2
    assert lms.was_started


def test_an_lm_studio_that_ends_between_the_look_and_the_start_stays_down(lms, stream):
    """Newer versions of `lms` start nothing when they are pinned to the instance that was seen."""
    lms.modern()
    stream(check=lambda: True, environ=lambda: {INFO_VARIABLE: "http-server.json"})
    until(lambda: starts(lms) >= 2)
    assert {call["pinned"] for call in lms.calls} == {"http-server.json"}
    assert not lms.was_started


def test_a_look_that_fails_is_no_yes(lms, heard, stream, caplog):
    def check():
        raise RuntimeError("no answer")

    stream(check=check)
    until(lambda: "no answer" in caplog.text)
    assert (lms.calls, heard.states) == ([], [False])


def test_a_stream_that_dies_is_started_again(lms, heard, stream):
    lms.up()
    lms.plan([["out", event("first").decode()], ["exit", 1]], ["follow"])
    stream()
    lms.feed(event("second"))
    until(lambda: len(heard.predictions) == 2)
    assert heard.models == ["first", "second"]
    until(lambda: heard.is_up)


def test_a_last_line_without_its_line_break_counts(lms, heard, stream):
    lms.up()
    lms.plan(
        [["out", event("whole").decode().rstrip()], ["exit", 0]], [["out", event().decode()[:100]], ["exit", 0]], []
    )
    stream()
    until(lambda: starts(lms) == 3)
    assert heard.models == ["whole"]


def test_a_child_that_closes_its_output_is_ended(lms, stream):
    lms.up()
    lms.plan(["close"], ["follow"])
    stream()
    until(lambda: starts(lms) == 2)
    assert not is_alive(lms.calls[0]["pid"])


def test_answers_of_many_megabytes(lms, heard, stream):
    lms.up()
    lms.plan([["long", 5], ["out", event("next").decode()]])
    stream()
    until(lambda: len(heard.predictions) == 2)
    assert heard.models == ["long", "next"]


def test_a_flood_is_counted_whole_and_in_order(lms, heard, stream):
    """More events than may wait, while each is to wait for an hour."""
    lms.up()
    times = 3 * MOST_CALLS
    lms.plan([["out", event("a").decode() + event("b").decode(), times // 2]])
    running = stream(own=OwnCalls(), pace=Pace(up_after=0.1, tick=0.01, settle=3600.0))
    until(lambda: len(heard.predictions) == times - MOST_CALLS)
    running.stop(10)
    assert heard.models == ["a", "b"] * (times // 2)


def test_while_a_listener_is_slow_the_child_has_to_wait(lms, heard, stream):
    """So memory stays bounded, and nothing is lost."""
    listening, release = threading.Event(), threading.Event()

    def listen(prediction):
        listening.set()
        release.wait(20)
        heard.predictions.append(prediction)

    lms.up()
    times = 4 * MOST_CALLS
    lms.plan([["out", event().decode(), times], ["out", event("end").decode()]])
    running = stream(on_prediction=listen)
    assert listening.wait(20)
    until(lambda: len(running._settling) > MOST_CALLS)
    running._thread.join(0.2)
    assert len(running._settling) < 2 * MOST_CALLS
    release.set()
    until(lambda: heard.models[-1:] == ["end"])
    assert len(heard.models) == times + 1


def test_a_listener_that_breaks_ends_nothing(lms, heard, stream, caplog):
    def stumble(prediction):
        heard.predictions.append(prediction)
        raise RuntimeError("stumbled")

    lms.up()
    stream(on_prediction=stumble)
    lms.feed(event("a") + event("b"))
    until(lambda: len(heard.predictions) == 2)
    assert "stumbled" in caplog.text


def test_our_own_predictions_are_not_counted_twice(lms, heard, stream):
    """Whether the answer is noted before its event comes or after."""
    own = OwnCalls()
    clock = SystemClock()
    lms.up()
    stream(own=own, clock=clock, pace=Pace(tick=0.01, up_after=0.1, settle=0.3))
    until(lambda: heard.is_up)
    at = round(clock.now() * 1000)
    own.note("qwen", 20, 101, clock.now())
    lms.feed(event("qwen", at=at) + event("qwen", at=at, predictedTokensCount=60) + event("stranger", at=at))
    own.note("qwen", 20, 60, clock.now())
    until(lambda: heard.predictions)
    assert heard.models == ["stranger"]


def test_a_stream_that_is_deaf_to_our_own_prediction_is_renewed(lms, heard, stream):
    """It then counts as up when something is heard again, not before."""
    clock = ManualClock(now=1_789_795_491.0)
    own = OwnCalls()
    lms.up()
    lms.plan([], ["follow"])
    stream(clock=clock, own=own, pace=Pace(look=1.0, tick=0.005))
    until(lambda: starts(lms) == 1)
    advance_until(clock, lambda: heard.is_up)
    clock.advance(20)
    own.note("qwen", 20, 101, clock.now())
    advance_until(clock, lambda: starts(lms) == 2)
    assert heard.states == [False, True, False]
    advance_until(clock, lambda: False, seconds=60)
    assert heard.states == [False, True, False]
    lms.feed(event())
    advance_until(clock, lambda: heard.is_up)
    assert heard.is_up


def advance_until(clock, condition, seconds=600.0):
    """Let a manual clock run, at a hundred times the usual speed, until the condition comes true or so much has passed."""
    end = clock.monotonic() + seconds
    while not condition() and clock.monotonic() < end:
        clock.advance(0.5)
        time.sleep(0.005)


def test_a_prediction_of_our_own_that_was_heard_is_no_reason_to_renew(lms, heard, stream):
    clock = ManualClock(now=1_789_795_491.0)
    own = OwnCalls()
    lms.up()
    stream(clock=clock, own=own, pace=Pace(tick=0.005, check=1e6))
    until(lambda: starts(lms) == 1)
    clock.advance(20)
    own.note("qwen", 20, 55, clock.now())
    lms.feed(event("other", at=round(clock.now() * 1000)))
    advance_until(clock, lambda: heard.predictions)
    advance_until(clock, lambda: False, seconds=60)
    assert (heard.models, starts(lms)) == (["other"], 1)


def test_starts_that_lead_to_nothing_become_rarer(lms, stream):
    clock = ManualClock()
    looks = []
    lms.up()
    lms.plan([["exit", 1]])
    ended = threading.Semaphore(0)
    handler = Records(ended.release)
    with handler:
        stream(clock=clock, check=lambda: looks.append(clock.monotonic()) or True, pace=Pace(tick=0.002))
        for number, pause in enumerate((1, 2, 4, 8, 16, 32, 60, 60), start=1):
            assert ended.acquire(timeout=20)
            at = clock.monotonic()
            while len(looks) == number:
                clock.advance(0.5)
                time.sleep(0.001)
            assert looks[number] - at >= pause


class Records(logging.Handler):
    """Calls a function for each record of the stream."""

    def __init__(self, function):
        super().__init__(logging.DEBUG)
        self.function = function
        self.logger = logging.getLogger("exporter.lmstudio.logstream")

    def emit(self, record):
        self.function()

    def __enter__(self):
        self.logger.addHandler(self)
        self.logger.setLevel(logging.DEBUG)

    def __exit__(self, *_):
        self.logger.removeHandler(self)
        self.logger.setLevel(logging.NOTSET)


def test_pauses():
    backoff = Backoff(Pace(first_pause=1, longest_pause=60, steady=30))
    assert [backoff.pause(29.0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [backoff.pause(lived) for lived in (30.0, 0.0, 3600.0)] == [1, 2, 1]


def test_a_command_that_cannot_be_run_ends_nothing(lms, heard, stream, caplog):
    caplog.set_level(logging.INFO)
    lms.up()
    nowhere = lms.root / "nowhere"
    ended = threading.Semaphore(0)
    with Records(ended.release):
        stream(path=nowhere / "lms")
        assert ended.acquire(timeout=20)
        nowhere.symlink_to(lms.root)
        until(lambda: starts(lms))
    assert any("nowhere" in str(record.fields) for record in caplog.records)


def test_renew_starts_lms_anew_at_once(lms, heard, stream):
    lms.up()
    running = stream(pace=Pace(look=3600, first_pause=3600, tick=0.01, up_after=0.05))
    until(lambda: heard.is_up and starts(lms) == 1)
    running.renew()
    until(lambda: starts(lms) == 2)
    until(lambda: heard.states == [False, True, False, True])


@pytest.mark.parametrize(
    "steps", [["follow"], ["stubborn", "follow"], ["grandchild", "follow"], ["stubborn", "grandchild"]]
)
def test_stop_leaves_no_process_behind(lms, heard, stream, steps):
    """Not even those that ignore being asked, or were started by the child."""
    lms.up()
    lms.plan(steps)
    running = stream(pace=Pace(tick=0.01, up_after=0.05, grace=0.1))
    until(lambda: heard.is_up and starts(lms) == 1)
    if "grandchild" in steps:
        until(lambda: (lms.root / "grandchild").exists())
    running.stop(10)
    assert heard.states == [False, True, False]
    assert not is_alive(lms.calls[0]["pid"])
    if "grandchild" in steps:
        until(lambda: not is_alive(lms.grandchild))


def test_stop_while_a_look_hangs_ends_the_child_all_the_same(lms, heard, stream):
    lms.up()
    lms.plan(["stubborn", ["out", event().decode()]])
    looking, release = threading.Event(), threading.Event()

    def check():
        if not heard.predictions:
            return True
        looking.set()
        return release.wait(20)

    running = stream(check=check)
    assert looking.wait(20)
    running.stop(0.05)
    assert not is_alive(lms.calls[0]["pid"])
    release.set()


def test_a_child_may_finish_what_it_was_saying(lms, heard, stream):
    lms.up()
    lms.plan([["farewell", event("last").decode()], ["out", event("first").decode()]])
    running = stream()
    until(lambda: heard.models == ["first"])
    running.stop(10)
    assert heard.models == ["first", "last"]


def test_stop_before_start_and_stop_twice(lms, heard, stream):
    server = Server(name="desk", url="http://127.0.0.1:1234")
    LogStream(server, lms.path, lms.is_up, SystemClock(), own=None, **heard.callbacks).stop(1)
    lms.up()
    running = stream()
    until(lambda: heard.is_up)
    running.stop(10)
    running.stop(10)


def test_events_that_still_waited_are_counted_at_stop(lms, heard, stream):
    lms.up()
    running = stream(own=OwnCalls(), pace=Pace(tick=0.01, settle=3600.0))
    lms.feed(event("a"))
    until(lambda: heard.is_up)
    assert heard.predictions == []
    running.stop(10)
    assert heard.models == ["a"]


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="the command setpriv is not here")
def test_the_child_ends_when_lmwatch_is_killed(lms):
    program = """
import pathlib, sys, time
from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.lmstudio.logstream import LogStream
nothing = lambda *_: None
LogStream(Server(name="desk", url="http://127.0.0.1:1234"), pathlib.Path(sys.argv[1]), lambda: True, SystemClock(),
          on_prediction=nothing, on_failure=nothing, on_state=nothing, own=None).start()
time.sleep(600)
"""
    lms.up()
    with subprocess.Popen([sys.executable, "-c", program, str(lms.path)]) as parent:
        try:
            until(lambda: starts(lms) == 1 and (lms.root / "feed").exists())
        finally:
            parent.kill()
    until(lambda: not is_alive(lms.calls[0]["pid"]))


def test_text_is_neither_told_nor_logged(lms, heard, stream, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "CANARY-31415"
    lms.up()
    whole = event("a", text=secret).decode()
    bad = [["out", whole], ["out", event("b", text=secret, stopReason="failed").decode()]]
    bad += [
        ["out", f"{secret}\n"],
        ["out", whole[:90] + "\n"],
        ["err", f"{secret}\n"],
        ["out", whole[:90]],
        ["exit", 1],
    ]
    lms.plan(bad, [])
    running = stream()
    until(lambda: starts(lms) == 2)
    running.stop(10)
    assert heard.models == ["a"]
    told = f"{heard.predictions!r} {heard.failures!r} {[str(failure) for _, failure in heard.failures]}"
    logged = [(record.getMessage(), getattr(record, "fields", None)) for record in caplog.records]
    assert any(fields["stderr_bytes"] > len(secret) for _, fields in logged if fields)
    assert secret not in f"{told} {logged} {caplog.text} {vars(running)!r}"


@pytest.mark.parametrize(("log_stream", "level"), [("auto", logging.INFO), ("on", logging.WARNING)])
def test_that_it_breaks_off_is_said_once_aloud(lms, stream, caplog, log_stream, level):
    caplog.set_level(logging.DEBUG)
    lms.up()
    lms.plan([["exit", 3]])
    stream(log_stream=log_stream)
    until(lambda: len(caplog.records) >= 3)
    assert [record.levelno for record in caplog.records[:3]] == [level, logging.DEBUG, logging.DEBUG]
    said = caplog.records[0].fields
    assert (said["server"], said["status"], said["predictions"]) == ("desk", 3, 0)


class Home:
    """The home of a user who has LM Studio, with its two HTTP servers and the fake `lms`."""

    def __init__(self, path, server, local_api):
        self.path = path
        self.url = server.url
        self.lms = FakeLms(path / ".lmstudio" / "bin")
        self._local_api = local_api
        server.always("GET", "/lmstudio-greeting", json_reply({"lmstudio": True}))
        internal = path / ".lmstudio" / ".internal"
        internal.mkdir()
        (internal / "http-server.json").write_text(json.dumps({"port": local_api.server_port}))
        (internal / "http-server-config.json").write_text(json.dumps({"port": server.server_port}))
        self.down()

    def up(self):
        self.lms.up()
        self._local_api.always("GET", "/lms-status", json_reply({"package": "llmster", "version": "0.0.22-1"}))

    def down(self):
        """Another program has taken the port that LM Studio left."""
        for path in ("/lms-status", "/lmstudio-greeting"):
            self._local_api.always("GET", path, json_reply({"error": "Not Found"}, status=404))
        self.lms.down()

    def open(self, heard, **settings):
        return open_log_stream(
            Server(**({"name": "desk", "url": self.url} | settings)),
            SystemClock(),
            environ={"HOME": str(self.path), "PATH": os.defpath},
            home=self.path,
            own=None,
            **heard.callbacks,
        )


@pytest.fixture
def local_api():
    yield from lmstudio_fake.serving()


@pytest.fixture
def home(tmp_path, fake, local_api):
    return Home(tmp_path / "home", fake, local_api)


def test_from_the_configuration_to_the_stream(home, heard):
    home.up()
    opened = home.open(heard)
    opened.start()
    try:
        home.lms.feed(event("a"))
        until(lambda: heard.models == ["a"])
    finally:
        opened.stop(10)
    (call,) = home.lms.calls
    assert call["pinned"] == str(home.path / ".lmstudio" / ".internal" / "http-server.json")
    assert not is_alive(call["pid"])


def test_no_command_is_run_while_lm_studio_is_down(home, heard, local_api):
    opened = home.open(heard)
    opened.start()
    try:
        until(lambda: local_api.requests)
    finally:
        opened.stop(10)
    assert (home.lms.calls, home.lms.was_started, heard.states) == ([], False, [False])


@pytest.mark.parametrize("log_stream", ["auto", "on", "off"])
@pytest.mark.parametrize("lacking", ["lms", "this host"])
def test_where_there_can_be_no_stream(home, heard, caplog, log_stream, lacking):
    """`auto` keeps silent; `on` warns, and counts as down; `off` is off."""
    if lacking == "lms":
        home.lms.path.unlink()
    url = home.url if lacking == "lms" else "http://192.0.2.1:1234"
    assert home.open(heard, url=url, log_stream=log_stream) is None
    assert heard.states == ([False] if log_stream == "on" else [])
    assert [record.levelname for record in caplog.records] == (["WARNING"] if log_stream == "on" else [])


def test_off_is_off(home, heard):
    home.up()
    assert home.open(heard, log_stream="off") is None
    assert home.open(heard, log_stream="auto") is not None
