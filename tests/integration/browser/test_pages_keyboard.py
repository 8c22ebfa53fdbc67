"""Without a mouse: everything is reached in reading order, seen while it has the focus, and the menu can be skipped."""

import pytest
from browsing import DESKTOP, PHONE, ZOOMED, visiting

pytestmark = pytest.mark.integration

PAGES = ["/", "/watches/node-health", "/verdicts/v-41", "/verdicts?watch=node-health", "/servers/desk", "/config"]
# The marks of a timeline are left out on purpose (tabindex -1): the journal lists the same verdicts.
_FOCUSABLE = ":is(a[href], button, input, select, textarea, summary, [tabindex='0']):not([tabindex='-1'])"
NUMBER_THEM = f"""() => {{
  const seen = [...document.querySelectorAll("{_FOCUSABLE}")].filter((element) => element.checkVisibility());
  seen.forEach((element, place) => {{ element.dataset.place = place; }});
  return seen.length;
}}"""
FOCUSED = """() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getClientRects()[0];
  const at = document.elementFromPoint(box.left + Math.min(box.width / 2, 4), box.top + Math.min(box.height / 2, 12));
  return {
    place: Number(element.dataset.place),
    html: element.outerHTML.slice(0, 100),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
    uncovered: at !== null && (element.contains(at) || at.contains(element)),
  };
}"""


@pytest.mark.parametrize("width", [DESKTOP, ZOOMED, PHONE])
@pytest.mark.parametrize("path", PAGES)
def test_tab_reaches_everything_in_order_and_shows_where_it_is(browser, site, path: str, width: int):
    with visiting(browser, site.url, width=width) as visit:
        page = visit.open(path).page
        count = page.evaluate(NUMBER_THEM)
        assert count > 8
        stops = []
        for _ in range(count):
            page.keyboard.press("Tab")
            stops.append(page.evaluate(FOCUSED))
        assert [stop and stop["place"] for stop in stops] == list(range(count))
        assert [stop["html"] for stop in stops if not stop["outlined"] or not stop["uncovered"]] == []


def test_the_skip_link_leads_past_the_menu(browser, site):
    with visiting(browser, site.url) as visit:
        page = visit.open("/").page
        page.keyboard.press("Tab")
        box = page.locator(":focus").bounding_box()
        assert page.locator(":focus").get_attribute("href") == "#main"
        assert box["x"] >= 0
        assert box["y"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_a_folded_part_opens_by_key(browser, site):
    with visiting(browser, site.url) as visit:
        page = visit.open("/verdicts/v-41").page
        page.locator("summary", has_text="Raw answer").focus()
        page.keyboard.press("Enter")
        assert page.get_by_text('{"score": 8}').is_visible()
