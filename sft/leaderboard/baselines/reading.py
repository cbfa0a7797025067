"""Baselines of boards, as the jobs beside their experiments measured them; nothing is measured here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sft.evaluation.baselines import baseline_registry
from sft.leaderboard.baselines.earlier import Entries, is_whole, kept_numbers, key_of_set
from sft.leaderboard.baselines.shot_sets import ShotSet, shot_sets
from sft.leaderboard.board import Board
from sft.leaderboard.records import Baseline, Baselines, LeftOut, ShotSetBaseline
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import finished_files, listed_json
from sft.runs.records import read_status

MISSING = "not measured yet; sft run-experiments again measures what is missing, and nothing else"
DAMAGED = "its numbers are not those that were written; sft verify says more"
OTHER_ROWS = "it was measured on other rows"


@dataclass(frozen=True)
class _Measured:
    """The baselines on a set of shots.

    Attributes:
        entries: by name.
        job: where their rows lie; None where an earlier version kept numbers alone.
    """

    shot_set: ShotSet
    entries: Entries
    job: JobFolder | None


def baselines_of(boards: Sequence[Board], folders: Sequence[ResultsFolder]) -> Baselines:
    """The baselines of classification boards; one that cannot be had is left out with a reason.

    Args:
        boards: of the leaderboard.
        folders: where earlier versions may have kept numbers.
    """
    kept = kept_numbers(folders)
    found: list[Baseline] = []
    left_out: list[LeftOut] = []
    for board in boards:
        sets = []
        for shot_set in shot_sets(board):
            measured = _measured(shot_set, kept)
            if isinstance(measured, _Measured):
                sets.append(measured)
            else:
                left_out.append(LeftOut(board.id, "baselines", shot_set.shots, measured))
        found += _baselines(board, sets)
        left_out += [
            LeftOut(board.id, name, one.shot_set.shots, str(entry["reason"]))
            for one in sets
            for name, entry in one.entries.items()
            if entry.get("reason") is not None
        ]
    return Baselines(tuple(found), tuple(dict.fromkeys(left_out)))


def _measured(shot_set: ShotSet, kept: Mapping[str, Entries]) -> _Measured | str:
    """The numbers on a set of shots, or why there are none."""
    reasons = []
    for path in shot_set.jobs:
        entries = _entries(JobFolder(path), shot_set)
        if not isinstance(entries, str):
            return _Measured(shot_set, entries, JobFolder(path))
        reasons.append(entries)
    earlier = kept.get(key_of_set(shot_set)) if kept else None
    if earlier is not None:
        return _Measured(shot_set, earlier, None)
    return next(iter(reasons), MISSING)


def _entries(job: JobFolder, shot_set: ShotSet) -> Entries | str:
    """What a job measured, or why it did not."""
    files = finished_files(job)
    if not files:
        status = read_status(job.status)
        if status is None or status.error is None:
            return MISSING
        return f"{status.error.message}; sft run-experiments --retry-failed tries again"
    record = listed_json(job, job.baselines, files)
    data, entries = (record.get(name) if isinstance(record, dict) else None for name in ("data", "baselines"))
    if not isinstance(data, Mapping) or not is_whole(entries):
        return DAMAGED
    own = shot_set.records[0].part("data")
    is_alike = all(data.get(name) == own.get(name) for name in ("test_rows_sha256", "dev_rows_sha256"))
    return entries if is_alike else OTHER_ROWS


def _baselines(board: Board, sets: Sequence[_Measured]) -> Iterator[Baseline]:
    """The sets of equal size and columns together, each name once, in the order in which baselines are measured."""
    shown = list(dict.fromkeys(name for record in board.records for name in record.part("results")))
    alike: dict[tuple[str, int | str, tuple[str, ...]], list[ShotSetBaseline]] = {}
    for one in sets:
        for name, entry in one.entries.items():
            if entry.get("reason") is None:
                likeness = name, one.shot_set.shots, one.shot_set.input_columns
                _add(alike.setdefault(likeness, []), _shot_set_baseline(one, name, shown))
    order = list(baseline_registry)
    known = sorted(alike.items(), key=lambda item: order.index(item[0][0]) if item[0][0] in order else len(order))
    for (name, shots, columns), own in known:
        common = [metric for metric in own[0].results if all(metric in item.results for item in own)]
        means = {metric: sum(item.results[metric] for item in own) / len(own) for metric in common}
        yield Baseline(board.id, name, shots, columns, means, tuple(own))


def _add(sets: list[ShotSetBaseline], found: ShotSetBaseline) -> None:
    """Add numbers, once where two jobs measured the same: they differ in what other baselines of theirs read."""
    for place, known in enumerate(sets):
        if (known.train_indices_sha256, known.results) == (found.train_indices_sha256, found.results):
            sets[place] = replace(known, seeds=tuple(dict.fromkeys([*known.seeds, *found.seeds])))
            return
    sets.append(found)


def _shot_set_baseline(measured: _Measured, name: str, shown: Sequence[str]) -> ShotSetBaseline:
    results = measured.entries[name]["results"]
    shot_set = measured.shot_set
    return ShotSetBaseline(
        shot_set.train_indices_sha256,
        shot_set.seeds,
        shot_set.n_train,
        {metric: results[metric] for metric in shown if metric in results},
        None if measured.job is None else measured.job.baseline_rows(name),
    )
