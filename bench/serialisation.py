"""How a series is best written for a model: tokens, valid and grounded answers, and separation, by measurement.

    python -m bench.serialisation DATA [--ask N] [--styles a,b] [--model FILE.gguf]

DATA is a folder in the layout of the Numenta Anomaly Benchmark. Windows are cut from it: half end inside a labelled
window, half far from all, all with the history that screening needs. Each is screened as the product does and written in
each style; the model's own tokenizer counts. With `--ask` the model answers the first N windows in each style.
"""

import argparse
import csv
import json
import re
import statistics
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from exporter.config.model import Selection
from exporter.embedded.engine import LlamaEngine, find_demo_model
from exporter.lmstudio.wire import Model
from exporter.reasoning.checks import ParsedAnswer, parse_answer
from exporter.reasoning.grounding import stated_in
from exporter.reasoning.prompt import build_request, system_prompt
from exporter.reasoning.room import Room
from exporter.reasoning.schema import answer_schema
from exporter.reasoning.snapshot import Snapshot, build_snapshot
from exporter.screening.groups import assemble, group_rows
from exporter.screening.policy import policy_of
from exporter.screening.result import ScreenedGroup
from exporter.screening.screen import screen
from exporter.series.frame import FloatArray, Frame
from exporter.series.labels import Series

COUNTED = 12
"""Windows whose tokens are counted."""
INSTANTS = 240
FAR = 288
"""Instants between a calm window and the nearest label: a day of 5-minute values."""
SEED = 20260
_LINE = re.compile(r"(?P<series>S\d+) |(?P<fact>E\d+): |(?P<before>before), |(?P<newest>newest), ")
_EXAMPLES = re.compile(r"\n\nExample.*", re.DOTALL)

_ALLOWED, _ALLOWED_AGAIN = "Figures only as its facts state them, no ids", "figures only as the facts state them"
_FIGURES = {
    "The queue is several times as long as usual and stays so.": "The queue holds 61 entries, usually 2 to 14.",
    "CPU use is as usual.": "CPU use of 0.31 is as usual.",
    "The queue is hardly longer than usual.": "The queue holds 15 entries, hardly more than the usual 2 to 14.",
    "The queue jumped and stays full": "The queue jumped at 07:10 and stays full",
}


@dataclass(frozen=True)
class Style:
    """One way to write a series; the defaults are the product's."""

    separator: str = " "
    coarse: str = "median"
    blocks: int = 8
    newest: int = 8
    digits: int = 4
    facts: str = "first"
    examples: bool = True
    figures: bool = False
    """Whether the sentences of the examples state figures."""
    words: bool = False
    """Whether figures are forbidden in sentences."""


STYLES = {
    "as shipped": Style(),
    "commas between values": Style(separator=", "),
    "one value a line": Style(separator="\n"),
    "coarse history as means": Style(coarse="mean"),
    "coarse history as min/mean/max": Style(coarse="range"),
    "no coarse history": Style(blocks=0),
    "24 newest values": Style(newest=24),
    "3 digits": Style(digits=3),
    "facts after values": Style(facts="last"),
    "all 240 values without facts": Style(blocks=0, newest=INSTANTS, facts="none"),
    "without examples": Style(examples=False),
    "examples with figures": Style(figures=True),
    "figures forbidden": Style(words=True),
}
"""The last three change the instructions, the others the data."""


