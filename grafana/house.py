"""How panels, variables and links of all dashboards look: one place for everything that is the same everywhere.

Values that a panel shows are never invented: where nothing was measured it says so, and does not show 0.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import heatmap as heatmap_builder
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, heatmap
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from looks import BLUE, GREY, NO_TRAFFIC, coloured, nothing_measured, states_mapping, steps

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
RATE_INTERVAL = "$__rate_interval"
"""At least four scrapes and, in queries of annotations too, longer than the step: no event falls between two steps."""
RATE = f"[{RATE_INTERVAL}]"
QUANTILES = (("p50", 0.5, "light-blue"), ("p95", 0.95, "blue"), ("p99", 0.99, "dark-blue"))

OF_LMWATCH = 'job=~"$job",instance=~"$instance"'
"""Matches what one lmwatch exposes about itself and its servers. Scores carry the watched series' own job and instance."""

P = TypeVar("P", bound=Any)


# -- queries


def query(expr: str, legend: str = "__auto", *, ref: str = "A") -> prometheus.Dataquery:
    """A range query; without a legend Grafana names series by the labels that they differ in."""
    return _query(expr, ref).legend_format(legend).range()


def now(expr: str, *, ref: str = "A") -> prometheus.Dataquery:
    """An instant query whose labels become the columns of a table."""
    return _query(expr, ref).instant().format(PromQueryFormat.TABLE)


