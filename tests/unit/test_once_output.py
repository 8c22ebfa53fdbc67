"""What `lmwatch once` prints: the golden text in a pipe, colours on a terminal."""

import io
from pathlib import Path

import numpy as np
from rich.console import Console

from exporter.board import ScoreTable, WatchPicture
from exporter.once import print_pictures
from exporter.series.labels import Series

GOLDEN = Path(__file__).parents[1] / "golden" / "once.txt"


def pictures():
    """A watch of twelve series of which two are odd, and one that has nothing yet."""
    series = tuple(Series("orders", (("shop", f"{row}" * (1 + 40 * (row == 1))),)) for row in range(12))
    score, llm = np.array([0.2, 0.71, 0.55, *[0.1] * 9]), np.full(12, np.nan)
    llm[1] = 0.9
    table = ScoreTable("t", series, score, score - 0.05, llm, llm, ("",) * 12, llm, llm, llm)
    degraded = WatchPicture("shop", "degraded", "no model can be asked", 0.0, (table,), threshold=0.6)
    return [degraded, WatchPicture("gone", "warming", "no series yet", 0.0)]


def printed(**options):
    output = io.StringIO()
    print_pictures(pictures(), (), Console(file=output, highlight=False, **options))
    return output.getvalue()


def test_in_a_pipe_it_is_the_golden_text_with_nothing_folded():
    assert printed(width=10_000) == GOLDEN.read_text()


def test_on_a_terminal_what_reaches_the_watchs_threshold_is_red():
    text = printed(width=80, force_terminal=True, color_system="truecolor")
    assert "\x1b[31m0.71" in text
    assert "\x1b[32m0.55" in text
