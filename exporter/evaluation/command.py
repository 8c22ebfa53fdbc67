"""`lmwatch eval`: from what a user typed to the table, the JSON document and the report."""

import difflib
import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from exporter.drawing.terminal import open_console
from exporter.errors import ConfigError
from exporter.evaluation.datasets import read_dataset
from exporter.evaluation.document import to_json, write_whole
from exporter.evaluation.evaluate import Options, amount, cases_of, evaluate
from exporter.evaluation.labelled import Dataset
from exporter.evaluation.models import parse_model
from exporter.evaluation.outputs import STANDARD_OUTPUT, Outputs, check_writable, command_line
from exporter.evaluation.progress import progress
from exporter.evaluation.reference import REFERENCES
from exporter.evaluation.report import write_report
from exporter.evaluation.results import Evaluation
from exporter.evaluation.table import print_evaluation

ALL: Final = "all"
NONE: Final = "none"
_EXAMPLES = 3


def run_eval(
    data: Path,
    options: Options,
    outputs: Outputs,
    *,
    tune_on: Path | None = None,
    only: str | None = None,
    typed: Sequence[str] = (),
) -> int:
    """Measure on the data of a folder, print the table, write the other outputs, and return the exit code.

    Args:
        data: the folder.
        options: what is measured, and how.
        outputs: beside the table.
        tune_on: a folder with data that thresholds are chosen on.
        only: a pattern that the names of cases have to match: `realTweets/*`.
        typed: the arguments of the program, as the user typed them.

    Raises:
        LmwatchError: something cannot be used, read or written; says what to do.
    """
    parse_model(options.model)
    for option, path in (("--json", outputs.json), ("--report", outputs.report), ("--record", options.record)):
        if path is not None and path not in STANDARD_OUTPUT:
            check_writable(option, Path(path))
    dataset = only_matching(read_dataset(data), only)
    tuning = None if tune_on is None else replace(read_dataset(tune_on), name=str(tune_on))
    console = Console(stderr=True, highlight=False)
    if tune_on is not None and _overlap(data.resolve(), tune_on.resolve()):
        console.print(
            "note: thresholds are chosen on data that they are measured on, which flatters every row", soft_wrap=True
        )
    with progress(_what(dataset, options, tuning), amount(dataset, options, tuning), console) as tell:
        evaluation = evaluate(dataset, options, tuning=tuning, command=command_line(typed), tell=tell)
    _put_out(evaluation, outputs)
    return 0


def parse_references(text: str) -> tuple[str, ...]:
    """Read `all`, `none` or names divided by commas; they stand in the table in its own order.

    Raises:
        ConfigError: there is no such detector; names what is nearest.
    """
    if text in (ALL, NONE):
        return tuple(REFERENCES) if text == ALL else ()
    named = [name.strip() for name in text.split(",")]
    for name in named:
        if name not in REFERENCES:
            near = difflib.get_close_matches(name, REFERENCES, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {ALL}, {NONE}, {', '.join(REFERENCES)}"
            raise ConfigError(f"--references: no detector {name!r}, {meant}")
    return tuple(name for name in REFERENCES if name in named)


def only_matching(dataset: Dataset, pattern: str | None) -> Dataset:
    """The data with those cases only whose names match a pattern such as `realTweets/*`; all for None.

    Raises:
        ConfigError: there is none.
    """
    if pattern is None:
        return dataset
    cases = tuple(case for case in dataset.cases if fnmatch.fnmatchcase(case.name, pattern))
    experiments = tuple(one for one in dataset.experiments if fnmatch.fnmatchcase(one.case.name, pattern))
    if not cases and not experiments:
        names = [case.name for case in cases_of(dataset)]
        more = ", …" if len(names) > _EXAMPLES else ""
        raise ConfigError(f"--only {pattern}: matches no case of {dataset.name}: {', '.join(names[:_EXAMPLES])}{more}")
    return replace(dataset, cases=cases, experiments=experiments)


def _what(dataset: Dataset, options: Options, tuning: Dataset | None) -> str:
    cases, detectors = len(cases_of(dataset)), 1 + len(options.references)
    tuned = "" if tuning is None else f", tuned on {tuning.name}"
    return (
        f"{dataset.name}{tuned}: {cases} {'case' if cases == 1 else 'cases'}, "
        f"{detectors} {'detector' if detectors == 1 else 'detectors'}"
    )


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _put_out(evaluation: Evaluation, outputs: Outputs) -> None:
    if outputs.json in STANDARD_OUTPUT:
        print_evaluation(evaluation, open_console(stderr=True))
        sys.stdout.write(to_json(evaluation))
        sys.stdout.flush()
    else:
        print_evaluation(evaluation)
        if outputs.json is not None:
            write_whole(Path(outputs.json), to_json(evaluation))
    if outputs.report is not None:
        write_report(evaluation, outputs.report)