def _query(expr: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(DATASOURCE).expr(one_line(expr)).ref_id(ref)


def one_line(expr: str) -> str:
    """The expression without the breaks and indentation of its source."""
    return re.sub(r"\(\s+", "(", re.sub(r"\s+\)", ")", " ".join(expr.split())))


def coded(metric: str, label: str, codes: Sequence[str], matchers: str, by: str) -> str:
    """One number for a set of gauges of which one is 1: 1 for the first of `codes`, 2 for the second …

    Args:
        metric: has the gauges.
        label: tells them apart.
        codes: the label's values.
        matchers: of the selector.
        by: how they are aggregated, such as `by (server, model)`.
    """
    parts = (f'{code} * {metric}{{{matchers},{label}="{value}"}}' for code, value in enumerate(codes, 1))
    return f"max {by} ({' or '.join(parts)})"


# -- panels


def stat_panel(title: str, text: str, expr: str, *, unit: str, none: str, colours: Any = None) -> stat.Panel:
    """One figure with its course in the background."""
    panel = (
        stat.Panel()
        .graph_mode(common.BigValueGraphMode.AREA)
        .color_mode(common.BigValueColorMode.VALUE)
        .text_mode(common.BigValueTextMode.AUTO)
        .reduce_options(common_builder.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(colours or steps(BLUE))
        .color_scheme(board.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .mappings([nothing_measured()])
        .height(4)
        .span(3)
    )
    return _named(panel, title, text, [query(expr)], unit=unit, none=none)


def graph(
    title: str,
    text: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    unit: str,
    none: str = NO_TRAFFIC,
    floor: float | None = 0,
) -> timeseries.Panel:
    """Lines over time.

    Args:
        title: of the panel.
        text: explains it.
        queries: of its lines.
        unit: Grafana's name of it.
        none: shown where there is nothing.
        floor: where the axis begins; None leaves it to the values.
    """
    panel = (
        timeseries.Panel()
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(8)
        .show_points(common.VisibilityMode.AUTO)
        .legend(
            common_builder.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .height(8)
        .span(12)
    )
    if floor is not None:
        panel.min(floor)
    return _named(panel, title, text, queries, unit=unit, none=none)


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """The same with its series on top of each other."""
    return panel.stacking(common_builder.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))


def bars(
    title: str, text: str, queries: Sequence[prometheus.Dataquery], *, unit: str = "short", none: str = NO_TRAFFIC
) -> timeseries.Panel:
    """Stacked bars, for counts of what is rare."""
    panel = graph(title, text, queries, unit=unit, none=none)
    return stacked(panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(70))


def quantiles(title: str, text: str, family: str, matchers: str, *, unit: str = "s") -> timeseries.Panel:
    """p50, p95 and p99 of a histogram, in the same colours everywhere."""
    rate = f"sum by (le) (rate({family}_bucket{{{matchers}}}{RATE}))"
    queries = [
        query(f"histogram_quantile({share}, {rate})", name, ref=ref)
        for ref, (name, share, _) in zip("ABC", QUANTILES, strict=True)
    ]
    panel = graph(title, text, queries, unit=unit)
    for name, _, colour in QUANTILES:
        panel = panel.override_by_name(name, [coloured(colour)])
    return panel


def heat(title: str, text: str, family: str, matchers: str, *, unit: str = "s") -> heatmap_builder.Panel:
    """How a histogram's observations spread over its buckets."""
    counts = query(f"sum by (le) (increase({family}_bucket{{{matchers}}}{RATE}))", "{{le}}")
    panel = _heatmap().calculate(False).y_axis(heatmap_builder.YAxisConfig().unit(unit))
    return _named(panel, title, text, [counts.format(PromQueryFormat.HEATMAP)], unit="short", none=NO_TRAFFIC)


def spread(title: str, text: str, expr: str, *, size: float, unit: str, none: str) -> heatmap_builder.Panel:
    """How many series have which value, from the series themselves, in cells as high as `size`."""
    cells = common_builder.HeatmapCalculationOptions().y_buckets(
        common_builder.HeatmapCalculationBucketConfig().mode(common.HeatmapCalculationMode.SIZE).value(str(size))
    )
    axis = heatmap_builder.YAxisConfig().unit(unit).min(0).max(1)
    panel = _heatmap().calculate(True).calculation(cells).y_axis(axis)
    return _named(panel, title, text, [query(expr)], unit="short", none=none)


def _heatmap() -> heatmap_builder.Panel:
    colour = (
        heatmap_builder.HeatmapColorOptions()
        .mode(heatmap.HeatmapColorMode.SCHEME)
        .scheme("Blues")
        .exponent(0.5)
        .steps(64)
    )
    # Cells with next to nothing in them stay empty: increase() extrapolates.
    return (
        heatmap_builder.Panel()
        .color(colour)
        .filter_values(heatmap_builder.FilterValueRange().le(0.01))
        .tooltip(heatmap_builder.HeatmapTooltip().mode(common.TooltipDisplayMode.SINGLE).y_histogram(True))
        .hide_legend()
        .cell_gap(1)
        .height(8)
        .span(12)
    )


def timeline(
    title: str,
    text: str,
    queries: Sequence[prometheus.Dataquery],
    states: Mapping[float, tuple[str, str]],
    *,
    none: str,
) -> statetimeline.Panel:
    """Which state was when.

    Args:
        title: of the panel.
        text: explains it.
        queries: give one number a row.
        states: what each number means, and its colour.
        none: shown where there is nothing.
    """
    panel = (
        statetimeline.Panel()
        .mappings([states_mapping(states)])
        .color_scheme(board.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(steps(GREY))
        .merge_values(True)
        .show_value(common.VisibilityMode.AUTO)
        .align_value(common.TimelineValueAlignment.LEFT)
        .row_height(0.85)
        .line_width(0)
        .fill_opacity(75)
        .legend(
            common_builder.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common_builder.VizTooltipOptions().mode(common.TooltipDisplayMode.SINGLE))
        .height(8)
        .span(12)
    )
    return _named(panel, title, text, queries, unit="none", none=none)


def grid(
    title: str,
    text: str,
    queries: Sequence[prometheus.Dataquery],
    *,
    columns: Mapping[str, str],
    none: str,
    hidden: Iterable[str] = (),
    unit: str = "none",
) -> table.Panel:
    """A table of the present.

    Args:
        title: of the panel.
        text: explains it.
        queries: made by `now`; more than one are merged by the labels that they share.
        columns: new names of columns, in their order. Labels that are not among them keep theirs and stand behind.
        none: shown where there is nothing.
        hidden: labels that are left out.
        unit: of the numbers.
    """
    dropped = dict.fromkeys(["Time", "__name__", *hidden], True)
    options = {
        "excludeByName": dropped,
        "includeByName": {},
        "indexByName": {name: place for place, name in enumerate(columns)},
        "renameByName": {old: new for old, new in columns.items() if old != new},
    }
    panel = table.Panel().show_header(True).cell_height(common.TableCellHeight.SM).height(8).span(24)
    if len(queries) > 1:
        panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    return _named(panel, title, text, queries, unit=unit, none=none)


def _named(panel: P, title: str, text: str, queries: Sequence[prometheus.Dataquery], *, unit: str, none: str) -> P:
    panel.title(title).description(describe(text, queries)).datasource(DATASOURCE).unit(unit).no_value(none)
    for one in queries:
        panel.with_target(one)
    return panel


def describe(text: str, queries: Iterable[prometheus.Dataquery]) -> str:
    """The text, and at its end the metrics that the queries read: taken from them, so that it is true."""
    names = dict.fromkeys(name for one in queries for name in metrics_in(str(one.build().expr)))
    listed = ", ".join(f"`{name}`" for name in names)
    return f"{text}\n\nMetric{'s' if len(names) > 1 else ''}: {listed}"


def metrics_in(expr: str) -> list[str]:
    """The metrics of an expression in the order of their appearance; a histogram by its family."""
    found = re.findall(r"\b(up\b|(?:lmstudio|lmwatch|process|python)_\w+)", re.sub(r'"[^"]*"', "", expr))
    return list(dict.fromkeys(re.sub(r"_(bucket|sum|count)$", "", name) for name in found))
