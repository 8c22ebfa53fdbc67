"""Metric families of prometheus_client, named and described by the catalogue."""

from collections.abc import Iterable

from prometheus_client import Metric

from exporter.metrics.catalogue import row
from exporter.metrics.labelling import exposed_labels
from exporter.metrics.row import Row
from exporter.series.labels import Labels


def empty(entry: Row) -> Metric:
    """The family without samples."""
    return Metric(entry.family, entry.help, entry.type, entry.metadata_unit)


class Family:
    """A family under construction: samples must carry exactly the labels that the catalogue names."""

    def __init__(self, name: str) -> None:
        self._row = row(name)
        self.metric = empty(self._row)

    def add(self, values: Iterable[str], value: float, own: Labels = ()) -> None:
        """Add a sample.

        Args:
            values: one for each label in the catalogue, in its order.
            value: the sample's value.
            own: labels of a group, where the catalogue allows them.

        Raises:
            ValueError: the number of label values is not the catalogue's, or the value is no number.
            TypeError: the value is no number.
        """
        labels = dict(zip(self._row.labels, map(str, values), strict=True))
        beside = exposed_labels(own) if self._row.more_labels else ()
        sample = {name: _encodable(text) for name, text in {**labels, **dict(beside)}.items()}
        self.metric.add_sample(self._row.name, sample, float(value))


def _encodable(text: str) -> str:
    """The text as UTF-8 can hold it: JSON may bring half a surrogate pair, over which the library would lose the whole scrape."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
