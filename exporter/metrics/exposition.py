"""The body of `/metrics`: what the library writes of our registry, joined with the blocks that are rendered already.

prometheus_client takes about 20 µs a sample, too much for thousands of scores at every scrape. So only the small
part goes through it; the scores are on the board as finished lines.
"""

import gzip
from collections.abc import Callable, Collection, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from exporter.board import Board
from exporter.metrics.catalogue import row
from exporter.metrics.collectors import BoardCollector
from exporter.metrics.rendering import RENDERED_FAMILIES

Headers = list[tuple[str, str]]

_EOF = b"# EOF\n"
# Level 3 takes half the time of zlib's default 6 on score lines and makes them 15 % larger.
_GZIP_LEVEL = 3


def make_registry(current: Callable[[], Board]) -> CollectorRegistry:
    """A registry that shows the present board and the process, to which instruments can be added."""
    registry = CollectorRegistry()
    registry.register(BoardCollector(current))
    return registry


class Exposition:
    """Answers scrapes from a registry and the present board, without any I/O.

    Args:
        registry: everything that changes by events or is small.
        current: the present board, whose rendered blocks are joined.
    """

    def __init__(self, registry: CollectorRegistry, current: Callable[[], Board]) -> None:
        self._registry = registry
        self._current = current

    def respond(self, accept: str, accept_encoding: str, names: Sequence[str]) -> tuple[int, Headers, bytes]:
        """Answer one scrape.

        Args:
            accept: the Accept header; OpenMetrics 1.0.0 where it is asked for, else the text format 0.0.4.
            accept_encoding: the Accept-Encoding header; gzip where it is accepted.
            names: names of samples to restrict the answer to, as `name[]` gives them; none for everything.

        Returns:
            HTTP status, headers and body.
        """
        wants_openmetrics = _wants_openmetrics(accept)
        body = self._openmetrics(names) if wants_openmetrics else self._text(names)
        content_type = openmetrics.CONTENT_TYPE_LATEST if wants_openmetrics else exposition.CONTENT_TYPE_PLAIN_0_0_4
        headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
        if exposition.gzip_accepted(accept_encoding):
            headers.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        return 200, headers, body

    def _text(self, names: Sequence[str]) -> bytes:
        generated = self._generated(exposition.generate_latest, names)
        return generated + _blocks(self._current(), names, with_units=False)

    def _openmetrics(self, names: Sequence[str]) -> bytes:
        generated = self._generated(partial(openmetrics.generate_latest, version="1.0.0"), names)
        return generated.removesuffix(_EOF) + _blocks(self._current(), names, with_units=True) + _EOF

    def _generated(self, encode: Callable[[Collector], bytes], names: Sequence[str]) -> bytes:
        return encode(self._registry.restricted_registry(names) if names else self._registry)


def _wants_openmetrics(accept: str) -> bool:
    # The library negotiates, but echoes whatever version at or above 1.0.0 is asked for: we answer in 1.0.0.
    try:
        _, content_type = exposition.choose_encoder(accept)
    except TypeError:
        return False  # it cannot compare a version that is no number
    return content_type.startswith("application/openmetrics-text")


def _blocks(board: Board, names: Collection[str], *, with_units: bool) -> bytes:
    parts = []
    for family in RENDERED_FAMILIES:
        blocks = [block[family] for block in board.rendered.values() if family in block]
        if blocks and (not names or family in names):
            parts.append(_head(family, with_units=with_units))
            parts.extend(blocks)
    return b"".join(parts)


def _head(family: str, *, with_units: bool) -> bytes:
    entry = row(family)
    unit = f"# UNIT {family} {entry.metadata_unit}\n" if with_units and entry.metadata_unit else ""
    return f"# HELP {family} {entry.help}\n# TYPE {family} {entry.type}\n{unit}".encode()
