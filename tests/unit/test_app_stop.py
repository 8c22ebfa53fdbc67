"""The end of lmwatch."""

from exporter.app import STOP_SECONDS

PATIENCE = 10.0
"""Seconds before supervisors such as Docker kill what they asked to end."""
REST = 2.0
"""Of them, for all that has no budget: the scheduler, the journal, the interpreter."""


def test_all_parts_together_end_within_a_supervisors_patience():
    assert STOP_SECONDS.total <= PATIENCE - REST
