"""What comes from outside is text: it makes no element, runs nothing, turns nothing around, pushes nothing away."""

import pytest
from browsing import DESKTOP, visiting
from hostile_texts import HOSTILE, as_shown

pytestmark = pytest.mark.integration

PAGES = [
    "/",
    "/watches/foreign-words",
    "/watches/tsdb-lag",
    "/verdicts",
    "/verdicts?watch=foreign-words",
    "/servers/foreign",
    "/servers/gone",
]
SKELETON = (
    "[...document.querySelectorAll('*')].map((e) => [e.tagName, ...e.getAttributeNames().sort()].join(' ')).join('\\n')"
)
FOREIGN_ELEMENTS = """() => [...document.querySelectorAll("*")].filter((element) =>
  (element.localName === "script" && new URL(element.src).origin !== location.origin)
  || (element.localName === "img" && new URL(element.src).origin !== location.origin)
  || element.getAttributeNames().some((name) => name.startsWith("on") || name === "autofocus" || name === "style")
  || ["href", "src", "action"].some((name) => /^\\s*(javascript|data|vbscript):/i.test(element.getAttribute(name) || ""))
).map((element) => element.outerHTML.slice(0, 200))"""
TURNED = """() => {
  const turned = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const box = (node, place) => {
    const range = document.createRange();
    range.setStart(node, place);
    range.setEnd(node, place + 1);
    return range.getBoundingClientRect();
  };
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.data.trimEnd();
    const start = text.length - text.trimStart().length;
    if (!/^[\\x20-\\x7e\\n]{2,}$/.test(text) || text.length - start < 2) continue;
    const [first, second] = [box(node, start), box(node, start + 1)];
    if (first.width && second.width && first.top === second.top && first.left > second.left) turned.push(text.slice(0, 60));
  }
  return turned;
}"""


@pytest.fixture(scope="module")
def visit(browser, site):
    with visiting(browser, site.url, frozen=False) as opened:
        yield opened


@pytest.fixture
def quiet(visit):
    """The visit, which must have nothing to complain about in the end."""
    visit.complaints.clear()
    yield visit
    assert visit.complaints == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_verdict_shows_what_the_model_said_to_the_letter(quiet, name: str):
    said = quiet.open(f"/verdicts/foreign-{name}").text()
    for part in ("Summary", "Cause", "Look", "Finding", "Problem", "Fact", "Prompt", "Answer"):
        assert f"{part}: {as_shown(HOSTILE[name])}" in said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_verdict_is_made_of_the_same_elements_as_a_harmless_one(quiet, name: str):
    alike = "plain-long" if name == "endless" else "plain"
    harmless = quiet.open(f"/verdicts/foreign-{alike}").page.evaluate(SKELETON)
    assert quiet.open(f"/verdicts/foreign-{name}").page.evaluate(SKELETON) == harmless
    assert quiet.page.title() != "owned"


@pytest.mark.parametrize("path", [*PAGES, *(f"/verdicts/foreign-{name}" for name in HOSTILE)])
def test_hostile_texts_make_no_element_and_turn_nothing_around(quiet, path: str):
    page = quiet.open(path).page
    assert page.evaluate(FOREIGN_ELEMENTS) == []
    assert page.evaluate(TURNED) == []
    assert page.title() != "owned"


@pytest.mark.parametrize("name", ["markup", "quotes", "templates", "entities", "right-to-left"])
def test_labels_stand_on_the_watch_page_to_the_letter(quiet, name: str):
    assert f"queue={as_shown(HOSTILE[name])}" in quiet.open("/watches/foreign-words").text()


@pytest.mark.parametrize("path", ["/", "/verdicts"])
def test_words_without_end_do_not_push_the_rest_out_of_sight(quiet, path: str):
    """No paragraph of an overview is taller than a window, whatever a model has said."""
    page = quiet.open(path).page
    assert page.viewport_size["width"] == DESKTOP
    tall = "[...document.querySelectorAll('main li, main p, main h1, main h2, main h3')]"
    tall += ".filter((e) => e.getBoundingClientRect().height > 800 && e.children.length < 6).map((e) => e.outerHTML.slice(0, 100))"
    assert page.evaluate(tall) == []
