"""The window of a group as a picture: a panel for each of the first series, one time axis below them.

matplotlib is the extra `plot`. It is imported when the first chart is drawn, here and nowhere else.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exporter.lmstudio.wire import Image
from exporter.reasoning.clean import quoted
from exporter.screening.evidence import format_number
from exporter.screening.result import ScreenedSeries
from exporter.series.frame import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 6
IMAGE_TOKENS = 1150
"""What a chart and the words about it take of a model's context, for those that take most among the usual models:
Qwen2-VL and Qwen2.5-VL a token for 28 x 28 pixels, 1056 for six panels; SmolVLM2 17 tiles of 64 tokens, 1088 for every
picture. LLaVA 1.5 takes 576, Gemma 3 takes 256. The few that take more overflow and are asked without."""

Panel = tuple[str, ScreenedSeries]
"""The id of a series in the snapshot, S1, S2 …, and the series."""

_DPI = 100
_WIDTH, _PANEL_HEIGHT, _FOOT = 900, 140, 48
_LEFT, _RIGHT, _ABOVE, _BELOW = 112, 24, 26, 12
"""Pixels around the part of a panel that holds the curve."""
_NAME_LIMIT, _UNIT_LIMIT = 64, 10
_NEWEST = 4
"""Instants that are marked, and that are screened at once by default."""
_GAP_INTERVALS = 2.5
_MARGIN = 0.06
"""Of the range, free above and below."""
_BAND_REACH = 4.0
"""The expected band widens a panel by at most this many times the range of the values."""
_TIME_TICKS = 7
_DAY = 86400
_TIME_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, _DAY, 2 * _DAY, 7 * _DAY,
)  # fmt: skip
_STYLE: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11.0,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "grid.color": "#cccccc",
    "lines.linewidth": 1.6,
    "agg.path.chunksize": 10_000,
}
_LINE, _BAND, _MARK = "#003399", "#99ccff", "#cc0000"
_COLOUR_STEP = 51
"""Between two shades of red, green or blue in the file; what is drawn has such shades from the start."""
_DRAWING = threading.Lock()
"""matplotlib's settings belong to the process; a chart is drawn with the same ones whatever its user has set."""


@dataclass(frozen=True, slots=True)
class _TimeAxis:
    """The time that all panels show, Unix seconds."""

    first: float
    last: float


@dataclass(frozen=True, slots=True)
class _Curve:
    """One series in the units of its panel: seconds since the axis begins, and values divided by a power of ten."""

    seconds: FloatArray
    values: FloatArray
    """NaN where the line is broken."""
    factor: float
    lowest: float
    highest: float
    """What the panel shows, with a margin."""
    band: tuple[float, float] | None
    """As far as it is in the panel."""


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_chart(panels: Sequence[Panel]) -> Image:
    """The first `MAX_PANELS` series as small multiples: value, expected band, the newest instants marked.

    The same series give the same bytes with the same release of matplotlib. Safe to use from several threads.

    Args:
        panels: at least one series, in the order of the snapshot.

    Returns:
        A PNG file 900 pixels wide and 140 a panel high, plus 48 for the time.

    Raises:
        ImportError: matplotlib is not installed, or not whole.
        OSError: it finds no directory for its own cache.
    """
    import matplotlib as mpl  # noqa: PLC0415 - half a second, and an extra: only those who see a chart pay for it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    panels = panels[:MAX_PANELS]
    height = len(panels) * _PANEL_HEIGHT + _FOOT
    with _DRAWING, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        canvas: Any = FigureCanvasAgg(figure)
        _draw_panels(figure, panels, height)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
        figure.clear()
    return Image(_png(pixels))


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The file of a picture [row, column, red-green-blue], with 6 shades of each colour: a third of the size of 256."""
    from PIL import Image as Picture  # noqa: PLC0415 - comes with matplotlib

    coarse = ((pixels.astype(np.uint16) + _COLOUR_STEP // 2) // _COLOUR_STEP * _COLOUR_STEP).astype(np.uint8)
    file = BytesIO()
    Picture.fromarray(coarse).save(file, "PNG")
    return file.getvalue()


def _draw_panels(figure: "Figure", panels: Sequence[Panel], height: int) -> None:
    axis = _time_axis([series for _, series in panels])
    step = _time_step(axis)
    ticks = np.arange(math.ceil(axis.first / step) * step, axis.last + 0.5, step)
    width = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    for number, panel in enumerate(panels):
        bottom = height - (number + 1) * _PANEL_HEIGHT + _BELOW
        axes = figure.add_axes((_LEFT / _WIDTH, bottom / height, width, (_PANEL_HEIGHT - _ABOVE - _BELOW) / height))
        _draw_panel(axes, panel, axis)
        is_last = number == len(panels) - 1
        words = [_time_words(time, step, axis) if is_last else "" for time in ticks.tolist()]
        axes.set_xticks(ticks - axis.first, words, parse_math=False)
    end = datetime.fromtimestamp(axis.last, UTC)
    axes.set_xlabel(f"UTC, until {end:%Y-%m-%d %H:%M:%S}", labelpad=1)


def _draw_panel(axes: "Axes", panel: Panel, axis: _TimeAxis) -> None:
    series_id, series = panel
    name = _drawable(quoted(series.series.name, _NAME_LIMIT))
    unit = _drawable(quoted(series.series.unit, _UNIT_LIMIT))
    axes.set_title(f"{series_id} {name}", loc="left", fontsize=11, pad=4, parse_math=False)
    axes.set_ylabel(f"{series_id} {unit}".strip(), fontsize=10, parse_math=False)
    span = axis.last - axis.first
    axes.set_xlim(-0.01 * span, 1.01 * span)
    axes.set_axisbelow(True)
    curve = _curve(series, axis)
    if curve is None:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center")
        return
    axes.set_ylim(curve.lowest, curve.highest)
    if curve.band is not None:
        axes.axhspan(*curve.band, color=_BAND, linewidth=0, zorder=0.5)
    axes.plot(curve.seconds, curve.values, color=_LINE)
    alone = _alone(curve.values)
    axes.plot(curve.seconds[alone], curve.values[alone], color=_LINE, linestyle="none", marker="o", markersize=3)
    axes.plot(
        curve.seconds[-_NEWEST:], curve.values[-_NEWEST:], color=_MARK, linestyle="none", marker="o", markersize=5
    )
    _tick_values(axes, curve)


def _tick_values(axes: "Axes", curve: _Curve) -> None:
    """Three or four round values at the left."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - see draw_chart

    found = np.asarray(MaxNLocator(nbins=3, steps=[1, 2, 2.5, 5, 10]).tick_values(curve.lowest, curve.highest))
    ticks = [tick for tick in found.tolist() if curve.lowest <= tick <= curve.highest]
    axes.set_yticks(ticks, _tick_words([tick * curve.factor for tick in ticks]), parse_math=False)


