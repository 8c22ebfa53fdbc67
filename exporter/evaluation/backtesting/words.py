"""What a backtest found, in words."""

from exporter.alerting.alert import Subject
from exporter.config.durations import format_duration
from exporter.evaluation.backtesting.results import SensitivityTable, WatchResult
from exporter.evaluation.words import share
from exporter.series.labels import Series, format_labels


def states_words(result: WatchResult) -> str:
    """`ok 98 %, warming 2 %`: in how many of the screenings the watch was in which state."""
    ranked = sorted(result.states.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{state} {share(count / result.screenings)}" for state, count in ranked)


def sensitivity_words(table: SensitivityTable) -> str:
    """`30d, as configured`."""
    return format_duration(table.seconds) + (", as configured" if table.present else "")


def subject_words(subject: Subject) -> str:
    """Whom an alert is about: a series, or a group as a whole."""
    if subject.metric:
        return str(Series(subject.metric, subject.labels))
    return f"the group {{{format_labels(subject.labels)}}} as a whole" if subject.labels else "all series as a whole"
