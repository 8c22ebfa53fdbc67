"""A YAML file as plain values, with the place in the file where each of them stands.

The dialect is YAML 1.2's core without its traps: only `true` and `false` are booleans, only decimal digits are
numbers (`017`, `0x1F`, `1:30` and `1_000` stay text), there are no timestamps. A key given twice is a mistake.
Anchors, aliases and merge keys work; what they expand to is bounded.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml

from exporter.errors import ConfigError

Loc = tuple[str | int, ...]
"""Where a value stands in the document: keys and list positions from the root."""

Resolver = tuple[str, re.Pattern[str]]
"""A tag, and what a plain scalar looks like that has it."""

MAX_VALUES = 100_000
"""Values that a document may hold after its aliases were expanded."""
MAX_DEPTH = 50

_PREFIX = "tag:yaml.org,2002:"
_MERGE = _PREFIX + "merge"
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "expected <block end>": ": is this line indented as those above?",
        "'\\t'": ": indent with spaces",
        "mapping values are not allowed": ": does a text with a colon need quotes?",
    },
)
_SCALARS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        _PREFIX + "str": str,
        _MERGE: str,
        _PREFIX + "null": lambda _: None,
        _PREFIX + "bool": _BOOLEANS.__getitem__,
        _PREFIX + "int": int,
        _PREFIX + "float": float,
    },
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something wrong at a place of a file."""

    place: Place
    path: str
    """Keys as a user writes them: `watches[0].interval`; empty for the file as a whole."""
    text: str

    def line(self, file: str) -> str:
        """`file:line:column: path: text`, on one line whatever keys and names the file holds."""
        path = f"{self.path}: " if self.path else ""
        said = "".join(
            character if character.isprintable() else repr(character)[1:-1] for character in path + self.text
        )
        return f"{file}:{self.place.line}:{self.place.column}: {said}"


def path_of(loc: Loc) -> str:
    """A location as a user writes it: `watches[0].interval`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def config_error(file: str, mistakes: list[Mistake]) -> ConfigError:
    """One error that names all mistakes, a line each, in the order of the file."""
    return ConfigError("\n".join(mistake.line(file) for mistake in sorted(set(mistakes))))


@dataclass(frozen=True)
class Document:
    """A parsed file."""

    file: str
    data: Any
    """Mappings, lists, text, numbers, booleans and None."""
    keys: Mapping[Loc, Place]
    """Where the key of a mapping's entry stands."""
    values: Mapping[Loc, Place]
    """Where a value begins."""
    mistakes: tuple[Mistake, ...]
    """Keys given twice, and values that are no plain data."""

    def mistake(self, loc: Loc, text: str, *, at_key: bool = False) -> Mistake:
        """A mistake at a location, or where its nearest existing parent stands."""
        places = self.keys if at_key and loc in self.keys else self.values
        known = next(loc[:length] for length in range(len(loc), -1, -1) if loc[:length] in places)
        return Mistake(places[known], path_of(loc), text)


def parse_document(text: str, *, file: str) -> Document:
    """Read one YAML document. An empty text is an empty mapping.

    Raises:
        ConfigError: the text is no YAML, or holds more than one document; names file, line and column.
    """
    root = _compose(text, file)
    if root is None:
        return Document(file, {}, MappingProxyType({}), MappingProxyType({(): Place(1, 1)}), ())
    reader = _Reader(file)
    data = reader.value(root, ())
    return Document(file, data, reader.keys, reader.values, tuple(reader.mistakes))


