"""Reading by column and index gives what reading whole tables as Python objects gives (`slow_rows`), errors too."""

import csv
import datetime
import decimal
import io
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from sft.config.dataset import DatasetConfig
from sft.data.loading import GoldReading, load_splits
from sft.data.rows import Row, Splits
from sft.data.selection import Selection, select
from sft.exceptions import UserError
from tests.support import slow_rows

TEXTS = (
    "good day",
    "Good  Day",
    "so, so",
    'a "b"',
    "x\ny, z",
    "x\r\ny",
    "café",
    "\U0001f642",
    "nan",
    " ",
    "n/a",
    "ｇood day",
)
ROUNDS = 12
ODD = 0.15
"""How often something is not as it should be."""

Rng = random.Random
Write = Callable[[Rng, Path], None]


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet"])
def test_random_data_give_the_rows_and_errors_that_slow_reading_gives(tmp_path: Path, form: str) -> None:
    outcomes = {_read_both(tmp_path, FORMATS[form], seed) for seed in range(ROUNDS)}
    assert outcomes == {"rows", "error"}


def test_saved_folders_give_the_rows_that_slow_reading_gives(tmp_path: Path) -> None:
    assert _read_both(tmp_path, _saved, 1) == "rows"


def _read_both(folder: Path, write: Write, seed: int) -> str:
    rng = Rng(f"{write.__name__}{seed}")
    place = folder / f"{write.__name__}{seed}"
    place.mkdir()
    by_shares = rng.random() < 0.4
    for name in ["all"] if by_shares else ["train", "dev", "test"]:
        write(rng, place / name)
    found = "error"
    for _ in range(4):
        dataset = _config(rng, place, by_shares)
        used = rng.sample(["text", "other"], rng.randint(1, 2)) if rng.random() < 0.9 else ["odd"]
        rng.random()
        fast = _outcome(lambda: _fast(dataset, used, folder))  # noqa: B023
        slow = _outcome(lambda: _slow(dataset, used, folder))  # noqa: B023
        assert fast == slow
        found = found if isinstance(fast, tuple) else "rows"
    return found


def _config(rng: Rng, place: Path, by_shares: bool) -> DatasetConfig:
    seed = rng.randrange(3)
    splits: dict[str, Any] = {"dev": "dev", "seed": seed} if rng.random() < 0.5 else {"seed": seed}
    if by_shares:
        splits = {"test": 0.3, "seed": seed, "stratify": rng.random() < 0.5}
        splits |= {"dev": 0.2} if rng.random() < 0.5 else {}
        splits |= {"group_by": "other"} if rng.random() < 0.3 else {}
    found = sorted(path.name for path in place.parent.glob(f"{place.name}/all*"))
    written = {
        "path": f"{place.name}/{found[0]}" if found else place.name,
        "task_type": rng.choice(["classification", "generation"]),
        "shots": rng.choice([0, 1, 3, "all"]),
        "if_fewer": rng.choice(["error", "use_all"]),
        "on_missing": rng.choice(["error", "drop", "empty", "drop"]),
        "splits": splits,
        **{name: rng.choice([None, 1, 5]) for name in ("max_n_train", "max_n_test", "max_n_dev")},
    }
    return DatasetConfig.model_validate(written)


