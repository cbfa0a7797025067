"""Groups of a board, their intervals and comparisons."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sft.evaluation.rows import EvaluatedRows, write_rows
from sft.leaderboard.board import Board
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.groups import Group
from sft.leaderboard.statistics.formulas import score_mcnemar_p
from sft.reporting.files import write_leaderboard
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord
from sft.terminal.board import board_text
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

GOLD = np.arange(200) % 2
ZERO: dict[str, Any] = {"lora": None, "training": None, "dataset": {"shots": 0}}


def rows(n_wrong: int, start: int = 0) -> EvaluatedRows:
    """200 rows of which so many are wrong, from `start` on."""
    wrong = (np.arange(200) - start) % 200 < n_wrong
    predicted = np.where(wrong, 1 - GOLD, GOLD)
    loss: NDArray[np.float64] = np.where(wrong, 1.5, 0.25)
    return EvaluatedRows(predicted == GOLD, GOLD, predicted, loss)


class Board200:
    """A results folder with runs of 200 test rows."""

    def __init__(self, path: Path) -> None:
        self.folder = ResultsBuilder(path)
        self.path = path
        self._ids = (f"{number:08x}{0:08x}" for number in itertools.count())

    def run(self, name: str, own: dict[str, Any], found: EvaluatedRows, **parts: Any) -> None:
        results = {"accuracy": float(found.correct.mean())} | parts.pop("results", {})
        record = metrics(results, **parts)
        job = self.folder.done(name, next(self._ids), own, record)
        write_rows(job.rows, {"test": found})
        write_manifest(job, [job.metrics, job.rows])

    def seeds(self, name: str, wrong: list[int], start: int = 0, first: int = 0, **changes: Any) -> None:
        for seed, n_wrong in enumerate(wrong, first):
            self.run(f"{name}/seed{seed}", self.config(seed=seed, **changes), rows(n_wrong, start))

    @staticmethod
    def config(**changes: Any) -> dict[str, Any]:
        return config(**{"evaluation": {"metrics": ["accuracy"]}} | changes)

    def board(self, **options: Any) -> Board:
        return with_statistics(build_leaderboard([self.folder.results]), **options).boards[0]

    def groups(self, **options: Any) -> dict[str, Group]:
        return {group.name: group for group in self.board(**options).groups}


@pytest.fixture
def made(tmp_path: Path) -> Board200:
    return Board200(tmp_path)


def test_rows_that_differ_in_their_seed_are_a_group(made: Board200) -> None:
    made.seeds("good", [20, 30, 40])
    made.seeds("bad", [120, 130, 140], lora={"r": 4})
    groups = made.groups()
    assert list(groups) == ["good", "bad"]
    good = groups["good"].results()["accuracy"]
    assert (good.n, good.mean, good.median) == pytest.approx((3, 0.85, 0.85))
    assert good.sd == pytest.approx(0.05)
    assert [(group.rank, group.is_complete, len(group.runs)) for group in groups.values()] == [
        (1, True, 3), (2, True, 3),
    ]  # fmt: skip
    interval = groups["good"].interval
    assert interval is not None
    assert interval.low < 0.8 < 0.9 < interval.high
    assert groups["good"].interval_covers == "test rows and seeds"


def test_seeds_of_one_source_are_seeds_too(made: Board200) -> None:
    for init in range(2):
        made.run(f"a/init{init}", made.config(seeds={"init": init}), rows(20 + init))
    (group,) = made.groups().values()
    assert (group.name, group.n_seeds, group.expected_seeds) == ("a", 2, 2)


def test_a_group_short_of_seeds_leads_where_it_is_ahead_on_the_seeds_that_both_have(made: Board200) -> None:
    made.seeds("long", [100, 100, 100])
    made.seeds("short", [10, 10], lora={"r": 4})
    groups = made.groups()
    assert list(groups) == ["short", "long"]
    short = groups["short"]
    assert (short.n_seeds, short.expected_seeds, short.rank, short.is_provisional) == (2, 3, 1, True)
    assert (groups["long"].rank, groups["long"].is_provisional) == (2, False)
    assert groups["long"].against_best is not None


def test_easy_seeds_alone_do_not_make_a_group_short_of_seeds_lead(made: Board200) -> None:
    """Its mean is the better one, because it lacks the seed that is hard for all."""
    made.seeds("long", [10, 10, 160])
    made.seeds("short", [20, 20], lora={"r": 4})
    made.seeds("other", [150, 150], first=7, lora={"r": 2})
    groups = made.groups()
    assert [(name, group.rank) for name, group in groups.items()] == [("long", 1), ("short", 2), ("other", 3)]
    assert (groups["short"].value or 0) > (groups["long"].value or 0)


def test_while_every_group_lacks_seeds_all_ranks_are_provisional(made: Board200) -> None:
    for number, name in enumerate(("a", "b")):
        made.seeds(name, [10 + 50 * number], lora={"r": 1 + number})
        made.folder.planned(f"{name}/seed1", f"f{number:015x}", made.config(seed=1, lora={"r": 1 + number}))
    groups = made.groups()
    assert [(name, group.rank, group.is_provisional) for name, group in groups.items()] == [
        ("a/seed0", 1, True), ("b/seed0", 2, True),
    ]  # fmt: skip


def test_a_seed_that_failed_is_missing(made: Board200) -> None:
    made.seeds("a", [10, 10])
    made.folder.failed("a/seed2", "f" * 16, made.config(seed=2), ErrorRecord("crash", "why"))
    (group,) = made.groups().values()
    assert (group.n_seeds, group.expected_seeds, group.rank, group.is_provisional) == (2, 3, 1, True)


def test_where_no_seed_has_effect_one_run_is_all(made: Board200) -> None:
    made.seeds("lora", [10, 20, 30])
    made.run("zero/seed0", made.config(seed=0, **ZERO), rows(90, start=50))
    job = made.folder.experiment("zero/seed0", f"{3:08x}{0:08x}")
    for seed in (1, 2):
        made.folder.alias(f"zero/seed{seed}", f"{3:08x}{0:08x}", made.config(seed=seed, **ZERO), job)
    zero = made.groups()["zero"]
    assert (len(zero.runs), zero.no_seed_effect, zero.is_complete, zero.rank) == (1, True, True, 2)
    assert zero.interval_covers == "test rows"
    against = zero.against_best
    assert against is not None
    assert against.difference == pytest.approx(-0.35)
    assert (against.test, against.mark) == ("t", "worse")


def test_one_seed_is_compared_by_mcnemars_test_with_holms_correction(made: Board200) -> None:
    for name, (n_wrong, start) in {"a": (20, 0), "b": (26, 20), "c": (60, 60)}.items():
        made.run(name, made.config(**ZERO, model={"name": name}), rows(n_wrong, start))
    board = made.board()
    a, b, c = board.groups
    assert a.against_best is None
    assert b.against_best is not None
    assert c.against_best is not None
    assert b.against_best.p == pytest.approx(score_mcnemar_p(20, 26))
    assert (b.against_best.test, b.mark, c.mark) == ("mcnemar", "not told apart", "worse")
    assert c.against_best.p_holm == pytest.approx(3 * score_mcnemar_p(20, 60))
    assert board.statistics is not None
    assert board.statistics.n_comparisons == 3
    assert b.against_best.interval.low < -0.03 < b.against_best.interval.high
    assert board.statistics is not None
    assert 0.03 < (board.statistics.detectable or 0) < 0.15


def test_the_same_seeds_are_compared_pairwise(made: Board200) -> None:
    """Seeds move both alike: the difference is certain, though each mean is not."""
    made.seeds("a", [20, 60, 100])
    made.seeds("b", [40, 80, 120], lora={"r": 4})
    against = made.groups()["b"].against_best
    assert against is not None
    assert against.difference == pytest.approx(-0.1)
    assert against.interval.low > -0.16
    assert against.interval.high < -0.05
    made.seeds("c", [40, 80, 120], first=10, lora={"r": 2})
    other = made.groups()["c"].against_best
    assert other is not None
    assert other.mark == "not told apart"
    assert other.interval.low < -0.2


def test_dev_rows_rank_and_test_rows_are_reported(made: Board200) -> None:
    data = {"dev_rows_sha256": "dd"}
    made.run("a", made.config(), rows(100), results={"dev_accuracy": 0.9}, data=data)
    made.run("b", made.config(lora={"r": 4}), rows(10, 100), results={"dev_accuracy": 0.8}, data=data)
    board = made.board()
    assert [(group.name, group.value) for group in board.groups] == [("a", 0.9), ("b", 0.8)]
    interval, against = board.groups[0].interval, board.groups[1].against_best
    assert interval is not None
    assert against is not None
    assert interval.low < 0.5 < interval.high < 0.6
    assert against.difference == pytest.approx(0.45)
    assert (against.runs_only, against.mark) == (True, "not told apart")
    assert board.statistics is not None
    assert (board.statistics.chosen_on, board.statistics.n_comparisons) == ("dev", 1)


@pytest.mark.parametrize("case", ["no rows", "other number", "broken", "own metric"])
def test_without_rows_there_are_means_and_no_intervals(made: Board200, case: str) -> None:
    name = "own" if case == "own metric" else "accuracy"
    for seed, number in enumerate((0.5, 0.7)):
        job = made.folder.done(
            f"a/{seed}", f"{seed:016x}", made.config(seed=seed), metrics({name: number + (case == "other number") / 9})
        )
        if case != "no rows":
            write_rows(job.rows, {"test": rows(100 - 40 * seed)})
        if case == "broken":
            job.rows.write_bytes(b"PK")
    board = made.board()
    (group,) = board.groups
    assert (group.interval, group.against_best, board.statistics) == (None, None, None)
    assert group.results()[name].sd == pytest.approx(0.2 / 2**0.5)


def test_labels_in_another_order_are_the_same_labels(made: Board200) -> None:
    made.run("a", made.config(), rows(10), results={"macro_f1": 0.95})
    turned = rows(20)
    assert turned.gold is not None
    assert turned.predicted is not None
    other = EvaluatedRows(turned.correct, 1 - turned.gold, 1 - turned.predicted, turned.log_loss)
    made.run("b", made.config(lora={"r": 4}), other, details={"labels": ["pos", "neg"]})
    assert len(made.board().groups) == 2
    assert made.groups()["b"].interval is not None


def test_json_and_pages_show_groups(made: Board200) -> None:
    made.seeds("good", [20, 30, 40])
    made.seeds("alike", [30, 30, 30], start=10, lora={"r": 2})
    made.seeds("short", [120, 130], lora={"r": 4})
    write_leaderboard([made.folder.results], made.path)
    written = json.loads((made.path / "leaderboard.json").read_text())
    (board,) = written["boards"]
    assert [(group["name"], group["rank"], group["n"]) for group in board["groups"]] == [
        ("good", 1, 3), ("alike", 1, 3), ("short", 3, 2),
    ]  # fmt: skip
    assert board["groups"][1]["against_best"]["tie"]
    assert (board["statistics"]["metric"], board["statistics"]["n_rows"]) == ("accuracy", 200)
    shown = board_text(written, 200)
    page = (made.path / "leaderboard.md").read_text()
    for text in (shown, page):
        assert "0.8500 ± 0.0500" in text
        assert "2/3" in text
        assert "95 % intervals: accuracy, over test rows and seeds (2,000 bootstrap samples of 200 test rows)" in text
        assert "80 % power" in text
    assert "good/seed1" not in shown
    assert "good/seed1" in page


def test_with_one_seed_the_terminal_shows_experiments_with_intervals(made: Board200) -> None:
    made.run("a", made.config(), rows(20))
    made.run("b", made.config(lora={"r": 4}), rows(20, 10))
    write_leaderboard([made.folder.results], made.path)
    lines = board_text(json.loads((made.path / "leaderboard.json").read_text()), 200).splitlines()
    lines = lines[next(number for number, line in enumerate(lines) if line.startswith("#")) - 2 :]
    assert lines[2].split()[:7] == ["#", "set-up", "accuracy", "95", "%", "interval", "mark"]
    assert "0.9000  [0.8" in lines[4]
    assert "  best " in lines[4]
    assert "  ? one seed " in lines[5]


def test_groups_with_other_seeds_are_compared_by_the_spread_of_each(made: Board200) -> None:
    made.seeds("a", [20, 30, 40])
    made.seeds("b", [60, 80, 70], first=5, lora={"r": 4})
    against = made.groups()["b"].against_best
    assert against is not None
    assert against.test == "t-different-seeds"
    assert against.difference == pytest.approx(-0.2)
    assert against.interval.low < -0.2 < against.interval.high < 0
    assert against.p < 0.05


def test_a_run_without_a_number_does_not_better_its_group(made: Board200) -> None:
    made.seeds("b", [40, 40])
    made.run("a/seed0", made.config(seed=0, lora={"r": 4}), rows(20))
    made.run("a/seed1", made.config(seed=1, lora={"r": 4}), rows(20), results={"accuracy": None})
    groups = made.groups()
    assert (groups["b"].rank, groups["a"].rank, groups["a"].value) == (1, None, None)


ODD_ROWS: dict[str, Any] = {
    "short": lambda arrays: arrays.update(gold=arrays["gold"][:-1]),
    "outside": lambda arrays: arrays.update(gold=arrays["gold"] + 98),
    "text": lambda arrays: arrays.update(gold=arrays["gold"].astype(str)),
    "scalar": lambda arrays: arrays.update(correct=np.bool_(True)),
    "short without calibrator": lambda arrays: arrays.update(uncalibrated_predicted=arrays["gold"][:-1]),
}


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
@pytest.mark.parametrize("case", [*ODD_ROWS, "results", "details"])
def test_one_run_with_odd_files_has_no_interval_and_the_others_stand(made: Board200, case: str, metric: str) -> None:
    own = {"evaluation": {"metrics": [metric]}}
    results = {"macro_f1": 0.9}
    for name in ("a", "b"):
        made.run(name, made.config(model={"name": name}, **own), rows(20), results=results)
    key = made.folder.configs["b"]["id"]
    job = made.folder.experiment("b", key)
    if case in ODD_ROWS:
        with np.load(job.rows) as saved:
            arrays = dict(saved)
        ODD_ROWS[case](arrays)
        np.savez(job.rows, **arrays)
    else:
        job.metrics.write_text(json.dumps(json.loads(job.metrics.read_text()) | {case: None}))
    write_manifest(job, [job.metrics, job.rows])
    board = write_leaderboard([made.folder.results], made.path).report.leaderboard.boards[0]
    intervals = {group.name: group.interval for group in board.groups}
    assert intervals["a"] is not None
    follows_from_correct_alone = metric == "accuracy" and case in ("outside", "text")
    assert (intervals.get("b") is None) != follows_from_correct_alone
