"""The sentences about what days of history say."""

from exporter.screening.evidence import format_number, format_span, format_value
from exporter.screening.expected import SEASON_DAYS

_DAY = 86400.0


def beyond_text(
    *, hours: float, value: float, extreme: float, above: bool, ranges: float, days: float, unit: str
) -> str:
    """A value, or a mean of some hours (0 for the newest value), beyond all of the last days."""
    what = _mean_of(hours) if hours else "now"
    verb = "is " if hours else ""
    side, end = ("above", "highest") if above else ("below", "lowest")
    return (
        f"{what} {verb}{format_value(value, unit)}, {side} the {end} of the last {format_span(days * _DAY)} "
        f"({format_number(extreme)}) by {format_number(float(f'{ranges:.1e}'))} times the usual range"
    )


def seasonal_text(*, hours: float, value: float, low: float, high: float, unit: str) -> str:
    """A mean of an hour, or of the interval where that is longer, off its time of the day."""
    return (
        f"{_mean_of(hours)} is {format_value(value, unit)}; at this time of the day "
        f"in the last {SEASON_DAYS} days it was between {format_number(low)} and {format_number(high)}"
    )


def _mean_of(hours: float) -> str:
    return "the mean of the last hour" if hours == 1 else f"the mean of the last {format_number(hours)} hours"
