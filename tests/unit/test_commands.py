"""What the commands need of the system."""

import queue
import resource
import signal

import pytest

from exporter import commands


class _Signals:
    """A queue that stays empty for a while, and notes how long each look may take."""

    def __init__(self, empty_looks):
        self.empty_looks = empty_looks
        self.patience = []

    def get(self, *, timeout=None):
        self.patience.append(timeout)
        if len(self.patience) <= self.empty_looks:
            raise queue.Empty
        return signal.SIGINT


def test_a_signal_is_waited_for_in_looks_that_end_so_that_windows_lets_ctrl_c_through():
    signals = _Signals(empty_looks=2)
    assert commands._next_signal(signals) == signal.SIGINT
    assert len(signals.patience) == 3
    assert all(patience is not None and patience <= 1.0 for patience in signals.patience)


class _Limits:
    """The limits of a system that takes no soft limit beyond `most`."""

    def __init__(self, soft, hard, most):
        self.limits = (soft, hard)
        self.most = most

    def get(self, _what):
        return self.limits

    def set(self, _what, limits):
        if limits[0] == resource.RLIM_INFINITY or limits[0] > self.most:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "most", "raised_to"),
    [
        pytest.param(1024, 524_288, 1_000_000, 524_288, id="Linux"),
        pytest.param(256, resource.RLIM_INFINITY, 10_240, 10_240, id="macOS"),
        pytest.param(65_536, resource.RLIM_INFINITY, 65_536, 65_536, id="never lower than it was"),
        pytest.param(1024, 1024, 1_000_000, 1024, id="nothing to raise"),
        pytest.param(256, 4096, 256, 256, id="a system that refuses is no reason to fail"),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_the_system_lets(monkeypatch, soft, hard, most, raised_to):
    limits = _Limits(soft, hard, most)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    commands._raise_open_files_limit()
    assert limits.limits == (raised_to, hard)