def plain_resolvers(others: Mapping[str, list[Resolver]] = MappingProxyType({})) -> dict[str, list[Resolver]]:
    """What plain scalars mean, by their first character; everything else is text.

    Args:
        others: meanings to add: a writer that serves readers of other dialects quotes what any of them misreads.
    """
    # At most 18 digits: longer ones are no quantity here, and int() refuses very long ones.
    integer = (_PREFIX + "int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})$"))
    whole = r"(?:0|[1-9][0-9]{0,17})"
    real = (_PREFIX + "float", re.compile(rf"[-+]?(?:{whole}?\.[0-9]+|{whole}\.?)(?:[eE][-+]?[0-9]{{1,3}})?$"))
    boolean = (_PREFIX + "bool", re.compile(rf"(?:{'|'.join(_BOOLEANS)})$"))
    null = (_PREFIX + "null", re.compile(r"(?:~|null|Null|NULL|)$"))
    own: dict[str, list[Resolver]] = {
        **{first: [integer, real] for first in "-+.0123456789"},
        **{first: [boolean] for first in "tTfF"},
        **{first: [null] for first in ("~", "n", "N", "")},
        "<": [(_MERGE, re.compile(r"<<$"))],
    }
    return {first: [*own.get(first, ()), *others.get(first, ())] for first in (*own, *others)}


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the plain scalars of this dialect."""

    yaml_implicit_resolvers = plain_resolvers()


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        loader = _Loader(text)
        try:
            return _single_node(loader, file)
        except (ValueError, OverflowError):  # PyYAML on "\\UFFFFFFFF"
            place = _place(loader.get_mark())
            raise config_error(file, [Mistake(place, "", "not YAML: a number that is no character")]) from None
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        raise config_error(file, [Mistake(place, "", "not YAML: a character that may not stand here")]) from None
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        problem = error.problem or error.context or "it ends too early"
        hint = next((hint for words, hint in _HINTS.items() if words in problem), "")
        raise config_error(file, [Mistake(place, "", f"not YAML: {problem}{hint}")]) from None
    except RecursionError:
        raise config_error(file, [Mistake(Place(1, 1), "", "not usable: nested too deeply")]) from None


def _single_node(loader: _Loader, file: str) -> yaml.Node | None:
    node = loader.get_node() if loader.check_node() else None
    if loader.check_node():
        second = loader.get_node()
        place = _place(second.start_mark if second is not None else None)
        raise config_error(file, [Mistake(place, "", "a second document begins here: only one is allowed")])
    return node


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)


class _Reader:
    """Turns composed nodes into plain values and remembers where they stand."""

    def __init__(self, file: str) -> None:
        self.keys: dict[Loc, Place] = {}
        self.values: dict[Loc, Place] = {}
        self.mistakes: list[Mistake] = []
        self._file = file
        self._count = 0

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        """The plain value of a node.

        Raises:
            ConfigError: aliases expand to too much, or contain themselves.
        """
        self._check_size(node, loc, len(loc))
        self.values[loc] = _place(node.start_mark)
        if isinstance(node, yaml.MappingNode) and node.tag == _PREFIX + "map":
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode) and node.tag == _PREFIX + "seq":
            return [self.value(item, (*loc, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        return self._wrong(node, loc, f"the tag {_short(node.tag)} has no meaning here")

    def _check_size(self, node: yaml.Node, loc: Loc, depth: int) -> None:
        self._count += 1
        if self._count > MAX_VALUES:
            text = f"more than {MAX_VALUES:,} values: do aliases multiply?"
        elif depth > MAX_DEPTH:
            text = f"more than {MAX_DEPTH} levels: does an alias contain itself?"
        else:
            return
        raise config_error(self._file, [Mistake(_place(node.start_mark), path_of(loc[:1]), text)])

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in self._own_entries(node, loc):
            inner = (*loc, key.value)
            if key.value in data:
                first = self.keys[inner].line
                self._wrong(key, inner, f"given twice, first in line {first}")
                continue
            self.keys[inner] = _place(key.start_mark)
            data[key.value] = self.value(value, inner)
        for key, value in self._merged_entries(node, loc):
            if key.value not in data:
                inner = (*loc, key.value)
                self.keys[inner] = _place(key.start_mark)
                data[key.value] = self.value(value, inner)
        return data

    def _own_entries(self, node: yaml.MappingNode, loc: Loc) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            if isinstance(key, yaml.ScalarNode):
                yield key, value
            else:
                self._wrong(key, loc, "a key must be plain text")

    def _merged_entries(
        self, node: yaml.MappingNode, loc: Loc, depth: int = 0
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """What `<<` brings in; of several mappings the first wins, as the merge key's definition says."""
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                self._check_size(merged, loc, depth)
                if isinstance(merged, yaml.MappingNode):
                    yield from self._own_entries(merged, loc)
                    yield from self._merged_entries(merged, loc, depth + 1)
                else:
                    self._wrong(merged, (*loc, "<<"), "must be a mapping, or a list of mappings")

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        read = _SCALARS.get(node.tag)
        if read is None:
            return self._wrong(node, loc, f"the tag {_short(node.tag)} has no meaning here")
        try:
            return read(node.value)
        except (ValueError, KeyError):
            return self._wrong(node, loc, f"cannot be read as {_short(node.tag)}")

    def _wrong(self, node: yaml.Node, loc: Loc, text: str) -> None:
        self.mistakes.append(Mistake(_place(node.start_mark), path_of(loc), text))


def _short(tag: str) -> str:
    return tag.replace(_PREFIX, "!!")
