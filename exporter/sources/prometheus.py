"""Range and instant queries against anything that speaks Prometheus' HTTP API: Prometheus, Thanos, Mimir, VictoriaMetrics."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import numpy as np

from exporter.clock import Clock
from exporter.config.model import PrometheusApi, Source
from exporter.errors import BadDataError, LmwatchError, TransientError
from exporter.series.frame import Frame, IntArray
from exporter.series.labels import Series
from exporter.series.units import unit_in
from exporter.sources.collected import Collected
from exporter.sources.grid import Grid, Table, stack
from exporter.sources.http import Answer, Cancel, HttpSession
from exporter.sources.matrix import Matrix, parse_matrix
from exporter.sources.query_answers import check_answer, check_whole
from exporter.sources.vector import Vector, parse_vector
from exporter.sources.words import readable

_FRAMES_KEPT = 256


@dataclass(frozen=True, slots=True)
class Query:
    """What a watch asks for."""

    name: str
    """The name of the resulting series."""
    expr: str
    """PromQL."""
    select: int
    """Which entry of the watch's `select` list this is."""
    unit: str = ""
    """The user's word; empty where the name tells it."""


@dataclass(frozen=True, eq=False)
class PromResult:
    """A frame, or why there is none."""

    frame: Frame | None
    collected: Collected


@dataclass(frozen=True, eq=False)
class _Shape:
    """The rows of a frame; kept so that an unchanged set of series stays the same object."""

    series: tuple[Series, ...]
    select: IntArray


