"""The file of a watch's groups: what of their habits is kept, and back again."""

from dataclasses import dataclass
from typing import BinaryIO

from exporter.errors import BadDataError
from exporter.journal.sealed import Layout
from exporter.screening.standing import Habits
from exporter.series.labels import Labels

_LAYOUT = Layout("group history", 1, {"state": "<f8", "peaks": "<f8"})


@dataclass(frozen=True, eq=False)
class RememberedGroups:
    """The habits of one watch's groups."""

    habits: Habits
    meaning: str
    """What the groups are made of, in words that change when they come to mean something else."""


def write(file: BinaryIO, watch: str, remembered: RememberedGroups) -> None:
    """Write habits into an empty file."""
    habits = remembered.habits
    header = {"watch": watch, "meaning": remembered.meaning, "groups": habits.keys}
    _LAYOUT.write(file, header, {"state": habits.state, "peaks": habits.peaks})


def decoded(data: bytes, watch: str) -> RememberedGroups:
    """The habits in a file's bytes.

    Raises:
        BadDataError: they are no whole file of this version, or of another watch.
    """
    header, arrays = _LAYOUT.read(data)
    try:
        if header["watch"] != watch:
            raise ValueError("it is of another watch")
        keys: tuple[Labels, ...] = tuple(
            tuple((label, value) for label, value in labels) for labels in header["groups"]
        )
        return RememberedGroups(Habits(keys, arrays["state"], arrays["peaks"]), str(header["meaning"]))
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataError(f"it holds something that is no group history: {error}") from error
