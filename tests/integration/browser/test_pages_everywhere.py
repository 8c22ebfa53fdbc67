"""Each page, light and dark, on a phone, zoomed and on a desktop: nothing complains, nothing breaks, everyone can read it."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESKTOP, PHONE, ZOOMED, visiting

pytestmark = pytest.mark.integration

PAGES = {
    "landing": "/",
    "watch": "/watches/node-health",
    "watch of 2,000 series": "/watches/fleet",
    "watch that warms up": "/watches/gpu-farm",
    "watch that failed": "/watches/tsdb-lag",
    "watch of foreign words": "/watches/foreign-words",
    "verdict": "/verdicts/v-41",
    "verdict without an answer": "/verdicts/v-38",
    "verdict on alerts": "/verdicts/triage-1",
    "journal": "/verdicts",
    "journal of one watch": "/verdicts?watch=fleet&outcome=ungrounded",
    "journal without a match": "/verdicts?watch=checkout&outcome=llm_error",
    "server": "/servers/desk",
    "server that is down": "/servers/attic",
    "server of foreign words": "/servers/foreign",
    "configuration": "/config",
    "runbooks": "/docs/runbooks",
    "metrics": "/docs/metrics",
}
LOOKS = [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE), ("dark", PHONE), ("light", ZOOMED)]
LAYOUT = Path(__file__).with_name("page_layout.js").read_text()
# All of axe's default rules in the light; in the dark only what colours decide. What axe cannot decide is not counted.
AXE = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": {"type": "rule", "values": ["color-contrast"]}},
}
# Rows and charts after the first ones are built alike, and axe takes half a millisecond for each element.
NOT_ALL_ALIKE = {
    "exclude": [
        ["tbody tr:nth-child(n+12)"],
        ["li:nth-child(n+16)"],
        ["figure:nth-of-type(n+4)"],
        ["section.group ~ section.group"],
    ]
}


@pytest.fixture(scope="module", params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def looking(request, browser, site):
    theme, width = request.param
    # axe waits by timers, so the clock must run.
    with visiting(browser, site.url, theme=theme, width=width, frozen=False) as opened:
        yield opened, AXE[theme]


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_page_is_quiet_whole_and_accessible(looking, path: str):
    visit, rules = looking
    visit.complaints.clear()
    assert visit.page.goto(f"{visit.url}{path}", wait_until="load").status == 200
    layout = visit.page.evaluate(LAYOUT)
    assert layout["lines"] > 5
    assert (layout["wide"], layout["overlaps"]) == ([], [])
    found = Axe().run(visit.page, context=NOT_ALL_ALIKE, options=rules).response["violations"]
    serious = [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:3]
    ]
    assert serious == []
    assert visit.complaints == []
