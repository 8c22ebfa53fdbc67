"""The groups of watches with their histories: worked out when they are shown, and once for each picture."""

from collections.abc import Callable, Collection, Iterable, Sequence

from exporter.board import WatchPicture
from exporter.screening.groups import group_rows
from exporter.screening.result import Grouping, ScreenedGroup
from exporter.series.labels import Labels, Series

GroupsOf = Callable[[str, Callable[[Labels], bool]], Sequence[ScreenedGroup]]
"""Gives the groups of a watch whose labels are wanted."""


class Windows:
    """Keeps what pages ask often. Safe to use from several threads: at worst something is worked out twice."""

    def __init__(self, groups_of: GroupsOf) -> None:
        self._groups_of = groups_of
        self._kept: dict[str, tuple[WatchPicture, dict[Labels, ScreenedGroup]]] = {}
        self._grouped: dict[str, tuple[tuple[tuple[Series, ...], Grouping], ...]] = {}

    def groups(self, picture: WatchPicture, keys: Collection[Labels]) -> dict[Labels, ScreenedGroup]:
        """Those of the watch's groups that are asked for and exist, as they are with this picture."""
        before, known = self._kept.get(picture.name, (None, {}))
        if before is not picture:
            known = {}
        missing = set(keys) - known.keys()
        if missing:
            found = self._groups_of(picture.name, missing.__contains__)
            known = {**known, **{group.key: group for group in found}}
            self._kept[picture.name] = (picture, known)
        return {key: known[key] for key in keys if key in known}

    def groupings(self, picture: WatchPicture) -> tuple[Grouping, ...]:
        """To which group each series of each table belongs; worked out anew only where the series changed."""
        before = {id(series): grouping for series, grouping in self._grouped.get(picture.name, ())}
        kept = tuple(
            (table.series, before.get(id(table.series)) or group_rows(table.series, picture.group_by))
            for table in picture.tables
        )
        self._grouped[picture.name] = kept
        return tuple(grouping for _, grouping in kept)

    def keep_only(self, watches: Iterable[str]) -> None:
        """Free what is kept for watches that are gone."""
        names = set(watches)
        for kept in (self._kept, self._grouped):
            for name in kept.keys() - names:
                kept.pop(name, None)
