"""Colours, words instead of numbers, and links: what is the same in all panels."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common as common_builder
from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

NO_TRAFFIC = "No traffic"
GREEN, YELLOW, ORANGE, RED, GREY, BLUE, PURPLE = "green", "yellow", "orange", "red", "#808080", "blue", "purple"
UP_OR_DOWN: Mapping[float, tuple[str, str]] = {0: ("Down", RED), 1: ("Up", GREEN)}


def steps(base: str, *above: tuple[float, str]) -> board.ThresholdsConfig:
    """A colour, and others from values on."""
    thresholds = [model.Threshold(value=None, color=base), *(model.Threshold(value, colour) for value, colour in above)]
    return board.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds)


def states_mapping(states: Mapping[float, tuple[str, str]]) -> model.ValueMap:
    """Words and colours instead of numbers."""
    results = {
        f"{value:g}": model.ValueMappingResult(text=text, color=colour, index=place)
        for place, (value, (text, colour)) in enumerate(states.items())
    }
    return model.ValueMap(options=results)


def looks(states: Sequence[str], colours: Mapping[str, str]) -> dict[float, tuple[str, str]]:
    """What the numbers of `coded` mean: the states in words, with their colours."""
    return {code: (state.replace("_", " ").capitalize(), colours[state]) for code, state in enumerate(states, 1)}


def nothing_measured(text: str = NO_TRAFFIC) -> model.SpecialValueMap:
    """A word for NaN, which a ratio or quantile of nothing is."""
    return model.SpecialValueMap(
        options=model.DashboardSpecialValueMapOptions(
            match=model.SpecialValueMatch.NULL_AND_NAN, result=model.ValueMappingResult(text=text, color=GREY, index=9)
        )
    )


def coloured(colour: str) -> model.DynamicConfigValue:
    """A fixed colour for a series."""
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def in_words(states: Mapping[float, tuple[str, str]]) -> model.DynamicConfigValue:
    """Words and colours instead of a column's numbers."""
    return model.DynamicConfigValue(id_val="mappings", value=[states_mapping(states)])


def styled(name: str, value: object) -> model.DynamicConfigValue:
    """Any other property of a column or series."""
    return model.DynamicConfigValue(id_val=name, value=value)


def has_unit(unit: str) -> model.DynamicConfigValue:
    """A unit for a column or series."""
    return model.DynamicConfigValue(id_val="unit", value=unit)


def linked(*links: tuple[str, str]) -> model.DynamicConfigValue:
    """Links from a column's cells: titles and addresses."""
    value = [{"title": title, "url": url, "targetBlank": not url.startswith("/d/")} for title, url in links]
    return model.DynamicConfigValue(id_val="links", value=value)


def line_at(panel: timeseries.Panel, value: float, colour: str = RED) -> timeseries.Panel:
    """A dashed line across the panel."""
    style = common_builder.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(steps("transparent", (value, colour))).thresholds_style(style)
