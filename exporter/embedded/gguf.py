"""The header of a GGUF file: what a model is, read without loading it.

Layout (version 2 and 3, little endian): magic `GGUF`, uint32 version, uint64 tensor count, uint64 number of metadata
pairs, then the pairs: a string key, a uint32 value type, the value. Strings are a uint64 length and UTF-8 bytes.
Source: ggml's specification of the format, docs/gguf.md.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from exporter.errors import BadDataError

_STRING, _ARRAY = 8, 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}  # fmt: skip
"""`general.file_type` to its name: the enum llama_ftype of llama.cpp, the common part."""
_LONGEST_STRING = 1 << 24
_MOST_PAIRS = 1 << 16

Value = int | float | bool | str


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What the header tells about a model. A name that the file does not carry is empty."""

    architecture: str
    name: str
    size_label: str
    """Such as `135M`."""
    quantization: str
    """Such as `Q4_K_M`; empty where the file type is unknown."""
    context_length: int
    """Tokens the model was trained for; 0 where the file does not tell."""
    size_bytes: int
    """Of the file."""


def read_header(path: Path) -> GgufHeader:
    """Read the metadata of a GGUF file.

    Raises:
        BadDataError: the file cannot be read, is no GGUF file, or ends within its header.
    """
    try:
        with path.open("rb") as file:
            values = _read_values(file)
        size = path.stat().st_size
    except OSError as error:
        raise BadDataError(f"{path}: cannot read the model: {error.strerror}") from error
    except (struct.error, ValueError, MemoryError) as error:
        raise BadDataError(f"{path}: not a usable GGUF file: {error}") from error
    architecture = _text(values, "general.architecture")
    context = values.get(f"{architecture}.context_length", 0)
    file_type = values.get("general.file_type")
    return GgufHeader(
        architecture=architecture,
        name=_text(values, "general.name"),
        size_label=_text(values, "general.size_label"),
        quantization=_FILE_TYPES.get(file_type, "") if isinstance(file_type, int) else "",
        context_length=context if isinstance(context, int) else 0,
        size_bytes=size,
    )


def _text(values: Mapping[str, Value], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else ""


def _read_values(file: BufferedReader) -> dict[str, Value]:
    """All metadata pairs but the arrays (vocabularies), which are skipped."""
    if file.read(4) != b"GGUF":
        raise ValueError("it does not begin with the letters GGUF")
    version = _number(file, "<I")
    if version not in {2, 3}:
        raise ValueError(f"version {version} of the format, known are 2 and 3")
    _number(file, "<Q")
    pairs = int(_number(file, "<Q"))
    if pairs > _MOST_PAIRS:
        raise ValueError(f"{pairs} metadata pairs, more than {_MOST_PAIRS}")
    values: dict[str, Value] = {}
    for _ in range(pairs):
        key = _string(file)
        kind = int(_number(file, "<I"))
        if kind == _ARRAY:
            _skip_array(file)
        else:
            values[key] = _string(file) if kind == _STRING else _number(file, _format(kind))
    return values


def _format(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"unknown value type {kind}")
    return _SCALARS[kind]


def _number(file: BufferedReader, form: str) -> int | float | bool:
    value: int | float | bool = struct.unpack(form, file.read(struct.calcsize(form)))[0]
    return value


def _string(file: BufferedReader) -> str:
    length = _length(file)
    data = file.read(length)
    if len(data) < length:
        raise ValueError("the file ends within a string")
    return data.decode("utf-8", "replace")


def _length(file: BufferedReader) -> int:
    length = int(_number(file, "<Q"))
    if length > _LONGEST_STRING:
        raise ValueError(f"a string or array of {length} elements")
    return length


def _skip_array(file: BufferedReader) -> None:
    kind = int(_number(file, "<I"))
    length = _length(file)
    if kind == _ARRAY:
        raise ValueError("an array within an array")
    if kind != _STRING:
        file.seek(length * struct.calcsize(_format(kind)), 1)
        return
    for _ in range(length):
        file.seek(_length(file), 1)
