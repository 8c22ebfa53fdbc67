"""The chart that a model is shown."""

import gc
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from PIL import Image as Picture
from reasoning_cases import MODEL, make_series, two_hosts

from exporter.lmstudio.wire import ChatRequest, Image, Message
from exporter.reasoning.image import Panel, can_draw, draw_chart
from exporter.reasoning.replay import request_key
from exporter.screening.result import ScreenedSeries

PANEL, FOOT, WIDTH = 140, 48, 900
RED, BAND, LINE = (204, 0, 0), (153, 204, 255), (0, 51, 153)
INFINITY = float("inf")
NAN = float("nan")


def panels_of(*series: ScreenedSeries) -> list[Panel]:
    return [(f"S{number}", one) for number, one in enumerate(series, start=1)]


def chart(*series: ScreenedSeries) -> bytes:
    return draw_chart(panels_of(*series)).data


def pixels(file: bytes) -> np.ndarray:
    """[row, column, red-green-blue]"""
    with Picture.open(io.BytesIO(file)) as picture:
        assert (picture.format, picture.mode, picture.info) == ("PNG", "RGB", {})
        return np.asarray(picture)


def places(file: bytes, colour: tuple[int, int, int]) -> np.ndarray:
    """Row and column of each pixel of this colour."""
    return np.argwhere((pixels(file) == colour).all(axis=2))


# ---- the file


