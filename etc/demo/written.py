"""Rows as JSON lines in a train and a test file, divided by a hash, so that they are the same everywhere."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sft.runs.atomic import write_text

SPLITS = ("train", "test")
TEST_SHARE = 0.25

Rows = Iterable[Mapping[str, Any]]


def is_written(folder: Path) -> bool:
    """Whether both files are there."""
    return all((folder / f"{split}.jsonl").is_file() for split in SPLITS)


def write_splits(folder: Path, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write `train.jsonl` and `test.jsonl`, each in the order of the hashes of the rows' texts.

    Args:
        folder: of the two files.
        rows: (text, row); rows of equal text are on one side.
    """
    mixed = sorted(rows, key=lambda item: _hash(item[0]))
    for split in SPLITS:
        own = [row for text, row in mixed if is_test(text) == (split == "test")]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in own)
        write_text(folder / f"{split}.jsonl", lines)
        print(f"{folder / split}.jsonl: {len(own)} rows")


def is_test(text: str) -> bool:
    """Whether the row of a text is a test row: a quarter of all texts are."""
    return int(_hash(text)[:8], 16) < TEST_SHARE * 16**8


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
