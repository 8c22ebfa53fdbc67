"""The layout of a history's file: a JSON header, arrays as they are in memory, a checksum. Nothing in it is ever executed."""

import json
import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from exporter.errors import BadDataError
from exporter.screening.archive import Archive, Identity
from exporter.screening.slots import Code

_BEGINNING = b"lmwatch history "
_MAGIC = _BEGINNING + b"1\n"
"""The version is that of the layout; what fits a History is for the History to say."""
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_TYPES = {
    "kept": "<f4",
    "unsettled": "|b1",
    "offset": "<f8",
    "scale": "<f8",
    "running": "<f8",
    "episode": "<f8",
    "last_seen": "<f8",
}
"""The arrays of a file, in order."""
_Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Remembered:
    """The history of one target, apart from the one that goes on."""

    archive: Archive
    meanings: tuple[str, ...]
    """[rows]: what each series' values are, in words that change when they come to mean something else."""
    slot_length: float
    """Seconds."""


def write(file: BinaryIO, watch: str, target: str, remembered: Remembered) -> None:
    """Write a history into an empty file."""
    archive = remembered.archive
    arrays = _arrays_of(archive)
    number = {meaning: index for index, meaning in enumerate(dict.fromkeys(remembered.meanings))}
    header = {
        "watch": watch,
        "target": target,
        "slot_length": remembered.slot_length,
        "slot": archive.slot,
        "seen": archive.seen if np.isfinite(archive.seen) else None,
        "meanings": list(number),
        "series": [
            [name, labels, number[meaning]]
            for (name, labels), meaning in zip(archive.identities, remembered.meanings, strict=True)
        ],
        "shapes": {name: array.shape for name, array in arrays.items()},
    }
    text = json.dumps(header, allow_nan=False).encode()
    checksum = 0
    parts: list[bytes | memoryview] = [_MAGIC, _LENGTH.pack(len(text)), text, *map(_bytes_of, arrays.values())]
    for part in parts:
        checksum = zlib.crc32(part, checksum)
        file.write(part)
    file.write(_CHECKSUM.pack(checksum))


def _arrays_of(archive: Archive) -> _Arrays:
    arrays = {
        "kept": archive.kept,
        "unsettled": archive.unsettled,
        "offset": archive.code.offset,
        "scale": archive.code.scale,
        "running": archive.running,
        "episode": archive.episode,
        "last_seen": archive.last_seen,
    }
    return {name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in _TYPES.items()}


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def decoded(data: bytes, watch: str, target: str) -> Remembered:
    """The history in a file's bytes.

    Raises:
        BadDataError: they are no whole file of this version, or of another target.
    """
    if not data.startswith(_MAGIC):
        ours = data.startswith(_BEGINNING)
        raise BadDataError("it was written by another version of lmwatch" if ours else "it is no history")
    end = len(data) - _CHECKSUM.size
    begin = len(_MAGIC) + _LENGTH.size
    if end < begin or zlib.crc32(memoryview(data)[:end]) != _CHECKSUM.unpack_from(data, end)[0]:
        raise BadDataError("it is damaged or cut off: its checksum is wrong")
    try:
        (length,) = _LENGTH.unpack_from(data, len(_MAGIC))
        header = json.loads(data[begin : begin + length])
        if (header["watch"], header["target"]) != (watch, target):
            raise ValueError("it is of another target")
        return _remembered(header, _arrays_in(data, begin + length, end, header["shapes"]))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadDataError(f"it holds something that is no history: {error}") from error


def _arrays_in(data: bytes, at: int, end: int, shapes: dict[str, list[int]]) -> _Arrays:
    found: _Arrays = {}
    for name, kind in _TYPES.items():
        dtype, shape = np.dtype(kind), shapes[name]
        count = int(np.prod(shape))
        array = np.frombuffer(data, dtype, count, at).reshape(shape)
        found[name] = array.astype(dtype.newbyteorder("="))  # a copy: bytes cannot be written to
        at += count * dtype.itemsize
    if at != end:
        raise ValueError("its arrays are not as long as it says")
    return found


def _remembered(header: dict[str, Any], arrays: _Arrays) -> Remembered:
    series: list[tuple[Identity, int]] = [
        ((name, tuple((label, value) for label, value in labels)), meaning)
        for name, labels, meaning in header["series"]
    ]
    archive = Archive(
        identities=[identity for identity, _ in series],
        kept=arrays["kept"],
        unsettled=arrays["unsettled"],
        code=Code(arrays["offset"], arrays["scale"]),
        running=arrays["running"],
        episode=arrays["episode"],
        last_seen=arrays["last_seen"],
        slot=int(header["slot"]),
        seen=-np.inf if header["seen"] is None else float(header["seen"]),
    )
    if _shapes_of(archive, len(series)) != _shapes_of(Archive.empty(archive.kept.shape[-1]), 0):
        raise ValueError("its arrays are not those of a history of as many series as it names")
    meanings = tuple(header["meanings"][meaning] for _, meaning in series)
    return Remembered(archive, meanings, float(header["slot_length"]))


def _shapes_of(archive: Archive, rows: int) -> list[tuple[int | str, ...]]:
    """The shapes of the arrays, with a word where they are as long as there are series."""
    last = {"running", "episode"}
    found: list[tuple[int | str, ...]] = []
    for name, array in _arrays_of(archive).items():
        counted, others = (array.shape[-1], array.shape[:-1]) if name in last else (array.shape[0], array.shape[1:])
        found.append((name, "rows" if counted == rows else counted, *others))
    return found
