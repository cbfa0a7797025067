"""Set-ups: rows of a board that are equal in all that has an effect but for their seeds, and their names."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.origins import origin
from sft.leaderboard.records import SeedKey
from sft.runs.files import ID_DIGITS
from sft.wording import and_more

MOST_NAMES = 2
"""Names of one run that stand side by side."""


@dataclass(eq=False)
class SetUp:
    """Rows that differ at most in their seeds and in what has no effect.

    Attributes:
        planned: seeds of its settings, of rows without a result too.
        runs: by id, in the order of the rows.
        seeds: of its rows.
        rows: several names may share one run.
        name: unlike that of every other set-up of the board.
    """

    planned: set[SeedKey]
    runs: dict[str, ExperimentRecord] = field(default_factory=dict)
    seeds: set[SeedKey] = field(default_factory=set)
    rows: list[ExperimentRecord] = field(default_factory=list)
    name: str = ""

    def takes(self, record: ExperimentRecord) -> bool:
        """Whether a row belongs to it: the same run, or another seed."""
        return record.id in self.runs or record.seeds not in self.seeds

    def add(self, record: ExperimentRecord) -> None:
        """Take a row."""
        self.runs.setdefault(record.id, record)
        self.seeds.add(record.seeds)
        self.rows.append(record)


def set_ups(records: Sequence[ExperimentRecord], unfinished: Iterable[ExperimentRecord]) -> list[SetUp]:
    """The set-ups of a board, in the order of their first rows.

    Equal settings and seeds with another id (other data, say) are another set-up, and so is what is in no grid any
    more.

    Args:
        records: finished rows of the board.
        unfinished: rows of the grid without a result; they tell which seeds were planned.
    """
    all_rows = [*records, *unfinished]
    identities = _identities(all_rows)
    planned: dict[tuple[str, bool], set[SeedKey]] = {}
    for record in all_rows:
        planned.setdefault((identities[record.in_force.identity], record.in_grid), set()).add(record.seeds)
    alike: dict[tuple[str, bool], dict[str, list[ExperimentRecord]]] = {}
    for record in records:
        key = identities[record.in_force.identity], record.in_grid
        alike.setdefault(key, {}).setdefault(_folder(record), []).append(record)
    gathered = {key: _parts(list(folders.values()), planned[key]) for key, folders in alike.items()}
    places = {id(record): place for place, record in enumerate(records)}
    found = [part for parts in gathered.values() for part in parts]
    for part in found:
        part.rows.sort(key=lambda row: places[id(row)])
        part.runs = {row.id: part.runs[row.id] for row in part.rows}
    _give_names(found)
    return found


def _parts(folders: Iterable[Sequence[ExperimentRecord]], planned: set[SeedKey]) -> list[SetUp]:
    """Rows of equal settings as set-ups, whatever their numbers are.

    The rows of a joined folder go where none of them stands beside another run of its seed; else, as of other data,
    they stay together.

    Args:
        folders: rows by results folder.
        planned: seeds of these settings.
    """
    found: list[SetUp] = []
    for rows in folders:
        own = [next((one for one in found if all(map(one.takes, rows))), SetUp(planned))]
        for record in rows:
            part = next((one for one in own if one.takes(record)), None)
            if part is None:
                part = SetUp(planned)
                own.append(part)
            part.add(record)
        found += [part for part in own if part not in found]
    return found


def seed_of_all(seeds: Iterable[SeedKey]) -> SeedKey:
    """One seed for what stands under several, as a source of them has no effect there: None for those that differ."""
    return tuple(own[0] if len(set(own)) == 1 else None for own in zip(*seeds, strict=True))


def common_name(names: Sequence[str]) -> str:
    """The parts between slashes that all names have at the same place; empty where there is none."""
    split = [name.split("/") for name in names]
    if len({len(parts) for parts in split}) > 1:
        return ""
    return "/".join(parts[0] for parts in zip(*split, strict=True) if len(set(parts)) == 1)


def _identities(records: Iterable[ExperimentRecord]) -> dict[str, str]:
    """Identity -> one of those that are the same: settings that share a run differ in nothing that has an effect."""
    same: dict[str, str] = {}

    def first(identity: str) -> str:
        while same.setdefault(identity, identity) != identity:
            identity = same[identity]
        return identity

    of_run: dict[str, str] = {}
    for record in records:
        own = first(record.in_force.identity)
        same[own] = first(of_run.setdefault(record.id, own))
    return {identity: first(identity) for identity in same}


def _folder(record: ExperimentRecord) -> str:
    """The results folder."""
    return os.path.dirname(os.path.dirname(record.folder))


def _give_names(found: Sequence[SetUp]) -> None:
    """What the names of a set-up have in common; where that is taken, its origin or the names of its first run too."""
    alike: dict[str, list[SetUp]] = {}
    for one in found:
        alike.setdefault(common_name([row.name for row in one.rows]), []).append(one)
    for name, others in alike.items():
        names_folder = bool(name) and len({_folder(one.rows[0]) for one in others}) > 1
        is_alone = bool(name) and sum(one.rows[0].in_grid for one in others) == 1
        for one in others:
            if names_folder or not one.rows[0].in_grid:
                one.name = f"{name or _joined(one)} ({origin(one.rows, names_folder=names_folder)})"
            else:
                one.name = name if is_alone else _joined(one)
    counts = Counter(one.name for one in found)
    for one in found:
        one.name = one.name if counts[one.name] == 1 else f"{one.name} [{one.rows[0].id[:ID_DIGITS]}]"


def _joined(one: SetUp) -> str:
    """All names of its first run, the first few told."""
    names = list(dict.fromkeys(row.name for row in one.rows if row.id == one.rows[0].id))
    return " = ".join(names[:MOST_NAMES]) + and_more(len(names), MOST_NAMES)
