"""From a `dataset` section to the rows of train, dev and test, and to the fingerprint of what was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sft.config.dataset import DatasetConfig
from sft.data.cells.derived import DerivedTable, UsedColumns, with_derived
from sft.data.cells.label_lists import GoldColumn
from sft.data.cells.missing import RowNames, complete_rows
from sft.data.files.delimited import WITH_QUOTING
from sft.data.files.dialects import SEPARATORS, has_no_quoting
from sft.data.files.json_rows import inner_rows
from sft.data.files.reading import read_file
from sft.data.fingerprints import holds_byte, source_sha256
from sft.data.folders import names_file
from sft.data.hub import hub_commit, load_hub, read_loaded, read_saved
from sft.data.joined_tables import merged
from sft.data.layout import Layout, find_layout
from sft.data.leaks import normalised_input
from sft.data.rows import Row, Rows, Split, Splits, alone, texts_of
from sft.data.selection import ValuesIn, strata_of
from sft.data.shares import cut, cut_folds
from sft.data.sources import (
    FileSplit,
    HubSplit,
    SavedSplit,
    SplitSource,
    file_split,
    local_source,
    local_splits,
)
from sft.data.tables import ColumnNames, Table
from sft.exceptions import DataError, UserError
from sft.wording import listed, quoted, some

__all__ = ["data_fingerprint", "data_names", "hub_commit", "kept_quotes", "load_splits", "local_source"]


def data_fingerprint(dataset: DatasetConfig, folder: Path, revision: str | None) -> dict[str, str]:
    """What identifies the content that is read: sha256 of local files, commit and split of a hub data set.

    Args:
        dataset: its config.
        folder: folder of the config.
        revision: pinned commit of a hub data set; None = the one of today.

    Returns:
        By role (train, dev, test), or under `all` where shares or folds cut one split.

    Raises:
        UserError: a split or file is not there.
    """
    if local_source(dataset, folder) is None:
        return _hub_fingerprint(dataset, folder, revision or hub_commit(dataset))
    layout = find_layout(dataset, local_splits(dataset, folder), folder)
    return {role: source_sha256(source) for role, source in layout.roles().items()}


def data_names(dataset: DatasetConfig, folder: Path) -> dict[str, str]:
    """What a person calls the data of each role: its file, or the split of a saved or hub data set.

    Raises:
        UserError: a split or file is not there.
    """
    if local_source(dataset, folder) is None:
        return {}
    layout = find_layout(dataset, local_splits(dataset, folder), folder)
    return {role: _name_of(source) for role, source in layout.roles().items()}


def kept_quotes(dataset: DatasetConfig, folder: Path) -> bool:
    """Whether a file that is read without quoting holds a quotation mark; files that are not there hold none."""
    try:
        files = _data_files(dataset, folder)
    except UserError:  # told where they are read
        return False
    return any(has_no_quoting(path, dataset.read) and holds_byte(path, b'"') for path in files)


def _data_files(dataset: DatasetConfig, folder: Path) -> list[Path]:
    if local_source(dataset, folder) is None:
        named = (dataset.splits.train, dataset.splits.dev, dataset.splits.test)
        sources: list[SplitSource] = [
            file_split(folder / name) for name in named if isinstance(name, str) and names_file(name)
        ]
    else:
        sources = list(find_layout(dataset, local_splits(dataset, folder), folder).roles().values())
    return [path for source in sources if isinstance(source, FileSplit) for path in source.files]


def _name_of(source: SplitSource) -> str:
    match source:
        case FileSplit(files):
            return some([file.name for file in files], shown=1)
        case SavedSplit(folder):
            return f"{folder.parent.name}/{folder.name}"
        case HubSplit():
            raise TypeError("a hub split has no file")


@dataclass(frozen=True)
class GoldReading:
    """How the output column is read.

    Attributes:
        strata: column of which shares and folds cut each value alike, unless `splits.stratify` is false; None cuts any
            rows.
        made_by: makes the gold of the column's cells; None where they are it.
        values_in: the gold values in the text of a cell.
    """

    strata: str | None = None
    made_by: GoldColumn | None = None
    values_in: ValuesIn = alone


def load_splits(
    dataset: DatasetConfig,
    input_columns: Sequence[str],
    output_column: str,
    folder: Path,
    revision: str | None,
    gold: GoldReading | None = None,
) -> Splits:
    """The rows of every split of an experiment.

    The output column may be absent from dev and test (then those rows have no gold: `output_column not in
    split.columns`), and from train where no shots are asked for. Shares cut the rows as read, before rows with
    missing cells are dropped, so that the cut does not depend on which of them are; folds likewise.

    Args:
        dataset: its config.
        input_columns: columns that prompts read; the output column is among them where it holds conversations.
        output_column: column with the gold label or reference.
        folder: folder of the config.
        revision: pinned commit of a hub data set; None for local data.
        gold: what a task says of the output column.

    Raises:
        UserError: a path, split, column, cell or byte is not as it must be.
    """
    gold = gold or GoldReading()
    available = _available(dataset, folder, revision)
    layout = find_layout(dataset, available, folder)
    further = filter(None, (dataset.splits.group_by, *(dataset.keep_columns or ())))
    used = UsedColumns(tuple(dict.fromkeys(input_columns)), output_column, tuple(further))
    tables = {role: _read_used(role, source, dataset, used, gold.made_by) for role, source in layout.roles().items()}
    if layout.whole is not None:
        (whole,) = tables.values()
        found = _cut(whole, layout, dataset, used, gold)
    else:
        found = _splits({role: _all_rows(table) for role, table in tables.items()}, layout, dataset, used)
    unused = tuple(name for name, source in available.items() if source not in layout.roles().values())
    return replace(found, unused=unused)


def read_tables(dataset: DatasetConfig, folder: Path, revision: str | None) -> dict[str, Table]:
    """All that `dataset.path` offers, by the names of its splits, whatever `splits` says.

    Args:
        dataset: its config.
        folder: folder of the config.
        revision: pinned commit of a hub data set; None for local data.

    Raises:
        UserError: a path or byte is not as it must be.
    """
    return {name: _read(source, dataset) for name, source in _available(dataset, folder, revision).items()}


def _available(dataset: DatasetConfig, folder: Path, revision: str | None) -> Mapping[str, SplitSource]:
    """The splits that there are, by name."""
    if local_source(dataset, folder) is not None:
        return local_splits(dataset, folder)
    return {name: HubSplit(data) for name, data in load_hub(dataset, revision).items()}


def _hub_fingerprint(dataset: DatasetConfig, folder: Path, commit: str) -> dict[str, str]:
    splits = dataset.splits
    if splits.cut_one_split:
        written = {"all": splits.train}
    else:
        named = {"train": splits.train, "dev": splits.dev, "test": splits.test}
        written = {role: str(name) for role, name in named.items() if name is not None}
    return {
        role: source_sha256(file_split(folder / name)) if names_file(name) else f"{commit}/{name}"
        for role, name in written.items()
    }


def _read_used(
    role: str, source: SplitSource, dataset: DatasetConfig, used: UsedColumns, gold: GoldColumn | None
) -> Table:
    """A split with the used columns that are made of others, and the gold."""
    table = _read(source, dataset)
    names = RowNames(role, source, table)
    found = with_derived(table, used, names.one, drop=dataset.on_missing == "drop")
    if gold is None or not found.has(used.output):
        return found
    return DerivedTable(found, {used.output: gold(found.column(used.output), found.n_rows, names.one)})


def _read(source: SplitSource, dataset: DatasetConfig) -> Table:
    match source:
        case HubSplit(data):
            return read_loaded(data)
        case SavedSplit(saved):
            return read_saved(saved, dataset)
        case FileSplit(files, kind):
            return merged([read_file(path, kind, dataset.read) for path in files])


def _all_rows(table: Table) -> Rows:
    return Rows(table, range(table.n_rows))


def _bound_rows(
    table: Table, dataset: DatasetConfig, used: UsedColumns, gold: GoldReading
) -> tuple[list[list[tuple[str, str]]], Sequence[str]]:
    """For each row what a cut must not divide, and its stratum; of a column that is learned whole it is the input."""
    splits, inputs = dataset.splits, used.inputs or (used.output,)
    group = splits.group_by
    _check_columns(table, [*inputs, *([group] if group else [])])
    rows = _all_rows(table)
    if not rows:
        raise DataError(f"there are no rows to cut; columns are: {listed(table.columns)}")
    keys = [_bound_by(row, inputs, group) for row in rows]
    by = gold.strata if splits.stratify and gold.strata and table.has(gold.strata) else None
    return keys, [""] * len(rows) if by is None else strata_of(texts_of(rows, by), gold.values_in)


def _cut(table: Table, layout: Layout, dataset: DatasetConfig, used: UsedColumns, gold: GoldReading) -> Splits:
    splits = dataset.splits
    keys, strata = _bound_rows(table, dataset, used, gold)
    if splits.folds is not None:
        every = {role: _all_rows(table) for role in ("train", "test")}
        folds = cut_folds(keys, strata, splits.folds, splits.seed)
        return replace(_splits(every, layout, dataset, used), folds=folds)
    shares = {name: share for name, share in (("test", splits.test), ("dev", splits.dev)) if isinstance(share, float)}
    sides = cut(keys, strata, shares, splits.seed)
    return _splits({role: Rows(table, places) for role, places in sides.items()}, layout, dataset, used)


def _bound_by(row: Row, inputs: Sequence[str], group: str | None) -> list[tuple[str, str]]:
    text = normalised_input(row, inputs)
    bound = [("text", text)] if text else []
    if group and row.values[group] not in (None, ""):
        bound.append(("group", row.text(group)))
    return bound


def _splits(
    parts: Mapping[str, Rows],
    layout: Layout,
    dataset: DatasetConfig,
    used: UsedColumns,
) -> Splits:
    output = used.output
    ready: dict[str, Split] = {}
    class_names: dict[str, tuple[str, ...]] = {}
    for role, rows in parts.items():
        must_have_gold = role == "train" and dataset.shots != 0
        has_gold = must_have_gold or rows.table.has(output)
        _check_columns(rows.table, [*used.inputs, output] if has_gold else used.inputs)
        names = RowNames(role, layout.whole or layout.roles()[role], rows.table)
        complete = complete_rows(rows, used.inputs, output if has_gold else None, dataset.on_missing, names)
        ready[role] = Split(role, ColumnNames(rows.table), complete, len(rows) - len(complete))
        class_names = {**rows.table.class_names, **class_names}
    tables = tuple(dict.fromkeys(rows.table for rows in parts.values()))
    return Splits(ready.get("train"), ready.get("dev"), ready["test"], class_names, tables)


def _check_columns(table: Table, needed: Sequence[str]) -> None:
    for column in needed:
        if (held := table.unread(column)) is not None:
            raise DataError(f"column {quoted(column)} holds {held}; name another column")
        if not table.has(column):
            columns = listed(table.columns)
            raise DataError(f'column "{column}" not found; columns are: {columns}{_reading_hint(table, column)}')


def _reading_hint(table: Table, column: str) -> str:
    """What to write where a column is not found because the file was to be read in another way."""
    if table.has(f'"{column}"'):
        return f"; the cells are quoted: write {WITH_QUOTING}"
    if len(table.columns) == 1 and (inner := [sep for sep in SEPARATORS if sep in table.columns[0]]):
        return f"; the cells may be separated by {inner[0]!r}: write dataset.read: {{sep: {inner[0]!r}}}"
    lists = inner_rows(dict(table.records[0])) if table.n_rows == 1 else {}
    if lists:
        field = max(lists, key=lambda key: lists[key])
        return f"; the rows may lie deeper in the file: write dataset.read: {{field: {field!r}}}"
    return ""
