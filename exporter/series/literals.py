r"""String literals of PromQL: `"…"` and `'…'` with Go's escapes, and raw ones in backticks.

Source: `strutil.Unquote` of Prometheus. An unknown escape is an error there, and here: `"\."` is the usual slip.
"""

import re

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_PIECE = re.compile(
    r"(?P<plain>[^\\\n]+)|\\x(?P<hex>[0-9a-fA-F]{2})|\\(?P<octal>[0-3][0-7]{2})"
    r"|\\(?:u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))|\\(?P<simple>[abfnrtv\\'\"])"
)
_RAW = re.compile(r"`[^`]*+`")
_QUOTED = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|' + r"'[^'\\]*+(?:\\.[^'\\]*+)*+'", re.DOTALL)


class LiteralError(ValueError):
    """A string literal is broken.

    Attributes:
        at: the place in the text, counted from 0.
    """

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.at = at


def take_literal(text: str, at: int) -> tuple[str, int]:
    """The string whose literal starts here, and the place behind it.

    Raises:
        LiteralError: no literal starts here, it is not closed, or has an escape that PromQL does not know.
    """
    raw = _RAW.match(text, at)
    if raw:
        return raw[0][1:-1], raw.end()
    quoted = _QUOTED.match(text, at)
    if quoted is None:
        raise LiteralError("expected a closed string in quotes", at)
    return _unescape(text, at + 1, quoted.end() - 1, text[at]), quoted.end()


def _unescape(text: str, at: int, end: int, quote: str) -> str:
    start, pieces = at, bytearray()
    while at < end:
        found = _PIECE.match(text, at, end)
        if found is None:
            hint = "; write the backslash twice, or the string in backticks" if text[at] == "\\" else ""
            raise LiteralError(f"{text[at : at + 2]!r} is not allowed in a string{hint}", at)
        pieces += _piece(found, quote)
        at = found.end()
    try:
        return pieces.decode()
    except UnicodeDecodeError:
        raise LiteralError("the string is not UTF-8", start) from None


def _piece(found: re.Match[str], quote: str) -> bytes:
    kind = found.lastgroup or ""
    piece = found[kind]
    match kind:
        case "plain":
            return piece.encode(errors="surrogatepass")
        case "hex":
            return bytes([int(piece, 16)])
        case "octal":
            return bytes([int(piece, 8)])
        case "simple":
            if piece in "'\"" and piece != quote:
                raise LiteralError(f"{found[0]!r} is not allowed in a string in {quote}", found.start())
            return _SIMPLE[piece].encode()
    code = int(piece, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise LiteralError(f"{found[0]!r} is no character", found.start())
    return chr(code).encode()
