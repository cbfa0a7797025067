"""Baselines as a leaderboard holds them."""

from collections.abc import Mapping
from dataclasses import dataclass

MAJORITY = "majority class"
TFIDF = "TF-IDF + logistic regression"


@dataclass(frozen=True)
class ShotSetBaseline:
    """A baseline on one set of shots.

    Attributes:
        train_indices_sha256: of the JSON list of the shots' positions in the train split.
        seeds: the values of `seeds.shots` of the experiments that have these shots.
        n_train: shots.
        results: number by metric, `dev_` ones too where there is a dev split; only those that the board shows.
    """

    train_indices_sha256: str
    seeds: tuple[int, ...]
    n_train: int
    results: Mapping[str, float]


@dataclass(frozen=True)
class Baseline:
    """A baseline on all sets of shots of one size on a board.

    Attributes:
        board: id of the board.
        name: what it is.
        shots: as in `dataset.shots`.
        input_columns: the columns it reads.
        results: mean over the sets by metric.
        sets: the sets of shots, in the order of the experiments.
    """

    board: str
    name: str
    shots: int | str
    input_columns: tuple[str, ...]
    results: Mapping[str, float]
    sets: tuple[ShotSetBaseline, ...]

    @property
    def title(self) -> str:
        """The baseline with what it saw, for people."""
        sets = "" if len(self.sets) == 1 else f", mean of {len(self.sets)} sets"
        return f"{self.name} (shots {self.shots}{sets})"


@dataclass(frozen=True)
class LeftOut:
    """Why a board lacks a baseline of some shots."""

    board: str
    name: str
    shots: int | str
    reason: str


@dataclass(frozen=True)
class Baselines:
    """The baselines of all boards, and those that could not be had."""

    found: tuple[Baseline, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def of(self, board: str) -> list[Baseline]:
        """The baselines of a board."""
        return [baseline for baseline in self.found if baseline.board == board]

    def left_out_of(self, board: str) -> list[LeftOut]:
        """What a board lacks."""
        return [item for item in self.left_out if item.board == board]
