"""A leaderboard as flat rows: one per experiment, one column per number or setting."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from sft.leaderboard.building import build_leaderboard
from sft.reporting.formats.json import leaderboard_record
from sft.runs.files import ResultsFolder

if TYPE_CHECKING:
    import pandas
from typing import Any

_SET_UP = {"set_up": "name", "set_up_rank": "rank", "mark": "mark", "provisional": "provisional"}
"""Column -> key of the group in `leaderboard.json`."""


def flat_rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Column -> value of each experiment of the grid, best first on each board, then those without a result.

    Columns are name, id, state, board and rank, then, of a board with groups, what holds for its set-up (`set_up`,
    `set_up_rank`, `mark` and `provisional`), metrics by name, settings by dotted key, `seconds.<stage>`, resources and
    the error; the earlier one keeps a name that two of them have.

    Args:
        record: the content of `leaderboard.json`.
    """
    ranks = (place["rank"] for board in record["boards"] for place in board["ranking"])
    groups = {
        (board["board"], own["name"], own["id"]): group
        for board in record["boards"]
        for group in board["groups"]
        for own in group["rows"]
    }
    for row, rank in zip_longest(record["rows"], ranks):
        yield _flat(row, rank, groups.get((row["board"], row["name"], row["id"])))


def _flat(row: Mapping[str, Any], rank: int | None, group: Mapping[str, Any] | None) -> dict[str, Any]:
    flat: dict[str, Any] = {key: row[key] for key in ("name", "id", "state", "board")} | {"rank": rank}
    if group is not None:
        flat |= {column: group[key] for column, key in _SET_UP.items()}
    error = row["error"]
    parts: tuple[Mapping[str, Any], ...] = (
        row["results"],
        row["settings"],
        {f"seconds.{stage}": seconds for stage, seconds in row["timing"].items()},
        row["resources"],
        {"error": f"{error['kind']}: {error['message']}" if error else None},
    )
    for part in parts:
        for key, value in part.items():
            flat.setdefault(key, value)
    return {storable(key): storable(value) for key, value in flat.items()}


def storable(value: Any) -> Any:
    """Text that any file can hold: lone surrogates, which JSON can bring in, as their escapes."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def all_storable(value: Any) -> Any:
    """The same of every text in maps and lists."""
    if isinstance(value, dict):
        return {storable(key): all_storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [all_storable(item) for item in value]
    return storable(value)


def results_frame(folders: Sequence[Path]) -> "pandas.DataFrame":
    """One row per experiment, best first on each board: its metrics, settings by dotted key, seconds and resources.

    Raises:
        UserError: a folder is not there.
    """
    import pandas

    rows = list(flat_rows(leaderboard_record(build_leaderboard([ResultsFolder(folder) for folder in folders]))))
    return pandas.DataFrame(rows, columns=None if rows else ["name", "id", "state", "board", "rank"])
