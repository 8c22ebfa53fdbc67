"""Times are the viewer's own, and say how far from UTC that is."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from browsing import stop_clock, visiting
from web_fakes import NOW

pytestmark = pytest.mark.integration

REACHED = NOW - 95
"""When verdict v-41 was reached."""
ZONES = [("Asia/Kolkata", "UTC+05:30"), ("America/St_Johns", "UTC−03:30"), ("UTC", "UTC")]


@pytest.mark.parametrize(("zone", "offset"), ZONES)
def test_a_verdicts_time_is_in_the_viewers_zone(browser, site, zone: str, offset: str):
    there = datetime.fromtimestamp(REACHED, ZoneInfo(zone))
    with visiting(browser, site.url, timezone_id=zone) as visit:
        page = visit.open("/verdicts/v-41").page
        assert f"{there:%Y-%m-%d %H:%M:%S} {offset}" in page.locator("main").inner_text()
        assert f"times in {offset}" in page.locator("footer").inner_text()
        assert visit.complaints == []


def test_the_axis_of_a_chart_is_in_the_viewers_zone(browser, site):
    with visiting(browser, site.url, timezone_id="Asia/Kolkata") as visit:
        page = visit.open("/watches/node-health").page
        ticks = page.evaluate(
            "[...document.querySelectorAll('figure [data-as=clock]')].map((e) => [Number(e.dataset.at), e.textContent])"
        )
        assert len(ticks) > 2
        zone = ZoneInfo("Asia/Kolkata")
        assert [text for _, text in ticks] == [f"{datetime.fromtimestamp(at, zone):%H:%M}" for at, _ in ticks]


def test_how_long_ago_something_was_follows_the_servers_clock(browser, site):
    """A computer whose clock is an hour off shows the same age."""
    with visiting(browser, site.url, frozen=False) as visit:
        stop_clock(visit.page, NOW + 3600)
        page = visit.open("/verdicts/v-41").page
        assert "95 s ago" in page.locator("main").inner_text()
