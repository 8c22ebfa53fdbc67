"""What an evaluation found, as a person at a terminal reads it."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter.drawing.terminal import fitted_table, make_table, open_console, put
from exporter.drawing.wording import duration
from exporter.evaluation.results import FIRST_GROUPS, Evaluation, ModelFigures, RankedFault, RankRow, best_rows
from exporter.evaluation.words import NOTHING, figure, moment, share
from exporter.reasoning.clean import one_line

_NAME = 120
_BEST = "*"
_EXPENDABLE = ("THRESHOLD", "ALARM", "VUS-PR", "FALSE")
"""What a narrow terminal does without, the first of them first."""
_TEXTS = ("DETECTOR", "INJECTED", "GROUP", "FAULT", "STOOD FIRST")


def print_evaluation(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print the figures of every detector, and of the model and the ranking where there are any.

    Args:
        evaluation: what was found.
        console: where to; standard output when None.
    """
    console = console if console is not None else open_console()
    put(console, *_parts(evaluation, console.width if console.is_terminal else None))


def _parts(evaluation: Evaluation, width: int | None) -> list[Table | str]:
    count = len(evaluation.series)
    cases = f"{count} {'case' if count == 1 else 'cases'}, layout {evaluation.layout}"
    parts: list[Table | str] = [
        f"[bold]{_text(evaluation.data)}[/]: {cases}, model {_text(evaluation.model)}, seed {evaluation.seed}"
    ]
    if evaluation.rows:
        parts += ["", *_detectors(evaluation, width)]
    if evaluation.model_figures is not None:
        parts += ["", _model(evaluation.model_figures)]
    if evaluation.ranking is not None:
        parts += ["", _rank_rows(evaluation.ranking.rows)]
        if evaluation.ranking.faults:
            parts += ["", _faults(evaluation.ranking.faults)]
    return parts


def _detectors(evaluation: Evaluation, width: int | None) -> list[Table | str]:
    best = best_rows(evaluation.rows)
    rows = []
    for row in evaluation.rows:
        leads = row.detector in best
        f1 = f"{_BEST} {figure(row.f1)}" if leads else figure(row.f1)
        rows.append(
            (
                f"[bold]{_text(row.detector)}[/]" if leads else _text(row.detector),
                f"[bold green]{f1}[/]" if leads else f1,
                f"{row.tp}/{row.tp + row.fn}",
                f"{row.fp:,}",
                figure(row.fp_per_series_day, 3),
                figure(row.vus_pr),
                share(row.median_delay),
                share(row.alarm_share, 1),
                figure(row.threshold, 3),
            )
        )
    headings = ("DETECTOR", "F1", "FOUND", "FALSE", "FALSE/DAY", "VUS-PR", "DELAY", "ALARM", "THRESHOLD")
    notes = [f"[dim]{_BEST} the best F1[/]"] if best else []
    return [fitted_table(headings, rows, width, left=_TEXTS, expendable=_EXPENDABLE), *notes]


def _model(figures: ModelFigures) -> str:
    asked = (
        f"{figures.calls:,} {'call' if figures.calls == 1 else 'calls'} in {duration(figures.seconds)}, "
        f"{figures.prompt_tokens:,} prompt and {figures.output_tokens:,} output tokens"
    )
    said = (
        f"{figures.schema_failures:,} unreadable, {share(figures.ungrounded_share)} not grounded, "
        f"calibration error {figure(figures.calibration_error, 3)}"
    )
    changed = f"decisions changed: {figures.better:,} for better, {figures.worse:,} for worse"
    return f"[bold]the model[/]: {asked}\n  {said}\n  {changed}"


def _rank_rows(rows: Sequence[RankRow]) -> Table:
    headings = ("DETECTOR", "FAULTS", "RANKED FIRST", f"AMONG THE FIRST {FIRST_GROUPS}", "RIGHT CAUSE")
    return make_table(
        headings,
        [
            (
                _text(row.detector),
                f"{row.faults}",
                _part(row.first, row.faults),
                _part(row.among_first, row.faults),
                NOTHING if row.cause_right is None else _part(row.cause_right, row.faults),
            )
            for row in rows
        ],
        left=_TEXTS,
    )


def _part(part: int, whole: int) -> str:
    return f"{part} ({share(part / whole)})" if whole else f"{part}"


def _faults(faults: Sequence[RankedFault]) -> Table:
    return make_table(
        ("INJECTED", "GROUP", "FAULT", "RANK", "STOOD FIRST"),
        [
            (
                moment(one.fault.at),
                _text(one.fault.group),
                _text(one.fault.kind),
                NOTHING if one.rank is None else f"{one.rank} of {one.groups}",
                _text(", ".join(one.leaders)) or NOTHING,
            )
            for one in faults
        ],
        left=_TEXTS,
    )


def _text(text: str) -> str:
    """A foreign text as markup that shows it and does nothing else, to the terminal neither."""
    return escape(one_line(text, _NAME))
