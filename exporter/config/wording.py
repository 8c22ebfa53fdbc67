"""What pydantic found wrong, in plain words: what stands there, and what is wanted."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic_core import ErrorDetails

from exporter.config.document import Loc
from exporter.config.secrets import looks_like_credential
from exporter.config.similar import suggestion

_LONGEST_QUOTE = 60

_WANTED: Mapping[str, str] = MappingProxyType(
    {
        "string_type": "text",
        "string_unicode": "text of whole characters",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "keys and values",
        "model_type": "keys and values",
        "model_attributes_type": "keys and values",
    },
)

_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {
        "greater_than": lambda ctx: f"must be more than {ctx['gt']}",
        "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']}",
        "less_than": lambda ctx: f"must be less than {ctx['lt']}",
        "less_than_equal": lambda ctx: f"must be at most {ctx['le']}",
        "string_too_long": lambda ctx: f"must not be longer than {ctx['max_length']} characters",
        "string_too_short": lambda _: "must not be empty",
        "too_short": lambda _: "must not be empty",
    },
)


def describe(error: ErrorDetails, *, present: bool) -> str:
    """One sentence about one error.

    Args:
        error: as pydantic reports it.
        present: whether the key stands in the file.
    """
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "has no value" if present else "missing"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return _not_one_of(error["input"], context["expected"], error["loc"])
    if kind in _WANTED:
        return _wrong_type(_WANTED[kind], error["input"], error["loc"])
    if kind in _BOUNDS:
        return f"{_BOUNDS[kind](context)}{_instead(error['input'])}"
    return error["msg"]


def _wrong_type(wanted: str, value: Any, loc: Loc) -> str:
    found = _kind(value) if wanted in ("a list", "keys and values") else _found(value, loc)
    hint = ""
    if wanted == "text" and isinstance(value, bool | int | float):
        hint = ": put it in quotes"
    return f"wants {wanted}, found {found}{hint}"


def _not_one_of(value: Any, expected: str, loc: Loc) -> str:
    # pydantic writes the choices of a Literal as 'a', 'b' or 'c'
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    near = suggestion(value, choices, noun="choices") if isinstance(value, str) else ""
    meant = near if near.startswith(", did you mean") else ""
    return f"wants one of {', '.join(choices)}, found {_found(value, loc)}{meant}"


def _instead(value: Any) -> str:
    if isinstance(value, str | list):
        return f", has {len(value)}" if value else ""
    return f", not {value}"


def _found(value: Any, loc: Loc) -> str:
    """The value with its type, or only its type where it may be a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    if _is_secret(loc) or not isinstance(value, str | int | float):
        return _kind(value)
    if isinstance(value, str):
        return f"the text {value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + '…'!r}"
    return f"the number {value}"


def _is_secret(loc: Loc) -> bool:
    return any(isinstance(part, str) and looks_like_credential(part) for part in loc)


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "keys and values"
