"""Which labels an experiment takes for which."""

from dataclasses import dataclass

from sft.reporting.collect import ExperimentRecord


@dataclass(frozen=True)
class Confusion:
    """Counts of evaluated rows: one row per gold label, one column per prediction, in the order of `labels`."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def most_confused(self, limit: int) -> list[tuple[str, str, int]]:
        """(gold, prediction, rows) of the most frequent errors."""
        pairs = [
            (self.labels[gold], self.labels[predicted], count)
            for gold, row in enumerate(self.counts)
            for predicted, count in enumerate(row)
            if count and gold != predicted
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:limit]


def confusion(record: ExperimentRecord) -> Confusion | None:
    """Of the test rows as `metrics.json` holds it; None in generation."""
    details = record.part("details")
    labels, counts = details.get("labels"), details.get("confusion_matrix")
    if not isinstance(labels, list) or not isinstance(counts, list):
        return None
    rows = tuple(tuple(int(count) for count in row) for row in counts)
    is_square = len(rows) == len(labels) and all(len(row) == len(labels) for row in rows)
    return Confusion(tuple(map(str, labels)), rows) if is_square else None
