"""The file of a history: what of a target's series is kept, and back again."""

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from exporter.errors import BadDataError
from exporter.journal.sealed import Arrays, Layout
from exporter.screening.archive import Archive, Identity
from exporter.screening.slots import Code

_LAYOUT = Layout(
    "history",
    1,  # of the layout; what fits a History is for the History to say
    {
        "kept": "<f4",
        "unsettled": "|b1",
        "offset": "<f8",
        "scale": "<f8",
        "running": "<f8",
        "episode": "<f8",
        "last_seen": "<f8",
    },
)


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
    }
    _LAYOUT.write(file, header, _arrays_of(archive))


def decoded(data: bytes, watch: str, target: str) -> Remembered:
    """The history in a file's bytes.

    Raises:
        BadDataError: they are no whole file of this version, or of another target.
    """
    header, arrays = _LAYOUT.read(data)
    try:
        if (header["watch"], header["target"]) != (watch, target):
            raise ValueError("it is of another target")
        return _remembered(header, arrays)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadDataError(f"it holds something that is no history: {error}") from error


def _arrays_of(archive: Archive) -> dict[str, npt.NDArray[Any]]:
    return {
        "kept": archive.kept,
        "unsettled": archive.unsettled,
        "offset": archive.code.offset,
        "scale": archive.code.scale,
        "running": archive.running,
        "episode": archive.episode,
        "last_seen": archive.last_seen,
    }


def _remembered(header: dict[str, Any], arrays: Arrays) -> Remembered:
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
