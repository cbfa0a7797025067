"""The baselines of boards: taken from the results folders where they are known, measured once where they are not.

Measuring reads the data and takes seconds, so it is done by `sft leaderboard` and at the end of a run; the refresh of
the board while a grid runs shows what is known and measures nothing.
"""

from collections.abc import Iterator, Mapping, Sequence

from sft.errors import SftError
from sft.reporting.baselines.measuring import Measured, SourceRows, measure, read_rows
from sft.reporting.baselines.shot_sets import ShotSet, shot_sets
from sft.reporting.baselines.store import read_stored, write_stored
from sft.reporting.board import Board
from sft.reporting.records import MAJORITY, Baseline, Baselines, LeftOut, ShotSetBaseline
from sft.runs.files import ResultsFolder

_Sets = list[tuple[ShotSet, Mapping[str, Measured]]]


def baselines_of(
    boards: Sequence[Board], folders: Sequence[ResultsFolder], to: ResultsFolder, *, measures: bool
) -> Baselines:
    """The baselines of classification boards; one that cannot be had is left out with a reason.

    Args:
        boards: of the leaderboard.
        folders: where numbers may be known from before.
        to: where new numbers are kept.
        measures: whether what is not known is measured.
    """
    stored = read_stored([*folders, to])
    sources: dict[str, SourceRows | str] = {}
    found: list[Baseline] = []
    left_out: list[LeftOut] = []
    used: dict[str, Mapping[str, Measured]] = {}
    for board in boards:
        sets: _Sets = []
        for shot_set in shot_sets(board):
            known = stored.get(shot_set.key)
            measured = known if known is not None or not measures else _measure(shot_set, sources)
            if isinstance(measured, str):
                left_out.append(LeftOut(board.id, "baselines", shot_set.shots, measured))
            elif measured is not None:
                used[shot_set.key] = measured
                sets.append((shot_set, measured))
        found += _baselines(board, sets)
        left_out += _left_out(board, sets)
    if any(key not in stored for key in used):
        write_stored(to, used)
    return Baselines(tuple(found), tuple(dict.fromkeys(left_out)))


def _measure(shot_set: ShotSet, sources: dict[str, SourceRows | str]) -> Mapping[str, Measured] | str:
    """The numbers on a set of shots, or why they cannot be had; whatever is wrong, the board stands without them."""
    source = shot_set.source
    try:
        if source not in sources:
            sources[source] = read_rows(shot_set)
        rows = sources[source]
        return rows if isinstance(rows, str) else measure(shot_set, rows)
    except SftError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001  a board must not fail for what stands beside it
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    sources.setdefault(source, reason)
    return reason


def _baselines(board: Board, sets: _Sets) -> Iterator[Baseline]:
    """The sets of equal size and columns together, each name once."""
    shown = list(dict.fromkeys(name for record in board.records for name in record.part("results")))
    alike: dict[tuple[str, int | str, tuple[str, ...]], list[tuple[ShotSet, Measured]]] = {}
    for shot_set, measured in sets:
        for name, one in measured.items():
            if one.reason is None:
                alike.setdefault((name, shot_set.shots, shot_set.input_columns), []).append((shot_set, one))
    for (name, shots, columns), members in sorted(alike.items(), key=lambda item: item[0][0] != MAJORITY):
        own = tuple(
            ShotSetBaseline(
                shot_set.train_indices_sha256,
                shot_set.seeds,
                len(shot_set.train_indices),
                {metric: one.results[metric] for metric in shown if metric in one.results},
            )
            for shot_set, one in members
        )
        common = [metric for metric in own[0].results if all(metric in item.results for item in own)]
        means = {metric: sum(item.results[metric] for item in own) / len(own) for metric in common}
        yield Baseline(board.id, name, shots, columns, means, own)


def _left_out(board: Board, sets: _Sets) -> Iterator[LeftOut]:
    for shot_set, measured in sets:
        for name, one in measured.items():
            if one.reason is not None:
                yield LeftOut(board.id, name, shot_set.shots, one.reason)
