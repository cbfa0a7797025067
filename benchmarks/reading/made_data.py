"""A made-up data set of short texts with three labels, in every format that rows are read from."""

import csv
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LABELS = ("negative", "neutral", "positive")
TEST_PART = 10
"""One row in so many is a test row."""
EXTRAS = ("", "", "", " café", " \U0001f642", ' "so"', " :)", ", they say")

Rows = list[dict[str, Any]]


def made_rows(count: int) -> tuple[Rows, Rows]:
    """Train and test rows, `count` in all: `id`, a text of about 100 characters, a label, and a number."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]

    def rows(n: int) -> Iterator[dict[str, Any]]:
        for number in range(n):
            text = " ".join(rng.choices(words, k=15)) + rng.choice(EXTRAS)
            yield {"id": f"row-{number}", "text": text, "label": rng.choice(LABELS), "likes": rng.randrange(1000)}

    n_test = count // TEST_PART
    return list(rows(count - n_test)), list(rows(n_test))


def write(form: str, folder: Path, splits: Mapping[str, Rows]) -> None:
    """Write the splits in one of `FORMATS`."""
    FORMATS[form](folder, splits)


def _jsonl(folder: Path, splits: Mapping[str, Rows]) -> None:
    for name, rows in splits.items():
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        _write_lines(folder / f"{name}.jsonl", lines)


def _csv(folder: Path, splits: Mapping[str, Rows]) -> None:
    for name, rows in splits.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def _parquet(folder: Path, splits: Mapping[str, Rows]) -> None:
    import pyarrow
    import pyarrow.parquet

    for name, rows in splits.items():
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"{name}.parquet")


def _saved(folder: Path, splits: Mapping[str, Rows]) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({name: Dataset.from_list(rows) for name, rows in splits.items()}).save_to_disk(str(folder))


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(lines)


FORMATS: Mapping[str, Callable[[Path, Mapping[str, Rows]], None]] = {
    "parquet": _parquet,
    "saved": _saved,
    "jsonl": _jsonl,
    "csv": _csv,
}
