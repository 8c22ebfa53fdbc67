"""What several test files of this folder need."""

from pathlib import Path

from exporter.series.exposition import ExpositionReader, Limits, Reading
from exporter.series.labels import Labels, Series
from exporter.series.window import TargetWindow

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
EXPOSITIONS = Path(__file__).parents[2] / "testdata" / "expositions"


class Bench:
    """Short ways to make readers and windows, and to say what they hold."""

    text = TEXT
    openmetrics = OPENMETRICS
    expositions = EXPOSITIONS

    @staticmethod
    def reader(labels: Labels = (), *, honor: bool = False, limits: Limits | None = None) -> ExpositionReader:
        return ExpositionReader(labels, honor, limits or Limits())

    @staticmethod
    def window(interval: float = 15.0, horizon: float = 150.0, **limits: int) -> TargetWindow:
        return TargetWindow("here:1", ExpositionReader((), False, Limits(**limits)), interval, horizon)

    @staticmethod
    def content(reader: ExpositionReader, reading: Reading) -> dict[str, float]:
        """Values by the written series, in the order of the reading."""
        return {str(reader.series(row)): value for row, value in zip(reading.rows, reading.values, strict=True)}

    @staticmethod
    def known(reader: ExpositionReader, reading: Reading) -> list[Series]:
        return [reader.series(row) for row in reading.rows]
