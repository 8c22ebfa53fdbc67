"""What somebody probably meant who wrote a name that there is not."""

import difflib
from collections.abc import Iterable


def suggestion(given: str, valid: Iterable[str], *, noun: str) -> str:
    """`, did you mean interval?`, or all valid names where none is near."""
    names = sorted(valid)
    near = nearest(given, names)
    if near is not None:
        return f", did you mean {near}?"
    return f"; {noun}: {', '.join(names)}" if names else ""


def nearest(given: str, valid: Iterable[str]) -> str | None:
    """The valid name that looks most like the given one; None where none does."""
    return next(iter(difflib.get_close_matches(given, valid, n=1)), None)
