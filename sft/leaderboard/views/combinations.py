"""The runs of a board put together by some of their settings, whatever their other settings are."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sft.exceptions import UserError
from sft.leaderboard.board import Board, RankedRow
from sft.leaderboard.collect import ExperimentRecord, finite_numbers
from sft.leaderboard.in_force import first_name
from sft.leaderboard.setting_differences import differing
from sft.leaderboard.settings import setting_texts, value_at
from sft.registry import nearest
from sft.wording import some

MOST_NAMED = 12
"""Settings that an error names."""


@dataclass(frozen=True)
class Combination:
    """The runs in which the settings have the same values.

    Attributes:
        values: of the settings in force, `ABSENT` where an experiment has none.
        texts: of the values, unlike where these are; None where an experiment has none and no default of it either.
        n: runs with a number; equal experiments run once and count once.
        mean: over them; None without any.
        sd: with n - 1; None for fewer than two.
        lowest: of the numbers.
        highest: of the numbers.
        best: the name of the run with the best number.
    """

    values: tuple[Any, ...]
    texts: tuple[str | None, ...]
    n: int = 0
    mean: float | None = None
    sd: float | None = None
    lowest: float | None = None
    highest: float | None = None
    best: str | None = None


@dataclass(frozen=True)
class Combinations:
    """A board by some settings.

    Attributes:
        board: whose runs and ranking metric it is of.
        keys: dotted settings.
        found: best mean first, those without a number last.
        also_differ: other settings that are unlike among runs put together.
    """

    board: Board
    keys: tuple[str, ...]
    found: tuple[Combination, ...]
    also_differ: tuple[str, ...]


def combinations(board: Board, keys: Sequence[str]) -> Combinations:
    """The runs of a board by the values of settings.

    Args:
        board: ranked.
        keys: dotted settings, as in `settings` of `leaderboard.json`, or sections of them.
    """
    names = [first_name(key) for key in keys]
    columns = [setting_texts(board.records, name) for name in names]
    gathered: dict[tuple[str | None, ...], dict[str, RankedRow]] = {}
    for row, *texts in zip(board.rows, *columns, strict=True):
        gathered.setdefault(tuple(texts), {}).setdefault(row.record.id, row)
    parts = [list(rows.values()) for rows in gathered.values()]
    found = [_combination(rows, names, texts) for texts, rows in zip(gathered, parts, strict=True)]
    sign = -1.0 if board.higher_is_better else 1.0
    found.sort(key=lambda item: (item.mean is None, sign * (item.mean or 0.0)))
    unlike = dict.fromkeys(
        path for rows in parts for path in differing([row.record.settings_in_force for row in rows])
    )
    others = tuple(path for path in unlike if not any(path == key or path.startswith(f"{key}.") for key in names))
    return Combinations(board, tuple(names), tuple(found), others)


def require_settings(keys: Iterable[str], records: Sequence[ExperimentRecord]) -> None:
    """Refuse settings that no experiment has.

    Raises:
        UserError: with the nearest that there are.
    """
    known = list(dict.fromkeys(path for record in records for path in record.settings_in_force))
    for key in map(first_name, keys):
        if key not in known and not any(path.startswith(f"{key}.") for path in known):
            near = _near(key, known)
            hint = f" (did you mean {' or '.join(near)}?)" if near else ""
            differ = differing([record.settings_in_force for record in records])
            there = f"; settings that differ here: {some(differ, MOST_NAMED)}" if differ else ""
            raise UserError(f"--group-by: no experiment has a setting {key!r}{hint}{there}")


def _near(key: str, known: Sequence[str]) -> list[str]:
    """Those that end in it, as people leave the section out; else the nearest one."""
    ending = [path for path in known if path.endswith(f".{key}")]
    closest = nearest(key, known)
    return ending or ([] if closest is None else [closest])


def _combination(rows: Sequence[RankedRow], keys: Sequence[str], texts: tuple[str | None, ...]) -> Combination:
    values = tuple(value_at(rows[0].record.settings_in_force, key) for key in keys)
    numbers = finite_numbers(row.value for row in rows)
    if not numbers:
        return Combination(values, texts)
    sd = statistics.stdev(numbers) if len(numbers) > 1 else None
    mean, lowest, highest = statistics.fmean(numbers), min(numbers), max(numbers)
    return Combination(values, texts, len(numbers), mean, sd, lowest, highest, rows[0].record.name)
