"""The file beside the answers that says where they come from, so that they go on only from what they began with."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.dataset import ReadOptions
from sft.data.streaming import NewRowsFile
from sft.exceptions import UserError
from sft.runs.atomic import write_json
from sft.runs.files import ID_DIGITS
from sft.runs.records import read_json_or_none, refuse_newer
from sft.wording import shown_path

SCHEMA = 1
ENDING = ".origin.json"
OUTPUT_ENDING = ".jsonl"


@dataclass(frozen=True)
class Origin:
    """What a file of answers was made from."""

    experiment: str
    """Id of the experiment."""
    name: str
    folder: str
    """The experiment's folder."""
    input: str
    """The file of new rows."""
    sha256: str
    """Of its content."""
    columns: list[str]
    """Those that prompts read."""
    on_missing: str
    read: dict[str, Any]
    """How it is read: the fields of `dataset.read`."""
    n_rows: int
    """Rows that are answered."""
    n_dropped: int
    """Rows left out because of empty cells."""
    conversation: str | None = None
    """Of the columns, the one with turns to answer."""
    rows_at_once: int | None = None
    """Rows whose answers are written together; None until the process that answers has chosen."""
    schema: int = SCHEMA

    @property
    def file(self) -> NewRowsFile:
        """The new rows."""
        read = ReadOptions(**self.read)
        return NewRowsFile(Path(self.input), read, self.columns, self.on_missing, self.conversation)

    def write(self, output: Path) -> None:
        """Write it beside the answers."""
        write_json(origin_path(output), dataclasses.asdict(self))


def origin_path(output: Path) -> Path:
    """Where the origin of a file of answers stands."""
    return output.with_name(output.name + ENDING)


def read_origin(output: Path) -> Origin | None:
    """The origin of a file of answers; None where there is none that can be read.

    Raises:
        MachineError: a newer version wrote it.
    """
    path = origin_path(output)
    record = read_json_or_none(path)
    refuse_newer(path, record, SCHEMA)
    try:
        return Origin(**record)
    except TypeError:
        return None


def origin_in_force(output: Path, wanted: Origin) -> Origin:
    """The origin under which answers are written to a file: the one that it has, or the wanted one where it is new.

    Raises:
        UserError: the file is there and has other answers.
    """
    if not output.exists() or not output.stat().st_size:
        return wanted
    written = read_origin(output)
    place = shown_path(output)
    if written is None:
        raise UserError(
            f"{place} is there and no {origin_path(output).name} says what it was made from; choose another --output"
        )
    if written.experiment != wanted.experiment:
        raise UserError(
            f"{place} has the answers of {written.name} [{written.experiment[:ID_DIGITS]}], not of {wanted.name} "
            f"[{wanted.experiment[:ID_DIGITS]}]; choose another --output"
        )
    if (written.sha256, written.read) != (wanted.sha256, wanted.read):
        other = f"not to {shown_path(Path(wanted.input))}"
        if written.input == wanted.input:
            other = "which changed since" if written.sha256 != wanted.sha256 else "which was read in another way"
        raise UserError(
            f"{place} has the answers to {shown_path(Path(written.input))}, {other}; choose another --output"
        )
    return dataclasses.replace(wanted, rows_at_once=written.rows_at_once)


def output_beside(path: Path) -> Path:
    """Where the answers to a file of new rows go when nobody says where."""
    return path.with_name(f"{path.stem}.predictions{OUTPUT_ENDING}")


def check_output(output: Path, new_rows: Path) -> None:
    """Make sure that answers can be written to a file.

    Raises:
        UserError: it is the input or a folder, its folder is not there, or its name says that it is no JSON Lines.
    """
    if output.suffix != OUTPUT_ENDING:
        raise UserError(f"--output {output}: answers are JSON Lines; give it a name that ends in {OUTPUT_ENDING}")
    if not output.parent.is_dir():
        raise UserError(f"--output {output}: there is no folder {output.parent}")
    if output.is_dir() or (output.exists() and output.samefile(new_rows)):
        what = "a folder" if output.is_dir() else "the input itself"
        raise UserError(f"--output {output}: is {what}; choose another name")
