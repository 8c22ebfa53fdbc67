"""`make bench`: run every benchmark, print one table, write bench.json."""

import importlib
import json
import platform
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

MODULES = tuple(
    f"bench.{name}_bench"
    for name in ("series", "screening", "metrics", "scrape", "poll", "logstream", "proxy", "pushdown", "pages")
)


def main() -> int:
    """Run what is named on the command line, else everything."""
    wanted = [f"bench.{name}_bench" for name in sys.argv[1:]] or list(MODULES)
    if unknown := [name for name in sys.argv[1:] if f"bench.{name}_bench" not in MODULES]:
        there = ", ".join(name.removeprefix("bench.").removesuffix("_bench") for name in MODULES)
        print(f"no benchmark {', '.join(unknown)}; there are {there}", file=sys.stderr)
        return 2
    rows = [row for name in wanted for row in importlib.import_module(name).run()]
    table = Table(title="lmwatch benchmarks")
    for heading in ("what", "figure", "bar", "", "note"):
        table.add_column(heading, justify="right" if heading in ("figure", "bar") else "left", overflow="fold")
    for row in rows:
        verdict = {True: "ok", False: "MISSED", None: ""}[row["ok"]]
        bar = "" if row["bar"] is None else f"{row['bar']:g}"
        table.add_row(row["name"], f"{row['value']:.4g} {row['unit']}", bar, verdict, row["note"])
    Console(width=150).print(table)
    report = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "rows": rows,
    }
    Path("bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 1 if any(row["ok"] is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
