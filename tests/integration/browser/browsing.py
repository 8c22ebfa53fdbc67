"""A real browser that looks at a site and takes down everything it complains about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, Route, sync_playwright
from real_programs import eventually, program
from web_fakes import NOW

Theme = Literal["light", "dark"]
PHONE, ZOOMED, DESKTOP = 390, 640, 1280
"""CSS pixels. A window 1280 wide at 200 % zoom lays out at 640."""
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=[*_FLAGS])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page of the site, open in a browser.

    Attributes:
        page: Playwright's.
        complaints: console messages above "info", errors of scripts, dialogs, requests to elsewhere and failed ones.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        page.on("dialog", self._dismiss)
        page.on("requestfailed", self._miss)
        page.route("**/*", self._pass_on)

    def open(self, path: str) -> "Visit":
        """Go to a page, and wait until it has loaded."""
        self.page.goto(f"{self.url}{path}", wait_until="load")
        return self

    def text(self) -> str:
        """All text of the page, also what is folded away."""
        return str(self.page.evaluate("document.querySelector('main').textContent"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def _miss(self, request: Request) -> None:
        # What was still on its way when the next page was opened.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"failed: {request.url} {request.failure}")

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _pass_on(self, route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(self.url).netloc:
            route.continue_()
        else:
            self.complaints.append(f"request to elsewhere: {route.request.url}")
            route.abort()


@contextmanager
def visiting(
    browser: Browser,
    url: str,
    *,
    width: int = DESKTOP,
    theme: Theme = "light",
    frozen: bool = True,
    **options: Any,
) -> Iterator[Visit]:
    """A fresh page in a context of its own.

    Args:
        browser: a running one.
        url: of the site.
        width: of the window, in CSS pixels.
        theme: what the user prefers.
        frozen: the browser's clock stands at the server's until the test runs it forward.
        options: more for Playwright's `new_context`.
    """
    height = 844 if width == PHONE else 800
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **options)
    try:
        page = context.new_page()
        if frozen:
            stop_clock(page, NOW)
        yield Visit(page, url)
    finally:
        context.close()


def stop_clock(page: Page, at: float) -> None:
    """Let the page's clock stand at a time (Unix seconds) until it is run forward."""
    # It can only be stopped in its future, and it runs until then.
    page.clock.install(time=at - 60)
    page.clock.pause_at(at)


def in_time(visit: Visit, holds: Callable[[], bool], what: str) -> None:
    """Let the page's clock run on, five seconds at each look, until something holds.

    Between the looks real time passes, in which arrives what the page has fetched.
    """

    def look() -> bool:
        visit.page.clock.run_for(5_000)
        return holds()

    eventually(look, what=what)
