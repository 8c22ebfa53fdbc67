"""Files that are known to be whole: a line that says what they are, a JSON header, arrays as they are in memory, a checksum.

Nothing in them is ever executed.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from exporter.errors import BadDataError

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_SHAPES = "shapes"
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Layout:
    """What stands in a kind of file."""

    name: str
    """In words: `history`."""
    version: int
    types: Mapping[str, str]
    """The arrays, in order, with their types as numpy names them."""

    def write(self, file: BinaryIO, header: Mapping[str, Any], arrays: Arrays) -> None:
        """Write header and arrays into an empty file.

        Args:
            file: open for bytes.
            header: what JSON can say, without infinite numbers.
            arrays: by name, those of `types`.
        """
        parts = {name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in self.types.items()}
        shapes = {name: part.shape for name, part in parts.items()}
        text = json.dumps({**header, _SHAPES: shapes}, allow_nan=False).encode()
        checksum = 0
        whole: list[bytes | memoryview] = [self._magic, _LENGTH.pack(len(text)), text, *map(_bytes_of, parts.values())]
        for part in whole:
            checksum = zlib.crc32(part, checksum)
            file.write(part)
        file.write(_CHECKSUM.pack(checksum))

    def read(self, data: bytes) -> tuple[dict[str, Any], Arrays]:
        """The header and the arrays in a file's bytes.

        Raises:
            BadDataError: they are no whole file of this version.
        """
        if not data.startswith(self._magic):
            ours = data.startswith(self._beginning)
            raise BadDataError("it was written by another version of lmwatch" if ours else f"it is no {self.name}")
        end = len(data) - _CHECKSUM.size
        begin = len(self._magic) + _LENGTH.size
        if end < begin or zlib.crc32(memoryview(data)[:end]) != _CHECKSUM.unpack_from(data, end)[0]:
            raise BadDataError("it is damaged or cut off: its checksum is wrong")
        try:
            (length,) = _LENGTH.unpack_from(data, len(self._magic))
            header = json.loads(data[begin : begin + length])
            return header, self._arrays_in(data, begin + length, end, header[_SHAPES])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise BadDataError(f"it holds something that is no {self.name}: {error}") from error

    @property
    def _beginning(self) -> bytes:
        return f"lmwatch {self.name} ".encode()

    @property
    def _magic(self) -> bytes:
        return self._beginning + f"{self.version}\n".encode()

    def _arrays_in(self, data: bytes, at: int, end: int, shapes: Mapping[str, list[int]]) -> Arrays:
        found = {}
        for name, kind in self.types.items():
            dtype, shape = np.dtype(kind), shapes[name]
            count = int(np.prod(shape))
            array = np.frombuffer(data, dtype, count, at).reshape(shape)
            found[name] = array.astype(dtype.newbyteorder("="))  # a copy: bytes cannot be written to
            at += count * dtype.itemsize
        if at != end:
            raise ValueError("its arrays are not as long as it says")
        return found


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data
