"""An open page stays current by itself, without losing what its reader is doing; without scripts it works too."""

import itertools
from dataclasses import replace

import pytest
from browsing import PHONE, in_time, visiting
from web_fakes import DB2, NOW, verdict

pytestmark = pytest.mark.integration

_numbers = itertools.count(1)


def new_verdict(watch: str = "node-health"):
    number = next(_numbers)
    return verdict(
        f"new-{number}",
        watch,
        DB2,
        NOW + number,
        group_score=0.99,
        summary=f"Load of db2 has doubled, report {number}.",
    )


@pytest.fixture
def visit(browser, site):
    with visiting(browser, site.url) as opened:
        yield opened
        assert opened.complaints == []


@pytest.mark.parametrize("path", ["/", "/watches/node-health", "/verdicts", "/verdicts?watch=node-health"])
def test_a_new_verdict_appears_without_loading_the_page_again(site, visit, path: str):
    page = visit.open(path).page
    page.evaluate("window.sameDocument = true")
    new = new_verdict()
    site.judge(new)
    in_time(visit, lambda: page.get_by_text(new.summary).count() > 0, what=f"{new.summary} on {path}")
    assert page.locator("main").get_by_text(new.summary).first.is_visible()
    assert page.evaluate("window.sameDocument") is True


def test_what_is_new_is_announced_politely(site, visit):
    page = visit.open("/").page
    live = page.locator("[aria-live=polite]")
    first = new_verdict()
    site.judge(first)
    in_time(visit, lambda: page.get_by_text(first.summary).count() > 0, what=first.summary)
    new = new_verdict()
    site.judge(new)
    in_time(visit, lambda: new.summary in (live.text_content() or ""), what="the announcement")
    assert "node-health" in live.text_content()


def test_focus_and_scroll_position_survive(site, visit):
    page = visit.open("/").page
    link = page.locator("main a[href='/watches/checkout']").first
    link.focus()
    page.evaluate("window.scrollTo(0, 300)")
    top = page.evaluate("window.scrollY")
    assert top > 0
    new = new_verdict()
    site.judge(new)
    in_time(visit, lambda: page.get_by_text(new.summary).count() > 0, what=new.summary)
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/watches/checkout"
    assert page.evaluate("window.scrollY") == top


def test_what_was_unfolded_stays_so(site, visit):
    page = visit.open("/").page
    folded = page.locator("main [data-region] details[id]").first
    folded.locator("summary").first.click()
    name = folded.get_attribute("id")
    new = new_verdict()
    site.judge(new)
    in_time(visit, lambda: page.get_by_text(new.summary).count() > 0, what=new.summary)
    assert page.evaluate("(name) => document.getElementById(name).open", name) is True


def test_a_model_that_appears_on_a_server_appears_on_its_page(site, visit):
    page = visit.open("/servers/desk").page
    health = site.board.current().servers["desk"]
    loaded = replace(health.models[0], id="a-new-one", key="a-new-one")
    site.board.put_server(replace(health, models=(*health.models, loaded)))
    in_time(visit, lambda: page.get_by_text("a-new-one").count() > 0, what="the model")


def test_a_server_that_ends_is_told_and_its_return_too(site, visit):
    """The last picture stays, marked as old."""
    page = visit.open("/").page
    page.route("**/*", lambda route: route.abort())
    in_time(visit, lambda: page.get_by_text("does not answer").count() > 0, what="the notice")
    assert page.get_by_role("link", name="node-health").first.is_visible()
    page.unroute("**/*")
    in_time(visit, lambda: page.get_by_text("does not answer").count() == 0, what="the end of the notice")
    visit.complaints.clear()


def test_a_table_stays_where_it_was_scrolled_to(browser, site):
    with visiting(browser, site.url, width=PHONE) as visit:
        page = visit.open("/servers/lab").page
        page.evaluate("document.querySelector('.scroll').scrollLeft = 60")
        lab = site.board.current().servers["lab"]
        site.board.put_server(replace(lab, models=(*lab.models, replace(lab.models[0], id="another-one"))))
        in_time(visit, lambda: page.get_by_text("another-one").count() > 0, what="the model")
        assert page.evaluate("document.querySelector('.scroll').scrollLeft") == 60


def test_a_page_that_is_looked_at_again_while_it_asks_does_not_ask_twice(browser, site):
    """Two answers at once could put an older picture in the place of a newer one."""
    with visiting(browser, site.url) as visit:
        visit.page.add_init_script("asked = 0; ask = fetch; fetch = (...what) => { asked++; return ask(...what); }")
        visit.page.route("**/api/v1/status", lambda _: None)
        page = visit.open("/").page
        for _ in range(3):
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        assert page.evaluate("asked") == 1


def test_a_server_that_accepts_and_says_nothing_is_told_too(browser, site):
    with visiting(browser, site.url) as visit:
        visit.page.add_init_script(
            "wait = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = () => wait(100)"
        )
        visit.page.route("**/api/v1/status", lambda _: None)
        page = visit.open("/").page
        in_time(visit, lambda: page.get_by_text("does not answer").count() > 0, what="the notice")


@pytest.mark.parametrize(
    "path", ["/", "/watches/node-health", "/verdicts/v-41", "/verdicts", "/servers/desk", "/config"]
)
def test_without_scripts_a_page_is_whole_and_its_times_are_utc(browser, site, path: str):
    with visiting(browser, site.url, frozen=False, java_script_enabled=False, timezone_id="Asia/Kolkata") as visit:
        page = visit.open(path).page
        assert len(page.locator("main").inner_text()) > 200
        assert "times in UTC" in page.locator("footer").inner_text()
        assert visit.complaints == []


def test_without_scripts_the_journal_is_paged_and_filtered(browser, site):
    with visiting(browser, site.url, frozen=False, java_script_enabled=False) as visit:
        page = visit.open("/verdicts?watch=fleet").page
        first = page.locator("main a[href^='/verdicts/']").first.get_attribute("href")
        page.get_by_role("link", name="Older").click()
        assert page.locator("main a[href^='/verdicts/']").first.get_attribute("href") != first
        page.goto(f"{site.url}/verdicts")
        page.get_by_label("Outcome").select_option("timeout")
        page.get_by_label("Watch").fill("checkout")
        page.get_by_role("button", name="Show").click()
        links = page.locator("main a[href^='/verdicts/']")
        assert {links.nth(place).get_attribute("href") for place in range(links.count())} == {"/verdicts/v-38"}
