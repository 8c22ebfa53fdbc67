"""Pictures of lmwatch's own pages for the README and the docs, taken while the demo runs: `make screenshots`."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from exporter.embedded.plan import plan_default

DOCS = Path(__file__).parents[1] / "docs"
WATCH = "shop"
_WIDTH = 1280
_TALLEST = 1150
"""CSS pixels of a page that a picture shows: enough to see how it is made."""
_ANOMALOUS = 0.5
_PLANTED = {planted.metric for planted in plan_default(3600.0).planted}
_PATIENCE_SECONDS = 400.0
_CHOOSY_SECONDS = 300.0
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]


def main() -> int:
    """Run the demo, wait for an anomaly that the model has judged, and take the pictures."""
    with _demo() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        verdict = _telling_verdict(url)
        print(f"found {verdict['id']}: {verdict['summary']}")
        for name, path, theme in (
            ("landing-page", "/", "light"),
            ("landing-page-dark", "/", "dark"),
            ("watch-page", f"/watches/{WATCH}", "light"),
            ("verdict-page", f"/verdicts/{verdict['id']}", "light"),
        ):
            _picture(browser, f"{url}{path}", theme, DOCS / f"{name}.png")
        browser.close()
    return 0


@contextlib.contextmanager
def _demo() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    lmwatch = Path(sys.executable).with_name("lmwatch")
    command = [lmwatch, "demo", f"--for={_PATIENCE_SECONDS:g}s", f"--web.listen-address={address}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _telling_verdict(url: str) -> dict[str, Any]:
    """A verdict on something planted that still goes on or, after a while, any readable one while anything is odd."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _PATIENCE_SECONDS:
        with contextlib.suppress(OSError):
            watches = {each["watch"]: each for each in _get(f"{url}/api/v1/status")["watches"]}
            top = watches[WATCH]["top"] if WATCH in watches else []
            odd = {each["metric"] for each in top if each["score"] > _ANOMALOUS}
            for verdict in _get(f"{url}/api/v1/verdicts?watch={WATCH}&limit=3") if odd else ():
                found = {each["series"]["name"] for each in verdict["findings"]}
                if found & odd & _PLANTED or (found and waited > _CHOOSY_SECONDS):
                    return dict(verdict)
        time.sleep(1)
    raise TimeoutError(f"the demo showed no judged anomaly within {_PATIENCE_SECONDS:g} s")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)["data"]


def _picture(browser: Browser, url: str, theme: str, file: Path) -> None:
    context = browser.new_context(
        viewport={"width": _WIDTH, "height": 800}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(url, wait_until="networkidle")
    height = min(_TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
    page.screenshot(path=file, clip={"x": 0, "y": 0, "width": _WIDTH, "height": height}, full_page=True)
    context.close()
    print(f"{file.name}: {file.stat().st_size // 1024} kB")


if __name__ == "__main__":
    sys.exit(main())
