"""Rows read and selected the obvious way: whole tables as Python objects, every row a dictionary. Tests compare."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sft.config.dataset import DatasetConfig
from sft.data.files.arrow_columns import BINARY, _cells, _has_binary
from sft.data.files.delimited import (
    WITH_QUOTING,
    _kept_marks,
    _records,
    _row,
    _spanning_cells,
)
from sft.data.files.dialects import dialect_of, has_no_quoting
from sft.data.files.json_files import _json_object
from sft.data.files.text_files import decoded, text_lines
from sft.data.layout import find_layout
from sft.data.leaks import normalised_input
from sft.data.rows import Row, Split, Splits
from sft.data.sampling import by_stratum, random_for, shuffled
from sft.data.selection import Selection, _check_enough
from sft.data.shares import cut
from sft.data.sources import FileSplit, SavedSplit, local_splits
from sft.exceptions import DataError
from sft.wording import listed, quoted, shown


@dataclass(frozen=True)
class SlowTable:
    columns: tuple[str, ...]
    records: tuple[Mapping[str, Any], ...]
    class_names: Mapping[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SlowSplits:
    splits: Splits
    remarks: tuple[str, ...]


def read(source: Any, dataset: DatasetConfig) -> SlowTable:
    if isinstance(source, SavedSplit):
        import datasets

        loaded = datasets.load_from_disk(str(source.folder))
        names = {column: feature.names for column, feature in loaded.features.items() if hasattr(feature, "names")}
        return from_arrow(loaded.data.table, names)
    assert isinstance(source, FileSplit)
    return merged([_read_file(path, source.format, dataset) for path in source.files])


def _read_file(path: Path, kind: str, dataset: DatasetConfig) -> SlowTable:
    match kind:
        case "csv" | "tsv":
            return read_csv(path, dataset)
        case "jsonl":
            return read_jsonl(path, dataset)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, partitioning=None)
    try:
        return from_arrow(table, _declared(table))
    except DataError as error:
        raise DataError(f"{path.name}: {error}") from None


def read_jsonl(path: Path, dataset: DatasetConfig) -> SlowTable:
    text = decoded(path, dataset.read.encoding)
    lines = enumerate(text.split("\n"), start=1)
    records = [_json_object(path, number, line) for number, line in lines if line.strip()]
    columns = tuple(dict.fromkeys(column for record in records for column in record))
    if not columns:
        raise DataError(f"{path.name}: the file is empty" if not records else f"{path.name}: no row has a column")
    return SlowTable(columns, tuple(_filled(record, columns) for record in records), {})


def read_csv(path: Path, dataset: DatasetConfig) -> SlowTable:
    text = decoded(path, dataset.read.encoding)
    dialect = dialect_of(path, lambda: text_lines(text), dataset.read)
    records = _records(path, text_lines(text), dialect)
    header = next(records, None)
    if header is None:
        raise DataError(f"{path.name}: the file is empty")
    columns = header.cells
    if len(set(columns)) < len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise DataError(f"{path.name}: the header has columns twice: {', '.join(map(repr, twice))}")
    kept = list(records)
    cells = [_row(path, columns, record, dialect, len(columns)) for record in kept]
    rows = [{column: cell or None for column, cell in zip(columns, row, strict=True)} for row in cells]
    no_quoting = has_no_quoting(path, dataset.read)
    remarks = _kept_marks(path, kept) if no_quoting else _spanning_cells(path, kept, dialect)
    return SlowTable(tuple(columns), tuple(rows), {}, tuple(remarks))


def from_arrow(table: Any, class_names: Mapping[str, Sequence[str]]) -> SlowTable:
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise DataError(f"there are columns twice: {', '.join(map(quoted, twice))}; give each its own name")
    cells: dict[str, list[Any]] = {}
    unread: dict[str, str] = {}
    for name in table.column_names:
        column = table.column(name)
        if _has_binary(column.type):
            unread[name] = BINARY
            continue
        try:
            column.validate(full=True)
            cells[name] = _cells(column.to_pylist(), class_names.get(name))
        except (ValueError, OverflowError, KeyError) as error:
            unread[name] = f"what cannot be read ({str(error).splitlines()[0]})"
    records = tuple(dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    names = {name: tuple(own) for name, own in class_names.items() if name in cells}
    told = {name: kind for name, kind in unread.items() if kind != BINARY}
    remarks = tuple(f"column {quoted(name)} is left out: it holds {kind}" for name, kind in told.items())
    return SlowTable(tuple(cells), records, names, remarks, unread)


def _declared(table: Any) -> dict[str, list[str]]:
    raw = (table.schema.metadata or {}).get(b"huggingface")
    features = json.loads(raw)["info"]["features"] if raw else {}
    return {column: feature["names"] for column, feature in features.items() if "names" in feature}


def _filled(record: Mapping[str, Any], columns: Sequence[str]) -> Mapping[str, Any]:
    return record if len(record) == len(columns) else {column: record.get(column) for column in columns}


def merged(tables: Sequence[SlowTable]) -> SlowTable:
    if len(tables) == 1:
        return tables[0]
    columns = tuple(dict.fromkeys(column for table in tables for column in table.columns))
    records = tuple(_filled(record, columns) for table in tables for record in table.records)
    class_names = {column: names for table in tables for column, names in table.class_names.items()}
    remarks = tuple(remark for table in tables for remark in table.remarks)
    unread = {column: kind for table in tables for column, kind in table.unread.items() if column not in columns}
    return SlowTable(columns, records, class_names, remarks, unread)


def load_splits(dataset: DatasetConfig, used: Sequence[str], output: str, folder: Path) -> SlowSplits:
    layout = find_layout(dataset, local_splits(dataset, folder), folder)
    inputs = tuple(column for column in dict.fromkeys(used) if column != output)
    if layout.whole is not None:
        whole = read(layout.whole, dataset)
        tables = {role: (whole, rows) for role, rows in _cut(whole, dataset, inputs, output).items()}
    else:
        sources = {role: read(source, dataset) for role, source in layout.roles().items()}
        tables = {role: (table, _rows(table)) for role, table in sources.items()}
    ready: dict[str, Split] = {}
    class_names: dict[str, tuple[str, ...]] = {}
    for role, (table, rows) in tables.items():
        must_have_gold = role == "train" and dataset.shots != 0
        needed = [*inputs, output] if must_have_gold or output in table.columns else list(inputs)
        _check_columns(table, needed)
        if dataset.on_missing == "empty":
            places = _places(role, layout.whole or layout.roles()[role], dataset)
            _check_filled(table, rows, inputs, output if output in needed else None, places)
        complete = _complete(role, rows, needed, dataset.on_missing)
        ready[role] = Split(role, table.columns, complete, len(rows) - len(complete))
        class_names = {**table.class_names, **class_names}
    remarks = tuple(dict.fromkeys(remark for table, _ in tables.values() for remark in table.remarks))
    return SlowSplits(Splits(ready.get("train"), ready.get("dev"), ready["test"], class_names), remarks)


def _rows(table: SlowTable) -> tuple[Row, ...]:
    return tuple(Row(index, record) for index, record in enumerate(table.records))


def _cut(table: SlowTable, dataset: DatasetConfig, inputs: Sequence[str], output: str) -> dict[str, tuple[Row, ...]]:
    splits, group = dataset.splits, dataset.splits.group_by
    _check_columns(table, [*inputs, *([group] if group else [])])
    rows = _rows(table)
    if not rows:
        raise DataError(f"there are no rows to cut; columns are: {listed(table.columns)}")
    keys = []
    for row in rows:
        text = normalised_input(row, inputs)
        keys.append([("text", text)] if text else [])
        if group and not _missing(row, group):
            keys[-1].append(("group", row.text(group)))
    by_label = splits.stratify and dataset.task_type == "classification" and output in table.columns
    strata = [row.text(output) if by_label else "" for row in rows]
    shares = {name: share for name, share in (("test", splits.test), ("dev", splits.dev)) if isinstance(share, float)}
    sides = cut(keys, strata, shares, splits.seed)
    return {role: tuple(rows[position] for position in positions) for role, positions in sides.items()}


def _complete(role: str, rows: Sequence[Row], used: Sequence[str], on_missing: str) -> tuple[Row, ...]:
    holes = {row.source_index: column for row in rows for column in used if _missing(row, column)}
    if on_missing == "empty":
        holes = {}
    if holes and on_missing == "error":
        first = ", ".join(f"{index} ({shown(column)})" for index, column in list(holes.items())[:10])
        more = f" and {len(holes) - 10} more" if len(holes) > 10 else ""
        raise DataError(
            f'split "{role}": used columns are empty in rows {first}{more} (rows counted from 0); '
            "fill them, or leave them out with dataset.on_missing: drop"
        )
    complete = tuple(row for row in rows if row.source_index not in holes)
    if not complete and role != "train":
        raise DataError(f'split "{role}" has no rows' + (" without missing cells" if holes else ""))
    return complete


def _places(role: str, source: Any, dataset: DatasetConfig) -> list[tuple[str, int]]:
    if not isinstance(source, FileSplit):
        return [(f'split "{role}"', number) for number in range(1000)]
    sizes = [(path.name, len(_read_file(path, source.format, dataset).records)) for path in source.files]
    return [(name, number) for name, size in sizes for number in range(size)]


def _check_filled(
    table: SlowTable, rows: Sequence[Row], inputs: Sequence[str], output: str | None, places: list[tuple[str, int]]
) -> None:
    used = [*inputs, output] if output else list(inputs)
    empty = [column for column in used if table.records and all(not _is_filled(own, column) for own in table.records)]
    if empty:
        files = {name for name, _ in places}
        whole = files.pop() if len(files) == 1 else None
        raise DataError(
            f"column {', '.join(map(repr, empty))} is empty in every row of {whole}; name another column, or look at "
            "how the file is read (dataset.read)"
        )
    _refuse([row for row in rows if output and _missing(row, output)], places, f"no gold in {output!r}")
    word, columns = "the input" if len(inputs) == 1 else "every input", ", ".join(map(repr, inputs))
    without = [row for row in rows if inputs and all(_missing(row, column) for column in inputs)]
    _refuse(without, places, f"{word} ({columns}) is empty")


def _refuse(rows: Sequence[Row], places: list[tuple[str, int]], what: str) -> None:
    by_file: dict[str, list[str]] = {}
    for row in rows:
        name, number = places[row.source_index]
        by_file.setdefault(name, []).append(str(number))
    told = []
    for name, numbers in by_file.items():
        more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
        told.append(f"{name} {'row' if len(numbers) == 1 else 'rows'} {', '.join(numbers[:10])}{more}")
    if told:
        hint = "fill it, or leave such rows out with dataset.on_missing: drop"
        raise DataError(f"{', '.join(told)} (counted from 0): {what}; {hint}")


def _is_filled(record: Mapping[str, Any], column: str) -> bool:
    return record.get(column) is not None and record.get(column) != ""


def _missing(row: Row, column: str) -> bool:
    return row.values[column] is None or row.values[column] == ""


def _check_columns(table: SlowTable, needed: Sequence[str]) -> None:
    for column in needed:
        if column in table.unread:
            raise DataError(f"column {quoted(column)} holds {table.unread[column]}; name another column")
        if column not in table.columns:
            hint = f"; the cells are quoted: write {WITH_QUOTING}" if f'"{column}"' in table.columns else ""
            raise DataError(f'column "{column}" not found; columns are: {listed(table.columns)}{hint}')


def label_values(splits: Splits, column: str) -> list[str]:
    """The values of the train split, sorted, or of the test split where there is none."""
    split = splits.train or splits.test
    return sorted({row.text(column) for row in split.rows}) if column in split.columns else ["a", "b"]


def select(
    dataset: DatasetConfig, splits: Splits, output: str, values: Sequence[str] | None, shots_seed: int
) -> Selection:
    stratum = output if values is not None else None
    seed = dataset.splits.seed
    rows = () if splits.train is None else tuple(splits.train.rows)
    known, others = rows, set[str]()
    if values is not None and splits.train is not None and output in splits.train.columns:
        known = tuple(row for row in rows if row.text(output) in values)
        others = {row.text(output) for row in rows} - set(values)
    train = _sample(known, dataset.max_n_train, "max_n_train", seed, stratum)
    max_n_dev = dataset.max_n_test if dataset.max_n_dev is None else dataset.max_n_dev
    return Selection(
        train,
        _shots(dataset, train, output, values, shots_seed, sorted(others)),
        None if splits.dev is None else _sample(splits.dev.rows, max_n_dev, "max_n_dev", seed, stratum),
        _sample(splits.test.rows, dataset.max_n_test, "max_n_test", seed, stratum),
    )


def _sample(rows: Sequence[Row], n: int | None, purpose: str, seed: int, stratum: str | None) -> tuple[Row, ...]:
    if n is None or n >= len(rows):
        return tuple(rows)
    by_label = stratum is not None and stratum in rows[0].values
    groups = by_stratum([row.text(stratum) if by_label and stratum else "" for row in rows])
    ties = {name: place for place, name in enumerate(shuffled(list(groups), random_for(purpose, seed, "ties")))}
    ranked: list[tuple[float, int, int]] = []
    for name, positions in groups.items():
        order = shuffled(positions, random_for(purpose, seed, "stratum", name))
        ranked += [((2 * j + 1) / (2 * len(order)), ties[name], position) for j, position in enumerate(order)]
    return tuple(rows[position] for position in sorted(position for _, _, position in sorted(ranked)[:n]))


def _shots(
    dataset: DatasetConfig,
    train: Sequence[Row],
    column: str,
    values: Sequence[str] | None,
    seed: int,
    others: Sequence[str],
) -> tuple[Row, ...]:
    if dataset.shots == 0:
        return ()
    if dataset.shots == "all":
        if not train:
            raise DataError("shots: all, but the train split has no rows with a label of the label set")
        return tuple(train)
    groups = {value: [row for row in train if row.text(column) == value] for value in values or ()}
    groups = {"": list(train)} if values is None else groups
    _check_enough(dataset, groups, others, least=dataset.shots)
    drawn = [
        row
        for label, rows in groups.items()
        for row in shuffled(rows, random_for("shots", seed, label))[: dataset.shots]
    ]
    return tuple(sorted(drawn, key=lambda row: row.source_index))
