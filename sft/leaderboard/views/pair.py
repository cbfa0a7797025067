"""Everything that tells two experiments, or two groups, apart: settings, results, rows on which they disagree."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sft.config.seeds import is_seed
from sft.evaluation.selection import DEV
from sft.leaderboard.board import Leaderboard, direction
from sft.leaderboard.building import STATISTICS, StatisticsOptions
from sft.leaderboard.collect import ExperimentRecord, mean
from sft.leaderboard.completing import board_runs
from sft.leaderboard.details.sources import PredictedRow, input_columns, input_texts, predicted_rows
from sft.leaderboard.records import Comparison, SeedKey, Summary
from sft.leaderboard.setting_differences import differing
from sft.leaderboard.settings import setting_texts
from sft.leaderboard.views.pair_sides import Sides, sides_of
from sft.runs.records import STAGES


@dataclass(frozen=True)
class Setting:
    """A setting in which the two differ, and how each is written; a side that lacks it has neither value nor text."""

    path: str
    first: Any
    second: Any
    first_text: str | None
    second_text: str | None


@dataclass(frozen=True)
class Result:
    """A result of both; None where one has no number."""

    name: str
    higher_is_better: bool
    first: Summary | None
    second: Summary | None


@dataclass(frozen=True)
class Cost:
    """Seconds of a stage or a resource, mean over the runs of each side."""

    name: str
    first: float | None
    second: float | None


@dataclass(frozen=True)
class PairedDifference:
    """The first less the second on the same test rows, and of what the interval is."""

    comparison: Comparison
    n_rows: int
    margin: float | None


@dataclass(frozen=True)
class Disagreement:
    """An evaluated row that two runs answer differently.

    Attributes:
        index: position among the evaluated rows.
        text: of the input columns, as far as the predictions keep them.
        gold: the label or the reference text.
        first: what the first says.
        second: what the second says.
    """

    index: int
    text: str
    gold: str
    first: str
    second: str


@dataclass(frozen=True)
class RowsApart:
    """How the rows of two runs came out; white space around texts does not count.

    Attributes:
        both_right: rows.
        only_first: rows that the first alone has right.
        only_second: rows that the second alone has right.
        both_wrong: rows, whether they say the same or not.
        disagreements: rows on which they do not say the same, in order.
    """

    both_right: int
    only_first: int
    only_second: int
    both_wrong: int
    disagreements: tuple[Disagreement, ...]

    @property
    def n_rows(self) -> int:
        """All of them."""
        return self.both_right + self.only_first + self.only_second + self.both_wrong


@dataclass(frozen=True)
class Pair:
    """Two beside each other.

    Attributes:
        sides: the two.
        metric: the result of test rows of which the difference is.
        settings: in which they differ; of groups without their seeds.
        results: the metric first.
        costs: seconds by stage, then resources.
        difference: None where it does not follow from rows, or these cannot be read.
        runs: the two runs whose rows are compared: those of the first seed that both have.
        rows: None where predictions cannot be read.
    """

    sides: Sides
    metric: str | None
    settings: tuple[Setting, ...]
    results: tuple[Result, ...]
    costs: tuple[Cost, ...]
    difference: PairedDifference | None
    runs: tuple[ExperimentRecord, ExperimentRecord]
    rows: RowsApart | None


def compare_pair(leaderboard: Leaderboard, first: str, second: str, options: StatisticsOptions = STATISTICS) -> Pair:
    """Compare what two names stand for, by the metric that ranks their board.

    Args:
        leaderboard: with groups.
        first: a group, an experiment, the beginning of an id, or `best`.
        second: likewise.
        options: of the statistics.

    Raises:
        UserError: one is not there, or the two cannot be compared.
    """
    sides = sides_of(leaderboard, first, second)
    ranking = sides.first.board.metric
    metric = None if ranking is None else ranking.removeprefix(DEV)
    runs = _same_seed(sides)
    return Pair(
        sides=sides,
        metric=metric,
        settings=tuple(_settings(sides, runs)),
        results=tuple(_results(sides, [name for name in (ranking, metric) if name is not None])),
        costs=tuple(_costs(sides)),
        difference=_difference(sides, options),
        runs=runs,
        rows=rows_apart(*runs),
    )


def _same_seed(sides: Sides) -> tuple[ExperimentRecord, ExperimentRecord]:
    """The runs of the first seed that both have, else the best ones."""
    own, other = sides.first.group.seeds_by_run(), sides.second.group.seeds_by_run()
    shared = sorted(own.keys() & other.keys(), key=_order)
    if not shared:
        return sides.first.group.runs[0], sides.second.group.runs[0]
    return own[shared[0]], other[shared[0]]


def _order(seeds: SeedKey) -> list[int]:
    return [seed if isinstance(seed, int) else -1 for seed in seeds]


def _settings(sides: Sides, runs: tuple[ExperimentRecord, ExperimentRecord]) -> list[Setting]:
    first, second = runs
    shows_seeds = len(sides.first.group.runs) == len(sides.second.group.runs) == 1
    return [
        Setting(
            path,
            first.settings_in_force.get(path),
            second.settings_in_force.get(path),
            *setting_texts(runs, path),
        )
        for path in differing([run.settings_in_force for run in runs])
        if shows_seeds or not is_seed(path)
    ]


def _results(sides: Sides, first: list[str]) -> list[Result]:
    own, other = sides.first.group.results(), sides.second.group.results()
    names = dict.fromkeys([*first, *own, *other])
    runs = (*sides.first.group.runs, *sides.second.group.runs)
    found = []
    for name in names:
        owner = next((run for run in runs if name in run.part("results")), runs[0])
        found.append(Result(name, direction(owner, name), own.get(name), other.get(name)))
    return found


def _costs(sides: Sides) -> list[Cost]:
    groups = (sides.first.group, sides.second.group)
    found = []
    for part in ("timing", "resources"):
        there = dict.fromkeys(name for group in groups for run in group.runs for name in run.part(part))
        names = dict.fromkeys([*(stage for stage in STAGES if stage in there), *there])
        for name in names:
            first, second = (mean(run.part(part).get(name) for run in group.runs) for group in groups)
            if first is not None or second is not None:
                found.append(Cost(name, first, second))
    return found


def _difference(sides: Sides, options: StatisticsOptions) -> PairedDifference | None:
    """As every set-up is compared with the best one, here the first with the second."""
    runs = board_runs(sides.first.board, options)
    finding = runs.finding(sides.first.group, sides.second.group)
    comparison = runs.comparer.family([finding])[0]
    return (
        None if comparison is None else PairedDifference(comparison, runs.samples.n_rows, runs.comparer.scale.margin)
    )


def rows_apart(first: ExperimentRecord, second: ExperimentRecord) -> RowsApart | None:
    """Compare the predictions of two runs row by row; None where those of one cannot be read.

    Args:
        first: a run.
        second: another one of the same evaluated rows.
    """
    own, other = predicted_rows(first), predicted_rows(second)
    if not own or [row.index for row in own] != [row.index for row in other]:
        return None
    columns = list(dict.fromkeys([*input_columns(first), *input_columns(second)]))
    counts: Counter[tuple[bool, bool]] = Counter()
    apart = []
    for one, two in zip(own, other, strict=True):
        counts[one.is_correct, two.is_correct] += 1
        if one.prediction.strip() != two.prediction.strip():
            apart.append(Disagreement(one.index, _text(one, columns), one.gold, one.prediction, two.prediction))
    return RowsApart(
        both_right=counts[True, True],
        only_first=counts[True, False],
        only_second=counts[False, True],
        both_wrong=counts[False, False],
        disagreements=tuple(apart),
    )


def _text(row: PredictedRow, columns: Sequence[str]) -> str:
    """One column as it is, several with their names."""
    kept = input_texts(row, columns)
    if len(columns) == 1:
        return next(iter(kept.values()), "")
    return "  ".join(f"{name}: {value}" for name, value in kept.items())