def _outcome(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except UserError as error:
        return "error", type(error).__name__, str(error)


def _fast(dataset: DatasetConfig, used: Sequence[str], folder: Path) -> Any:
    strata = "label" if dataset.task_type == "classification" else None
    splits = load_splits(dataset, used, "label", folder, None, GoldReading(strata))
    return _told(splits, splits.remarks, dataset, select)


def _slow(dataset: DatasetConfig, used: Sequence[str], folder: Path) -> Any:
    read = slow_rows.load_splits(dataset, used, "label", folder)
    return _told(read.splits, read.remarks, dataset, slow_rows.select)


def _told(
    splits: Splits, remarks: Sequence[str], dataset: DatasetConfig, selecting: Callable[..., Selection]
) -> dict[str, Any]:
    values = slow_rows.label_values(splits, "label") if dataset.task_type == "classification" else None
    known = values if values is None or len(values) < 3 else values[1:]
    return {
        "class_names": splits.class_names,
        "remarks": remarks,
        "splits": [
            None if split is None else (split.name, list(split.columns), _plain(split.rows))
            for split in (splits.train, splits.dev, splits.test)
        ],
        "selected": _outcome(lambda: _indices(selecting(dataset, splits, "label", known, 7))),
    }


def _plain(rows: Sequence[Row]) -> list[Any]:
    """With the order of the columns, with the types that equal numbers may differ in, and with texts."""
    return [(row.source_index, repr(dict(row.values)), [row.text(column) for column in row.values]) for row in rows]


def _indices(selection: Selection) -> list[Any]:
    parts = (selection.train, selection.shots, selection.dev, selection.test, selection.pool)
    return [None if rows is None else [row.source_index for row in rows] for rows in parts]


def _jsonl(rng: Rng, path: Path) -> None:
    lines = []
    for _ in range(rng.choice([0, 1, 8, 30])):
        record: dict[str, Any] = {"text": rng.choice(TEXTS), "label": rng.choice(["a", "b", "c"]), "id": len(lines)}
        record |= {"other": rng.choice([1, 1.0, True, -0.0, "1", [1, "x"], {"k": [None]}, 1e30, 2**70])}
        _disturb(rng, record)
        lines.append(json.dumps(record, ensure_ascii=rng.random() < 0.5))
        if rng.random() < ODD / 3:
            lines.append(rng.choice(["", "  ", " " + lines[-1] + " \r", "\x1f"]))
    if rng.random() < ODD:
        faults = [
            '{"a": 1, "a": 2}',
            '{"x": NaN}',
            "[1]" if lines else "3",  # alone, a list is a file of JSON with another message
            "3",
            '{"t": "\\ud83d"}',
            "{",
            '{"a": 1} {"b": 2}',
            '{"n": 1e999}',
        ]
        lines.insert(rng.randint(0, len(lines)), rng.choice(faults))
    _write(rng, path.with_suffix(".jsonl"), "\n".join(lines) + rng.choice(["", "\n"]))


def _disturb(rng: Rng, record: dict[str, Any]) -> None:
    for column in list(record):
        if rng.random() < ODD / 3:
            record[column] = rng.choice([None, ""])
        if rng.random() < ODD / 3:
            del record[column]
    if rng.random() < ODD / 3:
        record["late"] = 1
    if rng.random() < ODD:
        items = rng.sample(list(record.items()), len(record))
        record.clear()
        record.update(items)


def _write(rng: Rng, path: Path, text: str) -> None:
    data = (b"\xef\xbb\xbf" if rng.random() < ODD else b"") + text.encode("utf-8")
    if rng.random() < ODD / 2:
        place = rng.randint(0, len(data))
        data = data[:place] + b"\xe9" + data[place:]
    path.write_bytes(data)


def _csv(rng: Rng, path: Path) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=rng.choice(",;\t|"), lineterminator=rng.choice(["\n", "\r\n"]))
    _fill(rng, writer.writerow)
    text = out.getvalue()
    if rng.random() < ODD:
        lines = text.split("\n")
        lines.insert(rng.randint(0, len(lines)), rng.choice(["", "a", '"open', 'x"y"z', "\r", '"a"b,c', "\r\r"]))
        text = "\n".join(lines)
    _write(rng, path.with_suffix(".csv"), text)


def _tsv(rng: Rng, path: Path) -> None:
    lines: list[str] = []
    _fill(rng, lambda cells: lines.append("\t".join(cell.replace("\n", " ").replace("\r", "") for cell in cells)))
    if rng.random() < 0.5:
        lines.append('"a"\t"b"\t"c"\t"1"')
    _write(rng, path.with_suffix(".tsv"), "\n".join(lines))


