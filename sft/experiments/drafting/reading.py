"""Data as somebody brings it: which splits there are, how their files must be read, and what their columns hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sft.config.dataset import DatasetConfig, ReadOptions
from sft.data.cells.conversations import holds_turns
from sft.data.cells.derived import DerivedTable, UsedColumns, with_derived
from sft.data.cells.label_lists import GoldColumn
from sft.data.files.shape import FileShape, file_shape
from sft.data.loading import read_tables
from sft.data.rows import Rows, texts_of
from sft.data.sources import FileSplit, local_source, local_splits
from sft.data.tables import Table
from sft.wording import counted, quoted

FORMAT_NAMES = {"csv": "csv", "json": "JSON", "jsonl": "JSON Lines", "parquet": "Parquet", "xlsx": "a spreadsheet"}
SEPARATOR_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons"}


@dataclass(frozen=True)
class BroughtData:
    """Data with all its splits read."""

    path: str
    """As it is written in a grid."""
    read: ReadOptions
    tables: Mapping[str, Table]
    """By split."""
    files: Mapping[str, str]
    """Split -> its one file as it is written in a grid; without splits of several files, or of none."""
    about: tuple[str, ...]
    """What a person should know of the files, a line each."""

    def lacking(self, split: str, column: str) -> set[int]:
        """The rows whose cell is empty, by their places."""
        table = self.tables[split]
        return set(table.column(column).missing()) if table.has(column) else set(range(table.n_rows))

    def texts(self, split: str, column: str) -> list[str | None]:
        """The cells of a column as text; None where there is nothing, or only white space."""
        table, missing = self.tables[split], self.lacking(split, column)
        if len(missing) == table.n_rows:
            return [None] * table.n_rows
        texts = texts_of(Rows(table, range(table.n_rows)), column)
        return [None if place in missing or not text.strip() else text for place, text in enumerate(texts)]

    def with_used(self, inputs: Sequence[str], label: str) -> "BroughtData":
        """The data with columns that are made of others: conversations, and fields by dotted names.

        Raises:
            UserError: a row is no conversation, or a conversation is used as text.
        """
        used = UsedColumns(tuple(inputs), label)
        tables = {
            name: with_derived(table, used, f"split {name}, row {{}}".format, drop=True)
            for name, table in self.tables.items()
        }
        return replace(self, tables=tables)

    def with_gold(self, column: str, made_by: GoldColumn | None) -> "BroughtData":
        """The data with gold in place of the cells of a column; None = they are it.

        Raises:
            DataError: a cell holds none.
        """
        if made_by is None:
            return self
        tables = {
            name: DerivedTable(
                table, {column: made_by(table.column(column), table.n_rows, f"split {name}, row {{}}".format)}
            )
            if table.has(column)
            else table
            for name, table in self.tables.items()
        }
        return replace(self, tables=tables)

    def turns(self) -> tuple[str, ...]:
        """The columns that hold conversations."""
        return tuple(
            column
            for column in self.columns
            if any(
                table.has(column) and holds_turns(table.column(column), table.n_rows) for table in self.tables.values()
            )
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of all splits, in their order."""
        return tuple(dict.fromkeys(column for table in self.tables.values() for column in table.columns))


def bring(path: str, folder: Path) -> BroughtData:
    """Read data that nothing is known of yet.

    Args:
        path: a file, a folder, a saved data set or a hub id, as it would be written in a grid of that folder.
        folder: what local paths are relative to.

    Raises:
        UserError: there is nothing, or what is there is no data.
        MachineError: it cannot be read on this machine.
    """
    dataset = DatasetConfig(path=path, task_type="classification", shots=0)
    local = local_source(dataset, folder)
    sources = {} if local is None else local_splits(dataset, folder)
    files = {name: source.files for name, source in sources.items() if isinstance(source, FileSplit)}
    shapes = {name: file_shape(own[0]) for name, own in files.items()}
    read = next((shape.read for shape in shapes.values() if shape.read != ReadOptions()), ReadOptions())
    tables = read_tables(dataset.model_copy(update={"read": read}), folder, None)
    single = {name: _written(path, own[0], local) for name, own in files.items() if len(own) == 1}
    return BroughtData(path, read, tables, single, tuple(_about(path, tables, shapes)))


def written_options(read: ReadOptions) -> dict[str, Any]:
    """What a config must say of how the files are read; nothing where the defaults will do."""
    return read.model_dump(exclude_defaults=True)


def _written(path: str, file: Path, local: Path | None) -> str:
    """A file as the grid names it."""
    if local is None or file == local:
        return path
    return (Path(path) / file.relative_to(local)).as_posix()


def _about(path: str, tables: Mapping[str, Table], shapes: Mapping[str, FileShape]) -> list[str]:
    first = next(iter(shapes.values()), None)
    sizes = [counted(table.n_rows, f"{name} row" if len(tables) > 1 else "row") for name, table in tables.items()]
    lines = [f"{path}: {', '.join(sizes)}{'' if first is None else f', {_kind(first)}'}."]
    return [*lines, *dict.fromkeys(remark for shape in shapes.values() for remark in shape.remarks)]


def _kind(shape: FileShape) -> str:
    """`csv in cp1252 with semicolons between columns`."""
    parts = [FORMAT_NAMES.get(shape.format, shape.format)]
    if shape.encoding is not None:
        parts.append(f"in {shape.encoding}")
    if shape.separator is not None:
        parts.append(f"with {SEPARATOR_NAMES.get(shape.separator, quoted(shape.separator))} between columns")
    if shape.field is not None:
        parts.append(f"with the rows under {quoted(shape.field)}")
    if shape.sheet is not None:
        parts.append(f"sheet {quoted(shape.sheet)}")
    return " ".join(parts)


def present(texts: Sequence[str | None]) -> list[str]:
    """The cells that hold something."""
    return [text for text in texts if text is not None]
