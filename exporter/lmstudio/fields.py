"""Reading single fields of foreign JSON: the value if it is what it should be, nothing if it is not."""

import math
from collections.abc import Mapping
from typing import Any

_LARGEST = 2**53
"""Above it a float no longer holds each whole number."""


def mapping(parent: Any, key: str) -> Mapping[str, Any]:
    """The object under this key; an empty one if there is none, or `parent` is no object itself."""
    value = parent.get(key) if isinstance(parent, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def rows(parent: Any, key: str) -> list[Mapping[str, Any]]:
    """The objects in the list under this key; what is no object in it is left out."""
    value = parent.get(key) if isinstance(parent, Mapping) else None
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def text(parent: Mapping[str, Any], key: str) -> str:
    """The string under this key, valid as UTF-8; empty if there is none."""
    value = parent.get(key)
    return well_formed(value) if isinstance(value, str) else ""


def count(parent: Mapping[str, Any], *keys: str) -> int | None:
    """The whole number, not negative, under the first of these keys that has one."""
    for key in keys:
        value = number(parent, key)
        if value is not None and 0 <= value <= _LARGEST and value == int(value):
            return int(value)
    return None


def number(parent: Mapping[str, Any], key: str) -> float | None:
    """The finite number under this key."""
    value = parent.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def well_formed(value: str) -> str:
    """The string with its surrogate pairs joined and single surrogates replaced, which JSON allows and UTF-8 does not."""
    if value.isascii():
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
