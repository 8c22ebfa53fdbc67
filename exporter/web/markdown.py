"""Markdown of our own documents as HTML, with an anchor at each heading as GitHub makes them."""

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markupsafe import Markup

_DROPPED = re.compile(r"[^\w\- ]")


def to_html(text: str) -> Markup:
    """CommonMark and tables as HTML; HTML inside is shown, not used."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for opening, title in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor(title.content))
    # The parser escapes text and refuses script addresses.
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # noqa: S704


def anchor(title: str) -> str:
    """The anchor of a heading: lower case, spaces as hyphens, punctuation left out."""
    return _DROPPED.sub("", title.lower()).replace(" ", "-")
