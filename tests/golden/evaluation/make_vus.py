"""Makes vus.json: VUS-PR and window lengths as PyPI's `vus` says them. Run where `vus` and numpy are installed."""

import json
import sys
from importlib.metadata import version

import numpy as np
from vus.metrics import get_metrics
from vus.utils.slidingWindows import find_length

DRAW = np.random.default_rng(20220901)


def label(length, *spans):
    flags = np.zeros(length, dtype=int)
    for first, last in spans:
        flags[first : last + 1] = 1
    return flags


def case(name, flags, score, window):
    # Scores as they are written below: what `vus` sees is what the test reads.
    score = np.round(np.asarray(score, dtype=float), 4)
    got = get_metrics(score, flags, metric="vus", version="opt", slidingWindow=window, thre=250)
    spans = np.flatnonzero(np.diff(np.concatenate([[0], flags, [0]]))).reshape(-1, 2)
    return {
        "name": name,
        "instants": len(flags),
        "windows": [[int(first), int(end) - 1] for first, end in spans],
        "window": window,
        "score": score.tolist(),
        "vus_pr": float(got["VUS_PR"]),
    }


def noisy(flags, lift):
    return DRAW.random(len(flags)) + lift * flags


def cases():
    two = label(400, (100, 129), (300, 309))
    yield case("good scores", two, noisy(two, 0.7), 20)
    yield case("perfect scores", two, two, 20)
    yield case("the same score everywhere", two, np.full(400, 0.5), 20)
    yield case("upside down", two, 1.0 - two, 20)
    yield case("no tolerance", two, noisy(two, 0.4), 0)
    yield case("tolerance of one", two, noisy(two, 0.4), 1)
    yield case("odd tolerance", two, noisy(two, 0.4), 33)
    edges = label(300, (0, 4), (290, 299))
    yield case("windows at both ends", edges, noisy(edges, 0.5), 40)
    close = label(300, (50, 54), (60, 64), (90, 90), (140, 180))
    yield case("windows nearer than the tolerance", close, noisy(close, 0.5), 50)
    few = label(500, (200, 219))
    yield case("few levels, many ties", few, np.round(3 * noisy(few, 0.5)), 30)
    yield case("late detection only", few, np.where(np.arange(500) == 225, 1.0, 0.0), 30)
    short = label(60, (20, 29))
    yield case("fewer instants than thresholds", short, noisy(short, 0.5), 12)
    long = label(2000, (300, 340), (345, 350), (900, 1100), (1500, 1502), (1990, 1999))
    yield case("long", long, noisy(long, 0.3), 100)
    yield case("all labelled but one", 1 - label(100, (50, 50)), DRAW.random(100), 10)


def lengths():
    at = np.arange(1200)
    shapes = {
        "period 48": np.sin(2 * np.pi * at / 48) + 0.3 * DRAW.standard_normal(1200),
        "period 288": np.sin(2 * np.pi * at / 288) + 0.1 * DRAW.standard_normal(1200),
        "period too long": np.sin(2 * np.pi * at / 350),
        "noise": DRAW.standard_normal(800),
        "random walk": np.cumsum(DRAW.standard_normal(800)),
        "trend": at[:500] / 10,
        "short": np.sin(2 * np.pi * at[:60] / 12),
    }
    for name, shape in shapes.items():
        values = np.round(shape, 3)
        yield {"name": name, "values": values.tolist(), "length": int(find_length(values))}


json.dump(
    {"made_with": f"vus {version('vus')}", "vus_pr": list(cases()), "window_length": list(lengths())},
    sys.stdout,
    separators=(",", ":"),
)
sys.stdout.write("\n")
