"""What holds for every test."""

import logging

import pytest
from hypothesis import HealthCheck, settings

from exporter import logs

# How long an example takes says more about the machine than about the code.
settings.register_profile("lmwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("lmwatch")


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Commands set up the log of the whole program; what they set must not hide the records of the next test."""
    loggers = [logging.getLogger(name) for name in (None, "apscheduler", "urllib3", "websocket")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in [known for known in loggers[0].handlers if isinstance(known, logs._Handler)]:
        loggers[0].removeHandler(handler)
