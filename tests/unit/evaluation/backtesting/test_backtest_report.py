"""The page and the table of a backtest: the same figures, and nothing from outside does anything."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from exporter.alerting.alert import Subject, Words
from exporter.board import ScoreTable, WatchPicture
from exporter.config.model import Watch
from exporter.drawing.terminal import put
from exporter.evaluation.backtesting.columns import MOST_STRETCHES, Columns
from exporter.evaluation.backtesting.document import to_json
from exporter.evaluation.backtesting.pushes import Push
from exporter.evaluation.backtesting.report import render_report
from exporter.evaluation.backtesting.results import Backtest, SensitivityTable, WatchResult
from exporter.evaluation.backtesting.run import drawn
from exporter.evaluation.backtesting.table import print_backtest
from exporter.evaluation.backtesting.thresholds import threshold_row
from exporter.series.labels import Series

BEGAN, MINUTES = 1_700_000_000.0 // 60 * 60, 2500
HOSTILE = '"><script>alert(1)</script>\u202e\x1b[31m[bold]x[/] {{ 7*7 }}'
GOLDEN = Path(__file__).parents[3] / "golden" / "evaluation" / "backtest.txt"


def picture(at, value, name="load"):
    series = (Series(name, (("instance", "a:1"),)), Series("disk", (("instance", "a:1"),)))
    column = np.array([value / 10, 0.1])
    nothing = np.full(2, np.nan)
    values = np.array([value, 3.0])
    table = ScoreTable("t", series, column, column, nothing, nothing, ("", ""), values, values - 1, values + 1)
    return WatchPicture("shop", "ok", "", at, (table,))


def backtest(name="load"):
    """Two days of two series, of which one is odd for half an hour."""
    watch = Watch.model_validate({"name": "shop", "source": "tsdb", "select": [{"query": "x", "name": "x"}]})
    end = BEGAN + (MINUTES - 1) * 60
    columns = Columns(BEGAN, end, 60.0)
    steady: dict[float, ScoreTable] = {}
    for minute in range(MINUTES):
        made = picture(BEGAN + minute * 60, 9.0 if 1000 <= minute < 1030 else 1.0, name)
        table = replace(made.tables[0], series=steady.setdefault(0.0, made.tables[0]).series)
        columns.add(replace(made, tables=(table,)), made.at)
    words = Words(f"{name} is anomalous.", "", ("now 9, above the highest of the last 3 d",), "Score 0.90.", "")
    fired = BEGAN + 1002 * 60
    push = Push(
        Subject("shop", name, (("instance", "a:1"),)), "critical", "spike", words, fired - 120, fired, fired + 1800, 0.9
    )
    rows = tuple(threshold_row(at, 0.5, (push,) if at < 0.9 else (), BEGAN, end) for at in (0.3, 0.5, 0.95))
    result = WatchResult(
        watch=watch,
        notes=(),
        series=2,
        samples=2 * MINUTES,
        screenings=MINUTES,
        states={"ok": MINUTES - 25, "warming": 25},
        tables=(SensitivityTable(30 * 86400.0, True, rows), SensitivityTable(7 * 86400.0, False, rows)),
        pushes=(push,),
        verdicts=(),
        drawn=drawn(watch, columns, (push,), (), end),
        pictured=2,
    )
    return Backtest(
        source="tsdb",
        begin=BEGAN,
        end=end,
        warm_up=None,
        model="none",
        pending=120.0,
        watches=(result,),
        seconds=30.0,
        command=f"lmwatch backtest --watch {name}",
        version="1.2.3",
    )


def printed(found, **options):
    output = io.StringIO()
    print_backtest(found, Console(file=output, highlight=False, **options))
    return output.getvalue()


def test_the_table_in_a_pipe_is_the_golden_one():
    assert printed(backtest(), width=10_000) == GOLDEN.read_text()


def test_in_a_terminal_the_watchs_own_threshold_and_critical_alerts_stand_out():
    text = printed(backtest(), width=120, force_terminal=True, color_system="truecolor")
    assert "\x1b[1m* 0.5" in text
    assert "\x1b[31mcritical" in text


def test_the_page_has_the_thresholds_the_alert_and_its_picture():
    html = render_report(backtest())
    assert '<span class="tag">present</span> 0.5' in html
    assert html.count('<svg class="picture"') == html.count('class="picture"') == 3
    assert html.count('<g class="alert unlabelled"><title>alert: 2023-11-15 14:55 to 2023-11-15 15:25, peak 0.9') == 1
    assert "now 9, above the highest of the last 3 d" in html
    assert "Sensitivity 7d" in html
    assert "<script" not in html


def test_names_from_outside_do_nothing_to_page_terminal_or_document():
    found = backtest(HOSTILE)
    html = render_report(found)
    assert "<script" not in html
    assert "{{ 7*7 }}" in html
    assert "\u202e" not in html
    text = printed(found, width=300, force_terminal=True, color_system="truecolor")
    assert "\u202e" not in text
    assert "\x1b[31m[bold]" not in text
    assert "[bold]x[/]" in text
    assert json.loads(to_json(found))["watches"][0]["alerts"][0]["metric"] == HOSTILE


def test_however_long_it_is_the_oddest_moment_of_each_stretch_is_kept():
    run = backtest().watches[0].drawn.run
    assert run.case.times.size == MINUTES // 3 + 1 <= MOST_STRETCHES
    stretch = 1000 // 3
    assert run.combined[0, stretch : stretch + 10] == pytest.approx(0.9)
    assert run.case.values[0, stretch] == 9.0
    assert np.nanmax(np.delete(run.combined[0], slice(stretch, stretch + 11))) == pytest.approx(0.1)


def test_lines_in_a_pipe_have_no_blanks_at_their_ends():
    output = io.StringIO()
    put(Console(file=output, width=40), "one  ", "two")
    assert output.getvalue() == "one\ntwo\n"
