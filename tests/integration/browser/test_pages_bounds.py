"""What a page costs does not grow with the journal, and is bounded for a watch of 2,000 series."""

import pytest
from busy_site import busy_site
from busy_world import VERDICTS, fill_journal
from werkzeug.test import Client

pytestmark = pytest.mark.integration

PAGES = [
    "/",
    "/watches/fleet",
    "/watches/node-health",
    "/verdicts",
    "/verdicts?watch=fleet&outcome=timeout",
    "/servers/desk",
]
FEW = 300
MOST_BYTES = 700_000
MOST_DRAWINGS = 500
MOST_ROWS = 600
"""Of the journal, for one page."""


@pytest.fixture(scope="module")
def young(tmp_path_factory):
    """The same lmwatch when it had few verdicts."""
    file = tmp_path_factory.mktemp("young") / "journal.db"
    fill_journal(file, FEW)
    with busy_site(file) as running:
        yield running


def steps(site, path: str) -> int:
    """Hundreds of instructions that SQLite carries out for a page."""
    count = 0

    def one() -> int:
        nonlocal count
        count += 1
        return 0

    connection = site.kept._database._connection
    connection.set_progress_handler(one, 100)
    Client(site.app).get(path)
    connection.set_progress_handler(None, 0)
    return count


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_of_bounded_size_and_reads_few_rows(site, path: str):
    site.journal.rows = 0
    response = Client(site.app).get(path)
    assert response.status_code == 200
    assert len(response.data) < MOST_BYTES
    assert response.text.count("<svg") < MOST_DRAWINGS
    assert site.journal.rows < MOST_ROWS


@pytest.mark.parametrize("path", PAGES)
def test_33_times_the_verdicts_are_hardly_more_work(site, young, path: str):
    """Each page walks an index; nothing reads the whole journal."""
    assert VERDICTS / FEW > 33
    assert steps(site, path) < 3 * steps(young, path) + 20
