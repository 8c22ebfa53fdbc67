"""The log stream: how many predictions a core can count, and how fast long answers are passed over."""

import json
import time
from collections.abc import Callable

from exporter.lmstudio.logevents import LogParser
from exporter.lmstudio.logfigures import LoggedPrediction, outcome
from exporter.lmstudio.own_calls import OwnCalls, Settling

EVENTS = 20_000
PIPE = 64 * 1024
"""Bytes that a pipe gives at once."""
ROUNDS = 5
LEAST_EVENTS = 20_000.0

PROSE = "The disk of db-1 fills by 2 GB an hour; at this rate it is full at 04:10, before the backup ends.\n"
CODE = '{"series": "s1", "score": 7, "evidence": ["E1", "E3"], "note": "a\\\\b"},\n'


def event(text: str, number: int = 0) -> bytes:
    stats = {
        "stopReason": "eosFound",
        "tokensPerSecond": 41.2,
        "numGpuLayers": -1,
        "timeToFirstTokenSec": 0.31,
        "totalTimeSec": 2.71,
        "promptTokensCount": 900 + number % 100,
        "predictedTokensCount": 100,
        "totalTokensCount": 1000 + number % 100,
    }
    data = {
        "type": "llm.prediction.output",
        "output": text,
        "stats": stats,
        "modelIdentifier": f"qwen3-4b:{number % 4}",
    }
    return json.dumps({"timestamp": 1_789_795_491_321 + number, "data": data}, ensure_ascii=False).encode() + b"\n"


def pieces(data: bytes) -> list[bytes]:
    return [data[start : start + PIPE] for start in range(0, len(data), PIPE)]


def fastest(action: Callable[[], object]) -> float:
    """CPU seconds of the fastest of several calls."""
    taken = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        action()
        taken.append(time.thread_time() - started)
    return min(taken)


def count(stream: list[bytes]) -> int:
    """Everything that happens to an event between the pipe and the listener, with calls of our own to be told apart."""
    parser = LogParser()
    own = OwnCalls()
    for number in range(8):
        own.note("qwen3-4b", 900, 55, 1_789_795_491.0 + number)
    settling = Settling(own, seconds=0.0)
    told = 0
    for piece in stream:
        found: list[LoggedPrediction] = parser.feed(piece)
        for logged in found:
            settling.put(logged, monotonic=0.0, now=0.0)
        for logged in settling.due(0.0):
            outcome(logged, "desk")
            told += 1
    return told


def run() -> list[dict[str, object]]:
    """All rows."""
    small = b"".join(event("Two words of an answer, or a sentence like this one.", number) for number in range(EVENTS))
    stream = pieces(small)
    assert count(stream) == EVENTS
    rate = EVENTS / fastest(lambda: count(stream))
    note = f"{len(small) // EVENTS} bytes each: read, told apart from our own calls, brought to one meaning"
    rows: list[dict[str, object]] = [
        {
            "name": "log stream, small events",
            "value": round(rate),
            "unit": "events/s a core",
            "bar": LEAST_EVENTS,
            "ok": rate >= LEAST_EVENTS,
            "note": note,
        }
    ]
    for name, text in (("prose", PROSE), ("JSON", CODE)):
        line = event(text * (1_000_000 // len(text)))
        long = pieces(line * 8)
        assert count(long) == 8
        speed = 8 * len(line) / 1e6 / fastest(lambda long=long: count(long))
        whole = len(line) / 1e6 / fastest(lambda line=line: json.loads(line))
        rows.append(
            {
                "name": f"log stream, answers of 1 MB of {name}",
                "value": round(speed),
                "unit": "MB/s a core",
                "bar": None,
                "ok": None,
                "note": f"texts dropped as they come; json.loads, which keeps them: {whole:.0f} MB/s",
            }
        )
    return rows


if __name__ == "__main__":
    for found in run():
        print(found)