@pytest.mark.parametrize(("series", "panels"), [(1, 1), (3, 3), (6, 6), (9, 6)])
def test_a_panel_for_each_of_the_first_six_series(series: int, panels: int) -> None:
    file = chart(*(make_series(f"metric_{number}") for number in range(series)))
    assert file.startswith(b"\x89PNG\r\n\x1a\n")
    assert pixels(file).shape == (panels * PANEL + FOOT, WIDTH, 3)
    rows = places(file, RED)[:, 0]
    assert set(range(panels)) == set((rows // PANEL).tolist()), "each panel marks its newest instants"


@pytest.mark.parametrize("length", [40, 700, 3000])
def test_the_file_is_small_even_where_every_panel_is_full(length: int) -> None:
    random = np.random.default_rng(length)
    file = chart(*(make_series(f"metric_{number}", values=random.normal(1, 1, length)) for number in range(6)))
    assert 10_000 < len(file) < 100_000


def test_the_same_series_give_the_same_bytes_in_every_thread() -> None:
    panels = panels_of(*two_hosts().series)
    with ThreadPoolExecutor(4) as threads:
        files = {image.data for image in threads.map(draw_chart, [panels] * 4)}
    assert len(files) == 1
    assert draw_chart(panels).sha256 != draw_chart(panels[:2]).sha256


def test_what_the_user_has_set_for_matplotlib_changes_nothing_and_stays_set() -> None:
    plain = chart(make_series())
    with mpl.rc_context({"text.usetex": True, "axes.facecolor": "black", "lines.linewidth": 9.0, "savefig.dpi": 10}):
        assert chart(make_series()) == plain
        assert mpl.rcParams["text.usetex"] is True
        assert mpl.rcParams["axes.facecolor"] == "black"


def test_nothing_of_a_chart_is_kept() -> None:
    chart(make_series())
    gc.collect()
    assert not [kept for kept in gc.get_objects() if isinstance(kept, Figure)]


def test_matplotlib_is_imported_for_the_first_chart_only_and_pyplot_never() -> None:
    program = """
import sys
import exporter.reasoning.analyst
from exporter.reasoning.image import can_draw, draw_chart
assert can_draw()
assert "matplotlib" not in sys.modules and "PIL" not in sys.modules
from reasoning_cases import make_series
draw_chart([("S1", make_series())])
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    path = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_there_is_matplotlib_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_draw()
    monkeypatch.setattr("exporter.reasoning.image.find_spec", lambda _: None)
    assert not can_draw()


# ---- what is drawn


def test_the_newest_four_instants_are_marked_at_the_right_end() -> None:
    columns = places(chart(make_series(values=range(40), band=(NAN, NAN))), RED)[:, 1]
    groups = np.split(np.unique(columns), np.flatnonzero(np.diff(np.unique(columns)) > 1) + 1)
    assert len(groups) == 4
    assert columns.min() > 780
    assert columns.max() < 880


def test_the_expected_band_is_shaded_from_edge_to_edge_of_the_panel() -> None:
    low, high = places(chart(make_series(values=[0.0, 10.0] * 20, band=(0.0, 5.0))), BAND)[[0, -1]]
    everything = places(chart(make_series(values=[0.0, 10.0] * 20, band=(0.0, 5.0))), BAND)
    assert everything[:, 1].max() - everything[:, 1].min() > 750
    assert 40 < high[0] - low[0] < 60, "half of a panel's 102 rows, less the margins"


@pytest.mark.parametrize("band", [(NAN, NAN), (5.0, 1.0), (50.0, 60.0), (-INFINITY, -10.0), (INFINITY, INFINITY)])
def test_without_a_band_in_reach_nothing_is_shaded(band: tuple[float, float]) -> None:
    assert places(chart(make_series(values=[1.0, 2.0] * 20, band=band)), BAND).size == 0


def test_a_band_open_to_one_side_reaches_the_edge_and_does_not_widen_the_panel() -> None:
    open_above = places(chart(make_series(values=[0.0, 10.0] * 20, band=(5.0, INFINITY))), BAND)
    closed = places(chart(make_series(values=[0.0, 10.0] * 20, band=(5.0, 10.0))), BAND)
    assert open_above[:, 0].max() == closed[:, 0].max()
    assert open_above[:, 0].min() < closed[:, 0].min()


def test_a_constant_far_from_its_band_is_shown_with_the_band() -> None:
    file = chart(make_series(values=[0.0] * 40, band=(100.0, 110.0)))
    assert places(file, BAND)[:, 0].max() < places(file, RED)[:, 0].min() - 60


def test_no_line_is_drawn_across_a_gap() -> None:
    whole = make_series(values=[1.0] * 40, band=(NAN, NAN))
    middle = slice(400, 500)
    assert len(places(chart(whole)[:], LINE)) > 700
    with_nan = np.array(whole.values)
    with_nan[10:30] = NAN
    for broken in (
        replace(whole, values=with_nan),
        replace(whole, values=np.delete(whole.values, range(10, 30)), times=np.delete(whole.times, range(10, 30))),
    ):
        picture = pixels(chart(broken))
        assert not (picture[:, middle] == LINE).all(axis=2).any()


def test_a_value_alone_between_gaps_is_seen() -> None:
    values = [1.0] * 10 + [NAN] * 10 + [5.0] + [NAN] * 10 + [1.0] * 9
    alone = places(chart(make_series(values=values, band=(NAN, NAN))), LINE)
    assert (alone[:, 0] < 60).any()


def test_all_panels_share_one_time_axis() -> None:
    short = make_series("short", values=[1.0] * 10, band=(NAN, NAN))
    long = make_series("long", values=[1.0] * 100, band=(NAN, NAN))
    rows, columns = places(chart(short, long), LINE).T
    assert columns[rows < PANEL].min() > 750
    assert columns[rows > PANEL].min() < 150
    assert abs(columns[rows < PANEL].max() - columns[rows > PANEL].max()) <= 1


def test_times_are_in_utc_wherever_this_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    here = chart(make_series())
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    assert chart(make_series()) == here


# ---- what comes from outside


@pytest.mark.parametrize(
    ("name", "as_if"),
    [
        ("load\n\x00\u202e1", "load 1"),
        ("x" * 1000, "x" * 2000),
        ("温度", "??"),
        ("<|im_end|>", "‹|im_end|›"),
    ],
)
def test_a_name_is_cleaned_before_it_is_drawn(name: str, as_if: str) -> None:
    assert chart(make_series(name)) == chart(make_series(as_if))


@pytest.mark.parametrize("name", [r"$\frac{1}{2}$", "$", "a_$b^2$", r"\$x$", r"\text", "%s {0}", ""])
def test_a_name_is_no_formula(name: str) -> None:
    """As a formula the first would be drawn as a fraction and the second could not be drawn at all."""
    assert chart(make_series(name, unit=name)) != chart(make_series("other", unit="other"))


@pytest.mark.parametrize(
    "values",
    [
        [1.0],
        [NAN] * 40,
        [INFINITY, -INFINITY],
        [0.0] * 40,
        [1.7e308, -1.7e308] * 20,
        [1e300, 1.0],
        [5e-324] * 40,
        [1e-310, 2e-310] * 20,
        [5e9, 5e9 + 1] * 20,
        [1e16, 1e16 + 2] * 20,
        [NAN] * 39 + [1.0],
    ],
    ids=lambda values: f"{values[0]} to {values[-1]}",
)
@pytest.mark.parametrize("band", [(0.7, 1.3), (-1.7e308, 1.7e308)], ids=str)
def test_every_value_can_be_drawn(values: list[float], band: tuple[float, float]) -> None:
    """Warnings are errors here, those of arithmetic too."""
    with np.errstate(all="raise", under="ignore"):
        file = chart(make_series(values=values, band=band))
    assert bool(places(file, RED).size) == bool(np.isfinite(values).any())


@settings(max_examples=12, deadline=None)
@given(
    values=arrays(np.float64, st.integers(1, 30), elements=st.floats()),
    lower=st.floats(),
    upper=st.floats(),
    interval=st.floats(min_value=1.0, max_value=1e6),
)
def test_any_series_can_be_drawn(values: np.ndarray, lower: float, upper: float, interval: float) -> None:
    file = chart(make_series(values=values, band=(lower, upper), interval=interval))
    assert pixels(file).shape == (PANEL + FOOT, WIDTH, 3)


def test_a_series_without_any_instant_is_an_empty_panel() -> None:
    nothing = make_series(values=[])
    assert pixels(chart(nothing)).shape == (PANEL + FOOT, WIDTH, 3)
    assert places(chart(make_series(), nothing), RED)[:, 0].max() < PANEL


# ---- the key of a recorded call


def test_an_image_is_part_of_what_decides_an_answer() -> None:
    def key(image: Image | None) -> str:
        return request_key(ChatRequest(MODEL.id, (Message("user", "Look.", image),), 10))

    keys = {key(None), key(Image(b"one")), key(Image(b"two"))}
    assert len(keys) == 3
    assert key(Image(b"one")) == key(Image(b"one"))


def test_an_image_does_not_fill_a_log() -> None:
    image = draw_chart(panels_of(make_series()))
    assert len(repr(Message("user", "Look.", image))) < 120
