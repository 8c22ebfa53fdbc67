"""A pool of servers over fake clients and pollers: what jobs do, what servers say, and what the listeners hear."""

import contextlib
import threading
import time
from dataclasses import replace

import pytest

from exporter.clock import SystemClock
from exporter.config.model import Server
from exporter.lmstudio.breaker import Breaker
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.lane import Lane
from exporter.lmstudio.pool import Listeners, Pool
from exporter.lmstudio.wire import ChatRequest, Message, Model, Prediction, ServerHealth

QUESTION = ChatRequest("", (Message("user", "?"),), 8)
MODEL = Model(id="m", key="m", kind="llm", loaded=True)
PREDICTION = Prediction("", "m", "m", "yes", "", "stop", 1, 1, None, None, 0.1, 0.2, None, "clock")


def eventually(condition):
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.002)


class FakeClient:
    """Answers at once, or as `behaviour` says."""

    def __init__(self):
        self.calls = []
        self.behaviour = lambda: PREDICTION

    def chat(self, request, *, deadline_seconds, cancel=None, api=None):
        self.calls.append((request.model, deadline_seconds, api))
        return self.behaviour()


class FakePoller:
    def __init__(self, name):
        self.health = ServerHealth(name, f"http://{name}", True, "v1", "", (MODEL,), 0.01, 1.0)

    def poll(self):
        return self.health

    def down(self):
        self.health = replace(self.health, up=False, models=(), failure="unreachable")

    def up(self):
        self.health = replace(self.health, up=True, models=(MODEL,), failure=None)


class Recorder:
    def __init__(self):
        self.predictions, self.failures, self.polls = [], [], []
        self.listeners = Listeners(
            lambda *seen: self.predictions.append(seen),
            lambda *seen: self.failures.append(seen),
            self.polls.append,
        )


class Bench:
    """A pool over fake clients and pollers."""

    def __init__(self, clock, **servers):
        self.recorder = Recorder()
        self.clients, self.pollers, lanes = {}, {}, []
        for name, settings in servers.items():
            config = Server(name=name, url=f"http://{name}", **settings)
            session = type("Session", (), {"close": lambda self: None})()
            self.clients[name], self.pollers[name] = FakeClient(), FakePoller(name)
            lanes.append(Lane(config, session, self.clients[name], self.pollers[name], Breaker(clock)))
        self.pool = Pool(lanes, clock, self.recorder.listeners)

    def poll(self):
        for name in self.pollers:
            self.pool.poll(name)

    def submit(self, job, *, patience=60.0, on_expired=lambda: pytest.fail("a job expired")):
        return self.pool.submit(job, patience_seconds=patience, on_expired=on_expired)


class Gate:
    """A job that reports when it starts and waits to be let through."""

    def __init__(self):
        self.started, self.open = threading.Event(), threading.Event()

    def __call__(self, session):
        self.server = session.server
        self.started.set()
        assert self.open.wait(20)


def benches():
    """Makes running pools; all are stopped at the end, and none may leave a thread behind."""
    made = []

    def make(clock=None, *, start=True, **servers):
        made.append(Bench(clock or SystemClock(), **(servers or {"desk": {}})))
        made[-1].poll()
        if start:
            made[-1].pool.start()
        return made[-1]

    before = set(threading.enumerate())
    yield make
    for one in made:
        one.pool.stop(20)
    eventually(lambda: {thread for thread in threading.enumerate() if thread.name.startswith("lmwatch-ask")} <= before)


def fail_with(reason):
    def behaviour():
        raise ModelFailure(reason)

    return behaviour


def ask_and_swallow(session):
    with contextlib.suppress(ModelFailure):
        session.ask(QUESTION)


def run(one, job):
    """Submit a job and wait for its end."""
    done = threading.Event()

    def wrapped(session):
        try:
            job(session)
        finally:
            done.set()

    taken = one.submit(wrapped)
    if taken:
        assert done.wait(20)
        eventually(lambda: not any(one.pool.running().values()))
    return taken
