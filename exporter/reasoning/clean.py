"""Text from outside (metrics, labels, HELP, alerts, a model) made fit to stand inside a prompt or on one line.

What comes in is data. It can neither end the place it stands in, nor start a line, nor be read as a token of
a chat template, nor hide anything from the reader.
"""

import re
import unicodedata

ELLIPSIS = "…"
"""Stands wherever something was cut off."""

_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159\U00016fe4")
"""Letters and marks that show as nothing, although Unicode does not class them as format characters."""
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_DROPPED_CATEGORIES = frozenset({"Cf", "Co", "Cs", "Cn"})
_BREAKING_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Zs"})
_FOLDED = (range(0xFE50, 0xFE70), range(0xFF01, 0xFF5F), range(0x1D400, 0x1D800))
"""Small, full-width and mathematical forms of ASCII characters, which a model reads as those."""
_OPENING, _CLOSING = (
    "<\u00ab\u02c2\u1438\u25c1\u276c\u276e\u27e8\u27ea\u29fc\u3008\u300a",
    ">\u00bb\u02c3\u1433\u25b7\u276d\u276f\u27e9\u27eb\u29fd\u3009\u300b",
)
_LOOK_ALIKES = str.maketrans(
    {**dict.fromkeys(_OPENING, "‹"), **dict.fromkeys(_CLOSING, "›"), **dict.fromkeys('"“”„‟″', "'"), "`": "'"}
)
_PLACE = re.compile(r"‹[\s/|]*(context|earlier|data)\b(?:[^‹›]*›)?", re.IGNORECASE)
_BRACKETED_WORD = re.compile(r"\[([\s|/]*[A-Za-z][\w |]*)\]")
_TILDE_TOKEN = re.compile(r"(?<=[\[\]])~|~(?=[\[\]])|(?<=\[e)~")
_HEADING = re.compile(r"#{2,}")
_ROLE = re.compile(
    r"\b(system|developer|user|assistant|human|model|bot|tool|instructions?|response|question|answer|input|output|[ES]\d+)"
    r"\s*:(?!\d)",
    re.IGNORECASE,
)
_SPACES = re.compile(r"\s+")
_MARK_RUN = 2
_READ_AHEAD = 4


def one_line(text: str, limit: int) -> str:
    """Visible characters only, on one line, at most `limit` of them; a cut shows as `…`.

    Control, format (bidirectional, zero-width, tag), private and unassigned characters, variation selectors,
    blank letters and piles of combining marks are left out; every kind of white space becomes one space.
    """
    head = text[: limit * _READ_AHEAD + 1]
    line = _SPACES.sub(" ", _visible(head)).strip()
    if len(head) == len(text) and len(line) <= limit:
        return line
    return line[: max(0, limit - 1)].rstrip() + ELLIPSIS


def quoted(text: str, limit: int) -> str:
    """`one_line` with everything that could close a quotation or be read as a template token made harmless.

    Angle brackets in all their shapes, double quotes and backticks become look-alikes, `[INST]` becomes `(INST)`, `###`
    becomes `#`, `user:` becomes `user -` and `E1:` becomes `E1 -`, and a delimiter of the prompt becomes its word:
    `</data>` is `(data)`. The words stay readable; no length changes by more than one character a role.
    """
    line = _ascii(one_line(text, limit)).translate(_LOOK_ALIKES)
    line = _PLACE.sub(r"(\1)", line)
    line = _TILDE_TOKEN.sub("-", _HEADING.sub("#", _BRACKETED_WORD.sub(r"(\1)", line)))
    return _ROLE.sub(r"\1 -", line)


def _ascii(line: str) -> str:
    """Forms of ASCII characters that only look different as what they are; each is one character."""
    if line.isascii():
        return line
    return "".join(
        unicodedata.normalize("NFKC", character) if any(ord(character) in forms for forms in _FOLDED) else character
        for character in line
    )


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in _BREAKING_CATEGORIES:
            kept.append(" ")
        elif not is_invisible(character, category) and marks <= _MARK_RUN:
            kept.append(character)
    return "".join(kept)


def is_invisible(character: str, category: str) -> bool:
    """Whether a character shows as nothing, or as what no font has; its Unicode category is known already."""
    if category in _DROPPED_CATEGORIES or character in _INVISIBLE:
        return True
    return any(ord(character) in selectors for selectors in _VARIATION_SELECTORS)