def _fill(rng: Rng, write: Callable[[list[str]], Any]) -> None:
    header = ["text", "label", "other", "id"]
    odd_header = [*header[: rng.choice([3, 4])], rng.choice(["id", "id", "id", "text", '"text"'])]
    write(odd_header if rng.random() < ODD else header)
    for number in range(rng.choice([0, 1, 8, 30])):
        cells = [rng.choice(TEXTS), rng.choice("abc"), rng.choice(["1", "1.0", "NA"]), str(number)]
        write(["" if rng.random() < ODD / 4 else cell for cell in cells])


def _parquet(rng: Rng, path: Path) -> None:
    table = _arrow_table(rng)
    if rng.random() < 0.5:
        names = rng.choice([["b", "a", "c"], ["a"], ["a", "", "c"]])
        features = {"label": {"_type": "ClassLabel", "names": names}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(table, path.with_suffix(".parquet"), row_group_size=rng.choice([3, 100]))


def _arrow_table(rng: Rng) -> Any:
    n = rng.choice([0, 1, 8, 30, 80])
    label: list[Any] = rng.choice([["a", "b", "c"], [0, 1, 2, -1], [0, 1]])
    columns = {
        "text": _column(rng, n, TEXTS, pyarrow.string()),
        "label": _column(rng, n, label, None),
        "other": _column(rng, n, *rng.choice(_OTHERS)),
        "odd": _column(rng, n, *rng.choice(_OTHERS)),
    }
    if rng.random() < 0.2:
        columns["text"] = columns["text"].dictionary_encode()
    names = rng.sample(list(columns), 4)
    if rng.random() < ODD:
        names = names[:3]
    return pyarrow.table({name: columns[name] for name in names})


def _column(rng: Rng, n: int, values: Sequence[Any], kind: Any) -> Any:
    cells = [None if rng.random() < ODD / 4 else rng.choice(values) for _ in range(n)]
    if kind is None:
        kind = pyarrow.int64() if isinstance(values[0], int) else pyarrow.string()
    return pyarrow.array(cells, kind)


_OTHERS: list[tuple[Sequence[Any], Any]] = [
    (["", "x"], pyarrow.large_string()),
    ([1, 2**40], pyarrow.int64()),
    ([1, 2**63], pyarrow.uint64()),
    ([True, False], pyarrow.bool_()),
    ([1.0, 1.5, -0.0, math.nan, math.inf], pyarrow.float64()),
    ([1.0, 0.1], pyarrow.float32()),
    ([[1.0, math.nan], [], [None]], pyarrow.list_(pyarrow.float64())),
    (
        [{"a": 1, "b": [""]}, {"a": None, "b": None}],
        pyarrow.struct({"a": pyarrow.int8(), "b": pyarrow.list_(pyarrow.string())}),
    ),
    ([datetime.date(2026, 1, 2)], pyarrow.date32()),
    ([2**31 - 1, 0], pyarrow.date32()),
    ([datetime.datetime(2026, 1, 2, 3)], pyarrow.timestamp("us")),
    ([2**62], pyarrow.timestamp("us")),
    ([decimal.Decimal("1.20")], pyarrow.decimal128(9, 2)),
    ([b"x"], pyarrow.binary()),
    ([None, None], pyarrow.null()),
]


def _saved(rng: Rng, path: Path) -> None:
    import datasets

    n = 30
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["b", "a"])})
    cells = {"text": [rng.choice(TEXTS) for _ in range(n)], "label": [rng.choice([0, 1, None]) for _ in range(n)]}
    folder = path.with_suffix("") if path.name == "all" else path
    datasets.Dataset.from_dict(cells, features=features).save_to_disk(str(folder))
    (path.parent / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "dev", "test"]}))


FORMATS: dict[str, Write] = {"jsonl": _jsonl, "csv": _csv, "tsv": _tsv, "parquet": _parquet}