def _tick_words(values: Sequence[float]) -> list[str]:
    """The values as they are written in the snapshot; in 12 digits where that would not tell them apart."""
    words = [format_number(value) for value in values]
    return words if len(set(words)) == len(words) else [f"{value:.12g}" for value in values]


def _curve(series: ScreenedSeries, axis: _TimeAxis) -> _Curve | None:
    """What is drawn of a series; None where it has no finite value."""
    finite = np.isfinite(series.values)
    if not finite.any():
        return None
    lowest, highest = _shown_range(series, float(series.values[finite].min()), float(series.values[finite].max()))
    factor = _power_of_ten(max(abs(lowest), abs(highest)))
    values = np.where(finite, series.values, np.nan) / factor
    seconds, values = _with_gaps(series.times - axis.first, values, _GAP_INTERVALS * series.interval)
    lowest, highest = _apart(lowest / factor, highest / factor)
    band = (max(series.expected_lower / factor, lowest), min(series.expected_upper / factor, highest))
    return _Curve(seconds, values, factor, lowest, highest, band if band[0] <= band[1] else None)


def _shown_range(series: ScreenedSeries, smallest: float, largest: float) -> tuple[float, float]:
    """The range of the values, widened to the expected band, but not so far that the values would look alike."""
    lower, upper = series.expected_lower, series.expected_upper
    reach = _BAND_REACH * (largest - smallest) if largest > smallest else math.inf
    lowest = max(lower, smallest - reach) if math.isfinite(lower) else smallest
    highest = min(upper, largest + reach) if math.isfinite(upper) else largest
    return min(smallest, lowest), max(largest, highest)


def _apart(lowest: float, highest: float) -> tuple[float, float]:
    """The range with a margin, wide enough to be drawn: a constant gets a tenth of itself on either side."""
    size = max(abs(lowest), abs(highest))
    margin = _MARGIN * (highest - lowest) if highest - lowest > 1e-9 * size else 0.1 * size or 1.0
    return lowest - margin, highest + margin


def _power_of_ten(largest: float) -> float:
    """The power of ten of a number, within what floats can be divided by and multiplied with."""
    return 10.0 ** min(max(math.floor(math.log10(largest)), -290), 300) if largest > 0 else 1.0


def _with_gaps(seconds: FloatArray, values: FloatArray, longest: float) -> tuple[FloatArray, FloatArray]:
    """With a NaN between neighbours that lie further apart than `longest`, so that no line joins them."""
    after = np.flatnonzero(np.diff(seconds) > longest) + 1
    between = (seconds[after - 1] + seconds[after]) / 2
    return np.insert(seconds, after, between), np.insert(values, after, np.nan)


def _alone(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Which values have no neighbour that a line could lead to."""
    there = np.pad(np.isfinite(values), 1)
    alone: npt.NDArray[np.bool_] = there[1:-1] & ~there[:-2] & ~there[2:]
    return alone


def _time_axis(series: Sequence[ScreenedSeries]) -> _TimeAxis:
    times = [one.times for one in series if one.times.size]
    if not times:
        return _TimeAxis(0.0, 1.0)
    first, last = min(float(one[0]) for one in times), max(float(one[-1]) for one in times)
    return _TimeAxis(first if first < last else last - max(one.interval for one in series), last)


def _time_step(axis: _TimeAxis) -> float:
    """Seconds between two ticks, so that there are at most `_TIME_TICKS` of them and they fall on round times."""
    least = (axis.last - axis.first) / _TIME_TICKS
    return next((step for step in _TIME_STEPS if step >= least), math.ceil(least / _DAY) * _DAY)


def _time_words(time: float, step: float, axis: _TimeAxis) -> str:
    moment = datetime.fromtimestamp(time, UTC)
    if axis.last - axis.first > _DAY:
        return f"{moment:%m-%d}" if step >= _DAY else f"{moment:%m-%d %H:%M}"
    return f"{moment:%H:%M}" if step >= 60 else f"{moment:%H:%M:%S}"


def _drawable(text: str) -> str:
    """The text with a question mark for each character that the font has no picture of."""
    from matplotlib.font_manager import findfont, get_font  # noqa: PLC0415 - see draw_chart

    font = get_font(findfont("DejaVu Sans"))
    return "".join(character if font.get_char_index(ord(character)) else "?" for character in text)
