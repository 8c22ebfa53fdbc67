"""How odd the groups of a watch are as a whole, kept over a restart."""

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

from exporter.config.model import Watch
from exporter.errors import TransientError
from exporter.journal.histories import RememberedGroups
from exporter.logs import fields
from exporter.screening.baseline import DEFAULT_SENSITIVITY_DAYS
from exporter.screening.groups import GroupScore
from exporter.screening.history import DAY
from exporter.screening.standing import Standings
from exporter.series.labels import Labels
from exporter.watching.remembering import meaning_of_groups

logger = logging.getLogger(__name__)


class GroupsKeeper(Protocol):
    """Where the habits of groups outlive the program."""

    def load_groups(self) -> RememberedGroups | None:
        """What was saved; None for nothing."""
        ...

    def save_groups(self, remembered: RememberedGroups) -> None:
        """Keep it.

        Raises:
            TransientError: it could not be written.
        """
        ...


class KeptStandings:
    """The standings of one watch. `keep` may be called from any thread, `judge` from one at a time.

    Args:
        watch: the configuration.
        keeper: keeps what is remembered; None for nobody.
    """

    def __init__(self, watch: Watch, keeper: GroupsKeeper | None) -> None:
        self._watch = watch
        self._keeper = keeper
        self._meaning = meaning_of_groups(watch)
        self._standings = Standings(watch.interval, (watch.sensitivity or DEFAULT_SENSITIVITY_DAYS * DAY) / DAY)
        self._lock = threading.Lock()
        self._begun = False
        self._changed = False

    def judge(self, scores: Mapping[Labels, GroupScore], now: float) -> dict[Labels, GroupScore]:
        """As `Standings.judge`; the first time from what was kept.

        Args:
            scores: of this screening, without `score`.
            now: Unix seconds.
        """
        if not self._begun:
            self._restore()
        with self._lock:
            self._changed = True
            return self._standings.judge(scores, now)

    def keep(self) -> None:
        """Save what is new."""
        if self._keeper is None:
            return
        with self._lock:
            if not self._changed:
                return
            habits, self._changed = self._standings.habits(), False
        try:
            self._keeper.save_groups(RememberedGroups(habits, self._meaning))
        except TransientError as error:
            self._changed = True
            extra = fields(watch=self._watch.name, error=str(error))
            logger.error("the habits of groups were not kept", extra=extra)  # noqa: TRY400 - the text says it

    def _restore(self) -> None:
        """Not before the first screening: after a reload, that is when whoever watched before has saved."""
        self._begun = True
        remembered = self._keeper.load_groups() if self._keeper is not None else None
        if remembered is None:
            return
        if remembered.meaning != self._meaning:
            logger.info(
                "groups are made of other series now; their habits begin anew", extra=fields(watch=self._watch.name)
            )
            return
        with self._lock:
            self._standings.restore(remembered.habits)