class PrometheusSource:
    """Asks for the same grid of instants whenever it is asked within one step: multiples of the step.

    Safe to use from several threads.

    Args:
        config: a source with a `prometheus` part.
        clock: the time.
        session: the HTTP client; made from the configuration where none is given.
    """

    def __init__(self, config: Source, clock: Clock, *, session: HttpSession | None = None) -> None:
        if config.prometheus is None:
            raise ValueError(f"the source {config.name} has no prometheus part")
        self.name = config.name
        self.target = urlsplit(config.prometheus.url).netloc
        self._settings: PrometheusApi = config.prometheus
        self._url = f"{config.prometheus.url}/api/v1/query_range"
        self._instant_url = f"{config.prometheus.url}/api/v1/query"
        self._clock = clock
        self._session = session or HttpSession(config.prometheus)
        self._cancel = Cancel()
        self._takes_post = True
        self._lock = threading.Lock()
        self._shapes: dict[tuple[Query, ...], _Shape] = {}

    def collect(self, queries: Sequence[Query], *, span: float, at: float) -> PromResult:
        """Run the queries over the last `span` seconds before `at` (Unix seconds), within the source's timeout.

        The answer is taken whole or not at all: one query that fails, or that the server could answer only in part,
        leaves no frame, since missing series would look like vanished ones.
        """
        started = self._clock.monotonic()
        state = Collected(self.name, self.target, up=False, duration_seconds=0.0, samples=0, at=at)
        grid = Grid.ending_at(at, span=span, step=self._settings.step)
        try:
            tables = [self._ask(query, grid, started) for query in queries]
        except LmwatchError as error:
            duration = self._clock.monotonic() - started
            return PromResult(None, replace(state, duration_seconds=duration, error=str(error)))
        shape = self._shape(tuple(queries), _shape_of(queries, tables))
        frame = self._frame(shape, tables, grid)
        state = replace(
            state,
            up=True,
            duration_seconds=self._clock.monotonic() - started,
            samples=sum(table.points for table in tables),
            warnings=tuple(dict.fromkeys(warning for table in tables for warning in table.warnings)),
        )
        return PromResult(frame, state)

    def past(self, queries: Sequence[Query], *, begin: float, end: float, step: float) -> Frame:
        """Run the queries over a stretch of the past, within the source's timeout; taken whole or not at all.

        Args:
            queries: what to ask for.
            begin: Unix seconds; the first instant is later.
            end: the last instant is not later.
            step: seconds between instants, which are multiples of it.

        Raises:
            LmwatchError: one of the queries failed, or could be answered only in part.
        """
        grid = Grid.between(begin, end, step=step)
        started = self._clock.monotonic()
        tables = [self._ask(query, grid, started) for query in queries]
        return self._frame(_shape_of(queries, tables), tables, grid)

    def instant(self, query: Query, *, at: float) -> Vector:
        """Run a query for one moment (Unix seconds), within the source's timeout; taken whole or not at all.

        Raises:
            LmwatchError: it failed, or could be answered only in part.
        """
        left = self._settings.timeout
        form = {"query": query.expr, "time": f"{at:.3f}", "timeout": f"{left:.3f}"}
        what = f"query {query.name} ({readable(query.expr)})"
        answer = self._send(self._instant_url, form, left)
        check_answer(answer, self._instant_url, what)
        try:
            vector = parse_vector(answer.body)
            check_whole(vector)
            self._check_samples(len(vector.values))
        except BadDataError as error:
            raise BadDataError(f"{self._instant_url}: {what}: {error}") from error
        return vector

    @property
    def step(self) -> float:
        """Seconds between the instants of a window."""
        return self._settings.step

    def close(self) -> None:
        """End queries under way and close all connections."""
        self._cancel.cancel()
        self._session.close()

    def _ask(self, query: Query, grid: Grid, started: float) -> Table:
        """One query over the whole grid, in as many requests as `max_points` makes necessary."""
        matrices: list[Matrix] = []
        try:
            for part in grid.parts(self._settings.max_points):
                matrix = self._request(query, part, started)
                check_whole(matrix)
                matrices.append(matrix)
                self._check_samples(sum(len(one.values) for one in matrices))
            return stack(matrices, grid)
        except BadDataError as error:
            raise BadDataError(f"{self._url}: query {query.name} ({readable(query.expr)}): {error}") from error

    def _request(self, query: Query, part: Grid, started: float) -> Matrix:
        left = self._settings.timeout - (self._clock.monotonic() - started)
        if left <= 0:
            raise TransientError(
                f"{self._url}: the timeout of {self._settings.timeout:g} s was used up before query {query.name}; "
                "raise timeout, or ask for less"
            )
        form = {
            "query": query.expr,
            "start": f"{part.start_ms / 1000:.3f}",
            "end": f"{part.end_ms / 1000:.3f}",
            "step": f"{part.step_ms / 1000:g}",
            "timeout": f"{left:.3f}",
        }
        answer = self._send(self._url, form, left)
        check_answer(answer, self._url, f"query {query.name} ({readable(query.expr)})")
        return parse_matrix(answer.body)

    def _send(self, url: str, form: dict[str, str], left: float) -> Answer:
        """By POST, as expressions may be long; by GET to a server (or a proxy before it) that takes no POST."""
        limit = self._settings.body_size_limit
        if self._takes_post:
            answer = self._session.post(url, deadline_seconds=left, max_bytes=limit, data=form, cancel=self._cancel)
            if answer.status != 405:
                return answer
            self._takes_post = False
            left -= answer.elapsed_seconds
        return self._session.get(url, deadline_seconds=left, max_bytes=limit, params=form, cancel=self._cancel)

    def _check_samples(self, points: int) -> None:
        if self._settings.sample_limit and points > self._settings.sample_limit:
            raise BadDataError(
                f"more than the {self._settings.sample_limit} samples of sample_limit; "
                "aggregate in the query, ask for less, or raise the limit"
            )

    def _frame(self, shape: _Shape, tables: list[Table], grid: Grid) -> Frame:
        values = np.concatenate([table.values for table in tables]) if tables else np.empty((0, grid.count))
        return Frame(self.target, shape.series, shape.select, grid.times(), values, grid.step_ms / 1000)

    def _shape(self, queries: tuple[Query, ...], shape: _Shape) -> _Shape:
        """The shape that these queries had before, if it has not changed."""
        with self._lock:
            known = self._shapes.get(queries)
            if known is not None and known.series == shape.series:
                return known
            if len(self._shapes) >= _FRAMES_KEPT:
                del self._shapes[next(iter(self._shapes))]
            self._shapes[queries] = shape
            return shape


def _shape_of(queries: Sequence[Query], tables: list[Table]) -> _Shape:
    series = tuple(
        Series(query.name, labels, help=query.expr, unit=query.unit or unit_in(query.name))
        for query, table in zip(queries, tables, strict=True)
        for labels in table.labels
    )
    select = np.repeat([query.select for query in queries], [len(table.labels) for table in tables])
    return _Shape(series, select.astype(np.intp))
