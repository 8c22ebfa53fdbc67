"""What is done with a history as a whole: taken aside, fitted to another length, put to use again. Pure."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from exporter.config.model import Selection, Watch
from exporter.screening.archive import Archive, Identity
from exporter.screening.history import History
from exporter.screening.slots import MEAN, Code
from exporter.series.frame import Frame

Meanings = Mapping[Identity, str]
"""What the values of series are, in words that change when they come to mean something else."""


def meaning_of(selection: Selection) -> str:
    """What values that come in by this selection are; another query's values under the same name are other values."""
    return f"query {selection.query}" if selection.query is not None else f"as {selection.as_}"


def meaning_of_groups(watch: Watch) -> str:
    """What a watch's groups are made of: which series, how they are read, and which of their changes count."""
    parts = {"series", "query", "name", "as_", "direction", "min_change"}
    select = [selection.model_dump(include=parts, exclude_defaults=True) for selection in watch.select]
    return json.dumps({"source": watch.source, "group_by": sorted(watch.group_by), "select": select}, sort_keys=True)


def meanings_in(frame: Frame, of_selections: Sequence[str]) -> dict[Identity, str]:
    """What the values of a frame's series are."""
    return {
        (one.name, one.labels): of_selections[select]
        for one, select in zip(frame.series, frame.select.tolist(), strict=True)
    }


def copied(archive: Archive) -> Archive:
    """The same, which nothing changes any more."""
    return replace(
        archive,
        kept=archive.kept.copy(),
        unsettled=archive.unsettled.copy(),
        code=Code(archive.code.offset.copy(), archive.code.scale.copy()),
        running=archive.running.copy(),
        episode=archive.episode.copy(),
        last_seen=archive.last_seen.copy(),
    )


def restricted(archive: Archive, meanings: Sequence[str], present: Meanings, known: Collection[str]) -> Archive:
    """Without the series whose values are no longer what they were.

    Args:
        archive: what was kept.
        meanings: `[rows]`: what the values were.
        present: what the values of the series are that are there now.
        known: what values may be at all; a series that is not there now may come back.
    """
    rows = [
        row
        for row, (identity, meaning) in enumerate(zip(archive.identities, meanings, strict=True))
        if present.get(identity, meaning) == meaning and meaning in known
    ]
    if len(rows) == len(meanings):
        return archive
    return archive.taken([archive.identities[row] for row in rows], np.array(rows, dtype=np.intp))


def restore(history: History, archive: Archive) -> None:
    """Have a history go on from what was kept, also where that reaches less or farther back."""
    slots = history.archive.kept.shape[2]
    history.restore(archive if archive.kept.shape[2] == slots else _fitted(archive, slots))


def _fitted(archive: Archive, slots: int) -> Archive:
    """The newest slots in a ring of another length."""
    fitted = replace(
        archive,
        kept=np.full((*archive.kept.shape[:2], slots), np.nan, dtype=archive.kept.dtype),
        unsettled=np.zeros((len(archive.unsettled), slots), dtype=np.bool_),
    )
    before = archive.kept.shape[2]
    numbers = archive.slot - np.arange(min(before, slots))
    fitted.kept[:, :, numbers % slots] = archive.kept[:, :, numbers % before]
    fitted.unsettled[:, numbers % slots] = archive.unsettled[:, numbers % before]
    return fitted


def known_slots(archive: Archive) -> int:
    """Of how many slots any series has values."""
    if not len(archive.kept):
        return 0
    return int(np.count_nonzero(~np.isnan(archive.kept[:, MEAN]).all(axis=0)))
