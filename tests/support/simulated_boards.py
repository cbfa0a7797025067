"""Boards whose truth is known: right and wrong rows of set-ups by chance, compared as real ones are."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from sft.evaluation.metrics.row_sums import mean_of
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.groups import Group
from sft.leaderboard.statistics.comparer import Scale
from sft.leaderboard.statistics.comparison import BoardRuns, ComparedGroups, compared
from sft.leaderboard.statistics.run_samples import RunSamples, RunSums

SAMPLES = 400
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """A kind of board.

    Attributes:
        n_groups: set-ups.
        n_seeds: of each.
        seed_sd: spread of a set-up's accuracy over seeds; of each set-up its own where `uneven` is not 0.
        uneven: standard deviation of the logarithms of the set-ups' seed variances.
        common_seed: share of the variance over seeds that all set-ups have in common, as of the same shots.
        seedless: how many of the set-ups no seed moves.
        other_seeds: whether no two set-ups have a seed in common.
        fewer: seeds that every second set-up lacks.
        n_rows: test rows.
        accuracy: of every set-up but the best.
        lead: by which the first set-up is truly better.
    """

    n_groups: int
    n_seeds: int
    seed_sd: float = 0.03
    uneven: float = 0.0
    common_seed: float = 0.3
    seedless: int = 0
    other_seeds: bool = False
    fewer: int = 0
    n_rows: int = 200
    accuracy: float = 0.7
    lead: float = 0.0


KINDS = {
    "3 set-ups, 2 seeds": Kind(3, 2),
    "6 set-ups, 2 seeds": Kind(6, 2),
    "6 set-ups, 3 seeds": Kind(6, 3),
    "6 set-ups, 5 seeds": Kind(6, 5),
    "6 set-ups, 10 seeds": Kind(6, 10),
    "20 set-ups, 2 seeds": Kind(20, 2),
    "20 set-ups, 3 seeds": Kind(20, 3),
    "20 set-ups, 5 seeds": Kind(20, 5),
    "20 set-ups, 10 seeds": Kind(20, 10),
    "20 set-ups, 2 seeds, log-normal variances": Kind(20, 2, uneven=1.0),
    "20 set-ups, 3 seeds, log-normal variances": Kind(20, 3, uneven=1.0),
    "20 set-ups, 3 seeds, no seed has effect": Kind(20, 3, seed_sd=0.0, common_seed=0.0),
    "20 set-ups, 2 seeds, spread over seeds 0.1": Kind(20, 2, seed_sd=0.1),
    "20 set-ups, 3 seeds, three seedless": Kind(20, 3, seedless=3),
    "6 seedless set-ups": Kind(6, 1, seedless=6),
    "20 seedless set-ups": Kind(20, 1, seedless=20),
    "20 set-ups, 1 seed": Kind(20, 1),
    "20 set-ups, 3 seeds, every second lacks one": Kind(20, 3, fewer=1),
    "3 set-ups, 3 seeds, other ones": Kind(3, 3, other_seeds=True),
    "20 set-ups, 2 seeds, other ones": Kind(20, 2, other_seeds=True),
    "20 set-ups, 3 seeds, other ones": Kind(20, 3, other_seeds=True),
    "6 set-ups, 3 seeds, one better by 0.1": Kind(6, 3, lead=0.1),
    "6 set-ups, 5 seeds, one better by 0.1": Kind(6, 5, lead=0.1),
    "20 set-ups, 3 seeds, one better by 0.1": Kind(20, 3, lead=0.1),
    "20 set-ups, 5 seeds, one better by 0.1": Kind(20, 5, lead=0.1),
    "20 set-ups, 3 seeds, one better by 0.1, 1,000 rows": Kind(20, 3, lead=0.1, n_rows=1000),
}
"""What is simulated; set-ups are right in 70 % of 200 rows and spread by 0.03 over seeds unless the name says more."""


@dataclass(frozen=True)
class SimulatedBoard:
    """Set-ups called `0`, `1`, ... of which `0` may truly lead, best first, and how they are compared."""

    kind: Kind
    compared: ComparedGroups
    runs: BoardRuns

    @property
    def group(self) -> dict[str, Group]:
        """The set-ups by name."""
        return {group.name: group for group in self.compared.groups}

    @property
    def pair_p(self) -> float:
        """Of the first two set-ups, chosen before anything was seen; 1 where seeds are not known."""
        finding = self.runs.finding(self.group["0"], self.group["1"])
        return 1.0 if finding is None or finding.runs_only else finding.uncertainty.p

    @property
    def pair_covers(self) -> bool:
        """Whether the interval of their difference holds the truth."""
        finding = self.runs.finding(self.group["0"], self.group["1"])
        assert finding is not None
        interval = finding.uncertainty.interval(0.95)
        return interval.low <= self.kind.lead <= interval.high

    @property
    def share_covered(self) -> float:
        """Share of the set-ups whose own interval holds their true accuracy."""
        covered = []
        for group in self.compared.groups:
            assert group.interval is not None
            truth = self.kind.accuracy + (self.kind.lead if group.name == "0" else 0.0)
            covered.append(group.interval.low <= truth <= group.interval.high)
        return float(np.mean(covered))

    @property
    def false_marks(self) -> int:
        """Set-ups marked as worse than one that is not truly better than they."""
        best = self.compared.groups[0].name
        worse = [group.name for group in self.compared.groups if group.mark == "worse"]
        return sum(best != "0" or self.kind.lead == 0 for _ in worse) if "0" not in worse else len(worse)

    @property
    def found(self) -> float:
        """Share of the truly worse set-ups that are marked so, where the truly best one leads."""
        if self.compared.groups[0].name != "0":
            return 0.0
        return sum(group.mark == "worse" for group in self.compared.groups) / (self.kind.n_groups - 1)


def boards(kind: Kind, count: int, seed: int = 0) -> list[SimulatedBoard]:
    """So many boards of a kind, with their statistics."""
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(kind.n_rows, np.full(kind.n_rows, 1 / kind.n_rows), SAMPLES).T / kind.n_rows
    return [_board(kind, rng, weights) for _ in range(count)]


def _board(kind: Kind, rng: np.random.Generator, weights: Floats) -> SimulatedBoard:
    hardness = rng.normal(0, 1, kind.n_rows)
    of_seeds = rng.normal(0, 1, 10_000)
    spreads = kind.seed_sd * np.exp(rng.normal(0, kind.uneven / 2, kind.n_groups))
    groups: list[Group] = []
    rows: dict[Any, Any] = {}
    values: dict[Any, Any] = {}
    for number in range(kind.n_groups):
        is_seedless = number >= kind.n_groups - kind.seedless
        n_seeds = 1 if is_seedless else kind.n_seeds - kind.fewer * (number % 2)
        truth = kind.accuracy + (kind.lead if number == 0 else 0.0)
        spread = 0.0 if is_seedless else float(spreads[number])
        own_hardness = rng.normal(0, 1, kind.n_rows)
        runs = []
        for place in range(n_seeds):
            run_seed = place + (100 * number if kind.other_seeds else 0)
            shift = kind.common_seed**0.5 * of_seeds[run_seed] + (1 - kind.common_seed) ** 0.5 * rng.normal()
            right = _right(truth + spread * shift, hardness, own_hardness, rng)
            runs.append(_run(f"{number}/{run_seed}", run_seed, right, weights, rows, values))
        mean = float(np.mean([run.part("results")["accuracy"] for run in runs]))
        groups.append(Group(str(number), tuple(runs), tuple(runs), n_seeds, n_seeds, is_seedless, mean))
    ordered = sorted(groups, key=lambda group: -(group.value or 0.0))
    ranked = [replace(group, rank=place) for place, group in enumerate(ordered, 1)]
    scale = Scale(True, 0.02, (0.0, 1.0), 1 / kind.n_rows)
    board_runs = BoardRuns.of(ranked, RunSamples("accuracy", rows, values), scale)
    return SimulatedBoard(kind, compared(ranked, board_runs), board_runs)


def _right(mean: float, hardness: Floats, own: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rows that a run has right, by what is hard for all (70 %), for this set-up (20 %) and at this seed (10 %)."""
    latent = (0.7**0.5) * hardness + (0.2**0.5) * own + (0.1**0.5) * rng.normal(0, 1, len(hardness))
    return np.asarray(latent < ndtri(np.clip(mean, 0.01, 0.99)))


def _run(
    key: str,
    seed: int,
    right: NDArray[np.bool_],
    weights: Floats,
    rows: dict[str, RunSums],
    values: dict[str, Floats],
) -> ExperimentRecord:
    rows[key] = RunSums(mean_of(right))
    values[key] = right @ weights
    results: dict[str, Any] = {"results": {"accuracy": float(right.mean())}}
    return ExperimentRecord(key, key, "done", Path(), {"seed": seed}, results)
