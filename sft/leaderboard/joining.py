"""The experiments of one or several results folders together."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from sft.exceptions import UserError
from sft.leaderboard.cache.file_cache import FileCache, read_cache
from sft.leaderboard.collect import ExperimentRecord, Reader
from sft.runs.experiments import Standings, listed_experiments
from sft.runs.files import ResultsFolder
from sft.runs.lock import lock_holder


@dataclass(frozen=True)
class Collected:
    """What the results folders hold: experiments of their grids, and those that stand in no grid any more."""

    in_grid: tuple[ExperimentRecord, ...]
    others: tuple[ExperimentRecord, ...]
    caches: tuple[FileCache, ...] = ()
    """Of the folders; what is made of the experiments later is kept when they are written again."""


def collect(folders: Sequence[ResultsFolder], *, keeps: bool = False, everything: bool = False) -> Collected:
    """Read results folders; an experiment that several of them hold is kept once, finished rather than not.

    Args:
        folders: the results folders.
        keeps: whether what is read is written to their caches.
        everything: whether finished experiments that stand in no grid any more count like those of the grids.

    Raises:
        UserError: a folder is not there.
    """
    in_grid: dict[tuple[str, str], ExperimentRecord] = {}
    others: dict[tuple[str, str], ExperimentRecord] = {}
    caches: list[FileCache] = []
    for results in folders:
        if not results.path.is_dir():
            raise UserError(f"no results folder {results.path}")
        records, cache = _read_folder(results, keeps=keeps)
        caches.append(cache)
        for record in records:
            kept = in_grid if record.in_grid else others
            known = kept.get((record.name, record.id))
            kept[record.name, record.id] = record if known is None else _one_of(known, record)
    for key, record in others.items():
        wanted = in_grid.get(key)
        if record.state == "done" and wanted is not None and wanted.state != "done":
            in_grid[key] = dataclasses.replace(_one_of(wanted, record), in_grid=True)
    left = [record for key, record in others.items() if key not in in_grid]
    added = [record for record in left if everything and record.state == "done"]
    rest = [record for record in left if not everything or record.state != "done"]
    return Collected((*in_grid.values(), *added), tuple(rest), tuple(caches))


def _one_of(known: ExperimentRecord, record: ExperimentRecord) -> ExperimentRecord:
    """An experiment of two folders, finished rather than not, with the other folder named."""
    kept, left = (record, known) if record.state == "done" and known.state != "done" else (known, record)
    folders = (*known.also_in, left.results_folder)
    return dataclasses.replace(kept, also_in=tuple(dict.fromkeys(folders)))


def _read_folder(results: ResultsFolder, *, keeps: bool) -> tuple[list[ExperimentRecord], FileCache]:
    """The experiments of one folder: of its grid in the grid's order, then the rest by folder name."""
    reader = Reader(read_cache(results, keeps=keeps), Standings(is_locked=lock_holder(results) is not None))
    listed = listed_experiments(results, reader.json)
    records = [
        reader.record(one) if one.in_grid else dataclasses.replace(reader.record(one), in_grid=False) for one in listed
    ]
    if keeps:
        for record in records:
            record.in_force  # noqa: B018  worked out here, so that it is kept
        reader.cache.write()
    return records, reader.cache
