"""Which keys a section of the model has, and which keys of a file are none of them."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from exporter.config.base import Section
from exporter.config.document import Document, Loc, Mistake
from exporter.config.similar import nearest, suggestion


def keys_of(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields of a section by the key that stands in the file."""
    return {info.alias or name: info for name, info in section.model_fields.items()}


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a field holds: itself, an optional one, or a list of them; None for other types."""
    kept = _bare(annotation)
    inner = _bare(get_args(kept)[0]) if holds_list(kept) else kept
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


def holds_list(annotation: Any) -> bool:
    """Whether a field holds a list."""
    return get_origin(_bare(annotation)) is list


def _bare(annotation: Any) -> Any:
    """The type without its metadata and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _bare(next(part for part in get_args(annotation) if part is not NoneType))
    return annotation


class KeyCheck:
    """Finds unknown keys in a document, and makes of the rest what the model is to validate.

    Keys without a value count as not given: what stays of a section when all its lines are comments is no mistake.
    """

    def __init__(self, document: Document) -> None:
        self.mistakes: list[Mistake] = []
        self.meant: set[Loc] = set()
        """Locations that an unknown key was probably meant to fill."""
        self._document = document

    def cleaned(self, section: type[Section], data: Any, loc: Loc = ()) -> Any:
        """The data without unknown keys and without keys that have no value."""
        if not isinstance(data, Mapping):
            return data
        keys = keys_of(section)
        for key in data:
            if key not in keys:
                self._unknown(key, [name for name in keys if name not in data], loc)
        return {
            key: self._inner(keys[key], value, (*loc, key))
            for key, value in data.items()
            if key in keys and value is not None
        }

    def _inner(self, field: FieldInfo, value: Any, loc: Loc) -> Any:
        section = section_in(field.annotation)
        if section is None:
            return value
        if not holds_list(field.annotation):
            return self.cleaned(section, value, loc)
        if not isinstance(value, list):
            return value
        return [self.cleaned(section, item, (*loc, index)) for index, item in enumerate(value)]

    def _unknown(self, key: str, valid: list[str], loc: Loc) -> None:
        near = nearest(key, valid)
        if near is not None:
            self.meant.add((*loc, near))
        text = f"unknown key{suggestion(key, valid, noun='keys that may stand here')}"
        self.mistakes.append(self._document.mistake((*loc, key), text, at_key=True))
