"""One browser and one busy site for all tests of a file."""

import shutil
from pathlib import Path

import pytest
from browsing import chromium
from busy_site import busy_site
from busy_world import fill_journal


@pytest.fixture(scope="module")
def browser():
    """A running Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def filled_journal(tmp_path_factory):
    """The file of a journal with 10,000 verdicts; not to be changed."""
    file = tmp_path_factory.mktemp("journal") / "journal.db"
    fill_journal(file)
    return file


@pytest.fixture(scope="module")
def site(tmp_path_factory, filled_journal):
    """A running lmwatch with much to show."""
    with busy_site(Path(shutil.copy(filled_journal, tmp_path_factory.mktemp("site")))) as running:
        yield running
