"""What an axis of a grid is: rows that are equal but for one thing, side by side."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.in_force import training_defaults
from sft.leaderboard.records import SeedKey
from sft.leaderboard.setting_differences import SECTION, setting_columns, value_key
from sft.leaderboard.settings import setting_texts
from sft.wording import UNSET

VARIOUS = "various"
"""Stands for a side of a setting in which not all pairs differ, or not alike."""


@dataclass(frozen=True)
class GridRow:
    """A row of a board.

    Attributes:
        record: the row.
        seeds: in force.
        settings: by dotted path, keys of the settings in force in which the rows of the board differ.
    """

    record: ExperimentRecord
    seeds: SeedKey
    settings: Mapping[str, Hashable]


def grid_rows(records: Sequence[ExperimentRecord]) -> list[GridRow]:
    """The rows of one board, in the same order; one in which no seed has an effect stands at every seed."""
    columns = setting_columns([record.settings_in_force for record in records])
    keys = zip(*columns.values(), strict=True) if columns else [()] * len(records)
    seeds = [record.seeds for record in records]
    written = {(record.id, own) for record, own in zip(records, seeds, strict=True)}
    all_seeds = list(dict.fromkeys(seeds))
    rows = []
    for record, at, own in zip(records, seeds, keys, strict=True):
        unwritten = [] if record.in_force.is_seeded else [one for one in all_seeds if (record.id, one) not in written]
        settings = dict(zip(columns, own, strict=True))
        rows += [GridRow(record, one, settings) for one in (at, *unwritten)]
    return rows


def changes(pairs: Sequence[tuple[GridRow, GridRow]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Settings in which the rows of pairs differ, with how the two sides are written; a section is told by its leaves,
    but for those that are as they are in every such section.

    Args:
        pairs: each of the value's row and the reference's.
    """
    counts: Counter[str] = Counter()
    found: dict[str, dict[tuple[Hashable, Hashable], tuple[GridRow, GridRow]]] = {}
    for value, reference in pairs:
        for path, key in value.settings.items():
            other = reference.settings[path]
            if key != other and not comes_with_section(path, {key, other}):
                counts[path] += 1
                found.setdefault(path, {}).setdefault((key, other), (value, reference))
    for path, kinds in found.items():
        if any(other.startswith(f"{path}.") for other in found):
            continue
        told = [setting_texts([row.record for row in pair], path) for pair in kinds.values()]
        sides = [{UNSET if text is None else text for text in texts} for texts in zip(*told, strict=True)]
        first, second = (texts.pop() if len(texts) == 1 and counts[path] == len(pairs) else VARIOUS for texts in sides)
        yield path, (first, second)


def comes_with_section(path: str, keys: Set[Hashable]) -> bool:
    """Whether rows differ in a setting only because some lack its section, in which the others leave it unwritten.

    Args:
        path: dotted.
        keys: of the setting, in the rows.
    """
    return None in keys and keys <= {None, SECTION, value_key(training_defaults().get(path))}


Block = Mapping[Hashable, GridRow]
"""Key of an axis' value -> the row that has it; all else, the seeds too, is equal in the rows of a block."""


@dataclass(frozen=True)
class AxisValue:
    """One value of an axis: what stands for it, and how it is written."""

    key: Hashable
    written: Any
    text: str


@dataclass(frozen=True)
class RunPair:
    """Ids of two runs: of the one with the value, and of the one with the reference."""

    value: str
    reference: str


@dataclass(frozen=True)
class Axis:
    """A thing in which rows of a board differ.

    Attributes:
        name: for people.
        kind: `setting` or `name`.
        values: by key, in the grid's order; those that stand beside another one.
        reference: key of the value with which the others are compared.
        blocks: each of at least two values.
        also: settings that change together with it.
        names: value -> the part of the names that says the same; empty where none does.
    """

    name: str
    kind: str
    values: Mapping[Hashable, AxisValue]
    reference: Hashable
    blocks: Sequence[Block]
    also: tuple[str, ...] = ()
    names: Mapping[Hashable, str] = field(default_factory=dict)

    def pairs(self) -> dict[Hashable, dict[RunPair, list[SeedKey]]]:
        """Value -> its runs beside those with the reference, and the seeds at which they stand so.

        Two runs are one pair however many names and seeds they stand under; a run beside itself is none.
        """
        found: dict[Hashable, dict[RunPair, list[SeedKey]]] = {key: {} for key in self.values if key != self.reference}
        for block in self.blocks:
            reference = block.get(self.reference)
            for key, row in block.items():
                if reference is not None and reference.record.id != row.record.id:
                    pair = RunPair(row.record.id, reference.record.id)
                    found[key].setdefault(pair, []).append(row.seeds)
        return {key: pairs for key, pairs in found.items() if pairs}

    def fingerprint(self) -> frozenset[frozenset[str]]:
        """The same for axes that put the same runs side by side, whatever they call them."""
        return frozenset(frozenset(row.record.id for row in block.values()) for block in self.blocks)


def blocks_of(rows: Iterable[tuple[Hashable, Hashable, GridRow]]) -> list[Block]:
    """Rows as blocks of at least two different runs.

    A value that several runs of a block have (results folders joined that trained on other data, say) is left out of
    it: nothing tells which of them stands beside which.

    Args:
        rows: what is equal within a block, the value, the row.
    """
    gathered: dict[Hashable, dict[Hashable, dict[str, GridRow]]] = {}
    for equal, value, row in rows:
        gathered.setdefault(equal, {}).setdefault(value, {}).setdefault(row.record.id, row)
    blocks = (
        {value: next(iter(runs.values())) for value, runs in block.items() if len(runs) == 1}
        for block in gathered.values()
    )
    return [block for block in blocks if len({row.record.id for row in block.values()}) > 1]
