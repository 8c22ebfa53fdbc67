import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from exporter.web.rendering import environment, query_string, shortened
from exporter.web.text import finalize, marked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Überlast auf café-01, 東京", "Überlast auf café-01, 東京"),
        ("שלום", "שלום"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("evil\u202etxt.exe", "evil⟨U+202E⟩txt.exe"),
        ("\u2066isolated\u2069", "⟨U+2066⟩isolated⟨U+2069⟩"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("nul\x00 bell\x07 escape\x1b[31m", "nul⟨U+0000⟩ bell⟨U+0007⟩ escape⟨U+001B⟩[31m"),
        ("carriage\rreturn", "carriage⟨U+000D⟩return"),
        ("line\u2028separator", "line⟨U+2028⟩separator"),
        ("half \ud800 pair", "half ⟨U+D800⟩ pair"),
        ("blank letter \u3164", "blank letter ⟨U+3164⟩"),
        ("tag \U000e0041", "tag ⟨U+E0041⟩"),
        ("<b>&\"'", "<b>&\"'"),
    ],
)
def test_what_is_invisible_shows_as_its_code(text: str, shown: str):
    assert marked(text) == shown


@given(st.text())
def test_every_text_can_be_sent_and_says_in_which_order_it_reads(text: str):
    shown = marked(text)
    shown.encode()
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\x00")
    assert marked(shown) == shown


def test_templates_mark_and_escape_text_and_leave_markup_alone():
    template = environment().from_string("{{ text }}|{{ markup }}|{{ number }}|{{ nothing }}")
    values = {"text": "<\u202e>", "markup": Markup("<b>"), "number": 3, "nothing": None}
    assert template.render(values) == "&lt;⟨U+202E⟩&gt;|<b>|3|None"
    assert finalize(escape("<")) == Markup("&lt;")


def test_a_long_text_is_cut_where_it_says_so():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


def test_links_carry_only_the_arguments_that_say_something():
    assert query_string({"q": "", "odd": False, "group": "a=b, c"}, page=2) == "?group=a%3Db%2C+c&page=2"
    assert query_string({"odd": True, "before": None}) == "?odd=1"
    assert query_string({}) == ""