class CountingEngine(LlamaEngine):
    """The built-in engine, which also counts tokens."""

    def _parameters(self, native: Any) -> Any:
        parameters = super()._parameters(native)
        self._key = parameters.api_keys[0]
        return parameters

    def count(self, text: str) -> int:
        """Tokens of a text, by the tokenizer of the model."""
        request = urllib.request.Request(
            f"{self._server.listening_address}/tokenize",
            json.dumps({"content": text}).encode(),
            {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return len(json.load(answer)["tokens"])


@dataclass(frozen=True, eq=False)
class Window:
    group: ScreenedGroup
    anomalous: bool
    at: float


def windows_of(data: Path, most: int) -> list[Window]:
    """As many anomalous as calm windows, from different series as far as there are, in a mixed order."""
    random = np.random.default_rng(SEED)
    labels = json.loads((data / "windows.json").read_text())
    found: dict[bool, list[Window]] = {True: [], False: []}
    names = [name for name in sorted(labels) if (data / name).is_file()]
    random.shuffle(names)
    for name in names:
        times, values = _read(data / name)
        spans = [tuple(_seconds(end) for end in window) for window in labels[name]]
        inside = np.zeros(times.size, dtype=bool)
        for start, end in spans:
            inside |= (times >= start) & (times <= end)
        near = np.convolve(inside, np.ones(2 * FAR + 1), "same") > 0
        for anomalous, places in ((True, _middles(times, spans)), (False, np.flatnonzero(~near))):
            usable = places[places >= INSTANTS]
            if usable.size and len(found[anomalous]) < most // 2:
                found[anomalous].append(_window(name, times, values, int(random.choice(usable)), anomalous))
    return [window for pair in zip(found[True], found[False], strict=False) for window in pair]


def _middles(times: FloatArray, spans: Sequence[tuple[float, ...]]) -> Any:
    """The instants around the middles of labelled windows, which lie at the anomaly itself."""
    middles = [int(np.searchsorted(times, (start + end) / 2)) for start, end in spans]
    return np.array([middle + step for middle in middles for step in range(4) if middle + step < times.size])


def _read(path: Path) -> tuple[FloatArray, FloatArray]:
    with path.open() as file:
        rows = [(_seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
    by_time = dict(rows)
    return np.array(list(by_time)), np.array(list(by_time.values()))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _window(name: str, times: FloatArray, values: FloatArray, last: int, anomalous: bool) -> Window:
    cut = slice(last + 1 - INSTANTS, last + 1)
    series = (Series(Path(name).stem, (), "gauge"),)
    interval = float(np.median(np.diff(times)))
    frame = Frame("nab", series, np.zeros(1, dtype=np.intp), times[cut], values[None, cut], interval)
    result = screen(frame, policy_of([Selection(series="nab")], frame.select))
    group = assemble("bench", (), [result], [group_rows(series, ())], [""], limit=24)
    return Window(group, anomalous, float(times[last]))


def written(window: Window, style: Style) -> tuple[str, Snapshot]:
    """Instructions and snapshot in a style."""
    snapshot = build_snapshot(window.group, context="", earlier=(), at=window.at, budget_tokens=100_000, estimate=len)
    text = "\n".join(_restyled(snapshot.text, window.group, style))
    stated = stated_in(text)
    system = system_prompt()
    if not style.examples:
        system = _EXAMPLES.sub("", system)
    for said, with_figures in _FIGURES.items() if style.figures else ():
        assert said in system, said
        system = system.replace(said, with_figures)
    if style.words:
        assert _ALLOWED in system
        system = system.replace(_ALLOWED, "In words, without digits and ids")
    return system, replace(snapshot, text=text, numbers=stated.numbers, names=stated.names)


def _restyled(text: str, group: ScreenedGroup, style: Style) -> Iterator[str]:
    held: list[str] = []
    rank = -1
    for line in text.split("\n"):
        match = _LINE.match(line)
        kind = match.lastgroup if match else None
        if kind == "series":
            rank += 1
        elif kind == "before" or (kind == "fact" and style.facts == "none"):
            continue
        elif kind == "fact" and style.facts == "last":
            held.append(line)
            continue
        elif kind == "newest":
            yield from _history(group.series[rank].values, group.series[rank].interval, style)
            yield from held
            held = []
            continue
        yield line


def _history(values: FloatArray, interval: float, style: Style) -> Iterator[str]:
    cut = max(values.size - style.newest, 0)
    if style.blocks and cut:
        parts = np.array_split(values[:cut], style.blocks)
        length = f"{interval * cut / style.blocks / 60:.0f}m"
        if style.coarse == "range":
            told = ["/".join(_number(each(part), style) for each in (np.min, np.mean, np.max)) for part in parts]
            yield f"before, min/mean/max of each {length}: {style.separator.join(told)}"
        else:
            each = np.median if style.coarse == "median" else np.mean
            told = [_number(each(part), style) for part in parts]
            yield f"before, {style.coarse} of each {length}: {style.separator.join(told)}"
    told = [_number(value, style) for value in values[cut:].tolist()]
    yield f"newest, one each {interval / 60:.0f}m: {style.separator.join(told)}"


def _number(value: Any, style: Style) -> str:
    return f"{float(value):.{style.digits}g}"


def _auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The share of pairs of an anomalous and a calm window that the score puts in the right order; ties count half."""
    high = [score for score, label in zip(scores, labels, strict=True) if label]
    low = [score for score, label in zip(scores, labels, strict=True) if not label]
    pairs = [(one > other) + 0.5 * (one == other) for one in high for other in low]
    return statistics.fmean(pairs) if pairs else float("nan")


def count_tokens(engine: CountingEngine, windows: Sequence[Window], style: Style) -> dict[str, float]:
    told = [written(window, style) for window in windows]
    return {
        "instructions": engine.count(told[0][0]),
        "snapshot": statistics.fmean(engine.count(snapshot.text) for _, snapshot in told),
    }


def ask(engine: CountingEngine, windows: Sequence[Window], style: Style) -> dict[str, float]:
    """What comes of asking the model about each window once."""
    room = Room.of(Model("bench", "bench", "llm", loaded=True, context_length=4096), 0, 1.0)
    scores: list[float] = []
    labels: list[bool] = []
    grounded = 0
    began = time.monotonic()
    for window in windows:
        system, snapshot = written(window, style)
        request = build_request(snapshot, "bench", max_tokens=room.answer(1), schema=answer_schema(snapshot))
        messages: list[Mapping[str, str]] = [
            {"role": "system", "content": system},
            {"role": "user", "content": _question(request.messages[1].content, style)},
        ]
        pieces = engine.stream(messages, max_tokens=request.max_tokens, seed=SEED, schema=request.schema)
        answer = parse_answer("".join(piece.text for piece in pieces), snapshot)
        if isinstance(answer, ParsedAnswer):
            scores.append(statistics.fmean((answer.group_score, answer.findings[0].llm_score)))
            labels.append(window.anomalous)
            grounded += not answer.problems
    return {
        "valid": len(scores) / len(windows),
        "grounded": grounded / len(windows),
        "auroc": _auroc(scores, labels),
        "seconds": (time.monotonic() - began) / len(windows),
    }


def _question(text: str, style: Style) -> str:
    assert _ALLOWED_AGAIN in text
    return text.replace(_ALLOWED_AGAIN, "sentences in words, without digits") if style.words else text


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure how a series is best written for a model.")
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--ask", type=int, default=0, metavar="N")
    arguments.add_argument("--styles", default=",".join(STYLES), help="names, with commas between them")
    arguments.add_argument("--model", type=Path)
    given = arguments.parse_args()
    windows = windows_of(given.data, max(COUNTED, given.ask))
    screened = _auroc([window.group.series[0].score for window in windows], [window.anomalous for window in windows])
    print(f"{len(windows)} windows; the screen alone separates them at AUROC {screened:.2f}\n")
    print("| style | instructions, tokens | snapshot, tokens | valid | grounded | AUROC | s a call |")
    print("|---|---|---|---|---|---|---|")
    engine = CountingEngine(given.model or find_demo_model(), context_length=4096)
    try:
        for name in given.styles.split(","):
            tokens = count_tokens(engine, windows[:COUNTED], STYLES[name])
            row = [name, f"{tokens['instructions']:.0f}", f"{tokens['snapshot']:.0f}"]
            if given.ask:
                figures = ask(engine, windows[: given.ask], STYLES[name])
                row += [f"{figures[key]:.2f}" for key in ("valid", "grounded", "auroc")] + [f"{figures['seconds']:.1f}"]
            else:
                row += ["–"] * 4
            print(f"| {' | '.join(row)} |", flush=True)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
