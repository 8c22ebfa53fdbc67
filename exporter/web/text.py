"""Text from outside as a page may show it: what is invisible or turns the direction of writing shows as its code."""

import re
import unicodedata

from markupsafe import Markup

from exporter.reasoning.clean import is_invisible

_UNUSUAL = re.compile(r"[^\t\n -~]")


def marked(text: str) -> str:
    """The same text with each control, format, invisible, private and unassigned character as `⟨U+202E⟩`.

    Two texts that look the same are then the same, none reorders what stands around it, and none breaks a page's encoding.
    """
    return text if text.isascii() and text.isprintable() else _UNUSUAL.sub(_mark, text)


def finalize(value: object) -> object:
    """What a template writes of a value: text from outside is marked, our own markup is left alone."""
    return marked(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _mark(match: re.Match[str]) -> str:
    character = match[0]
    category = unicodedata.category(character)
    hidden = category in ("Cc", "Zl", "Zp") or is_invisible(character, category)
    return f"⟨U+{ord(character):04X}⟩" if hidden else character
