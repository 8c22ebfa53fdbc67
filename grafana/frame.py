"""What every dashboard has around its panels: variables, annotations, links to the others."""

from collections.abc import Iterable
from typing import Any

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model
from house import DATASOURCE, OF_LMWATCH, one_line
from looks import PURPLE

TAG = "lmwatch"


def query_variable(
    name: str, label: str, text: str, *, several: bool = True, all_value: str | None = ".*"
) -> board.QueryVariable:
    """A variable that Prometheus fills, anew whenever the time range changes.

    Args:
        name: of the variable.
        label: shown before it.
        text: `label_values(…)` or `query_result(…)`.
        several: whether several may be chosen, or all.
        all_value: the regular expression for all.
    """
    kind = 1 if text.startswith("label_values(") else 3  # as Grafana's own editor of variables writes it
    variable = (
        board.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"qryType": kind, "query": text, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .definition(text)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        variable.current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
        if all_value is not None:
            variable.all_value(all_value)
    return variable


def standard_variables() -> list[Any]:
    """The data source, and which lmwatch."""
    return [
        board.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        query_variable("job", "Job", "label_values(lmwatch_build_info, job)", all_value=".+"),
        query_variable(
            "instance", "Instance", 'label_values(lmwatch_build_info{job=~"$job"}, instance)', all_value=".+"
        ),
    ]


def pages_variable() -> board.QueryVariable:
    """Where lmwatch's own pages are: `web.external_url`, or else the address that Prometheus scrapes."""
    told = f"lmwatch_web_info{{{OF_LMWATCH}}}"
    scraped = (
        f'label_replace(lmwatch_build_info{{{OF_LMWATCH}}}, "external_url", "http://$1", "instance", "(.*)")'
        f" unless on (job, instance) {told}"
    )
    return (
        query_variable("pages", "Pages", f"query_result({told} or {scraped})", several=False)
        .regex('/external_url="([^"]+)"/')
        .hide(model.VariableHide.HIDE_VARIABLE)
    )


def annotation(name: str, expr: str, *, colour: str, title: str, tags: str = "", on: bool = True) -> Any:
    """Marks on all graphs while an expression gives anything."""
    return (
        board.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(on)
        .icon_color(colour)
        .expr(one_line(expr))
        .step("30s")
        .title_format(title)
        .tag_keys(tags)
    )


def written_annotations() -> Any:
    """What was written into Grafana itself with our tag: verdicts, where `grafana` is configured."""
    target = board.AnnotationTarget().type("tags").tags([TAG]).limit(100).match_any(False)
    return (
        board.AnnotationQuery()
        .name("Verdicts")
        .datasource(common.DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .enable(True)
        .icon_color(PURPLE)
        .target(_Built(target.build()))
    )


class _Built:
    """A value where the SDK wants its builder."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def build(self) -> Any:
        return self._value


def dashboard(uid: str, title: str, description: str, variables: Iterable[Any], annotations: Iterable[Any]) -> Any:
    """An empty dashboard with what all of them have."""
    others = (
        board.DashboardLink("lmwatch")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .keep_time(True)
        .include_vars(True)
    )
    made = (
        board.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(others)
    )
    for variable in variables:
        made.with_variable(variable)
    for one in annotations:
        made.annotation(one)
    return made


def row(made: Any, title: str, *panels: Any) -> None:
    """A titled row of panels; the widths of each line of it make 24."""
    made.with_row(board.Row(title))
    for panel in panels:
        made.with_panel(panel)
