"""What the commands need of the system."""

import queue
import signal

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
