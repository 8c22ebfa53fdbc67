"""One browser and one busy site for all tests of a file."""

import pytest
from browsing import chromium
from busy_site import busy_site


@pytest.fixture(scope="module")
def browser():
    """A running Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A running lmwatch with much to show."""
    with busy_site(tmp_path_factory.mktemp("site")) as running:
        yield running
