"""Two experiments, or two groups, beside each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.statistics.formulas import score_mcnemar_p
from sft.leaderboard.views.pair import Disagreement, Pair
from sft.leaderboard.views.view import LeaderboardView, ViewRequest, leaderboard_view
from sft.runs.manifest import write_manifest
from sft.runs.records import ErrorRecord
from sft.terminal.board.boards import view_text
from sft.terminal.screen import Screen
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

N = 40
GOLD = ["pos", "neg"] * (N // 2)
COLUMNS = {"text": [f"row {row}" for row in range(N)], "label": GOLD}
OTHER = {"pos": "neg", "neg": "pos"}
ZERO: dict[str, Any] = {"lora": None, "training": None, "dataset": {"shots": 0}}


def wrong(places: Sequence[int]) -> list[str]:
    """Answers that are wrong at some rows."""
    return [OTHER[word] if row in places else word for row, word in enumerate(GOLD)]


def own(**changes: Any) -> dict[str, Any]:
    return config(**{"evaluation": {"metrics": ["accuracy", "log_loss"]}} | changes)


class Made(ResultsBuilder):
    def run(self, name: str, places: Sequence[int], own_config: dict[str, Any], **parts: Any) -> str:
        key = f"{len(self.configs) + 1:x}" * 16
        self.answered(name, key, own_config, wrong(places), COLUMNS, **parts)
        return key

    def pair(self, first: str, second: str, metric: str | None = None) -> Pair:
        request = ViewRequest(metric=metric, diff=(first, second))
        pair = self.view(request).pair
        assert pair is not None
        return pair

    def view(self, request: ViewRequest) -> LeaderboardView:
        leaderboard = with_statistics(build_leaderboard([self.results]))
        return leaderboard_view(leaderboard, [self.results], self.results, request)

    def text(self, first: str, second: str, **options: Any) -> str:
        request = ViewRequest(diff=(first, second), **options)
        return view_text(self.view(request), Screen())

    def refused(self, first: str, second: str) -> str:
        with pytest.raises(UserError) as error:
            self.pair(first, second)
        assert str(error.value).startswith("--diff: ")
        assert "\n" not in str(error.value)
        return str(error.value)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """`small` is wrong at rows 0 to 5, `large` at 4 to 16."""
    folder = Made(tmp_path)
    folder.run("small", range(6), own(lora={"r": 4}), timing={"train": 10.0})
    folder.run("large", range(4, 17), own(lora={"r": 16, "lora_alpha": 32}), timing={"train": 14.0})
    return folder


@pytest.fixture
def seeds(tmp_path: Path) -> Made:
    """Two groups of three seeds and one without any effect of them."""
    folder = Made(tmp_path)
    for seed in range(3):
        folder.run(f"good/seed{seed}", range(seed, 2 * seed + 2), own(seed=seed))
        folder.run(f"bad/seed{seed}", range(10, 25 + seed), own(seed=seed, lora={"r": 4}))
    return folder


def test_the_difference_in_accuracy_is_mcnemar_s_and_each_way_round(made: Made) -> None:
    pair, turned = made.pair("small", "large"), made.pair("large", "small")
    assert pair.difference is not None
    assert turned.difference is not None
    comparison = pair.difference.comparison
    assert comparison.difference == pytest.approx(7 / N)
    assert (comparison.test, comparison.p) == ("mcnemar", score_mcnemar_p(11, 4))
    assert comparison.interval.low < 7 / N < comparison.interval.high
    assert turned.difference.comparison.difference == pytest.approx(-7 / N)
    assert turned.difference.comparison.p == comparison.p


def test_another_metric_gives_its_own_difference_by_the_bootstrap(made: Made) -> None:
    pair = made.pair("small", "large", metric="log_loss")
    assert pair.metric == "log_loss"
    assert pair.results[0].name == "log_loss"
    assert pair.difference is not None
    assert pair.difference.comparison.test == "bootstrap"
    assert pair.difference.comparison.difference == pytest.approx(-7 * 1.25 / N)


def test_settings_and_costs_stand_side_by_side(made: Made) -> None:
    pair = made.pair("small", "large")
    assert [(item.path, item.first, item.first_text, item.second_text) for item in pair.settings] == [
        ("lora.r", 4, "4", "16"), ("lora.lora_alpha", None, "default", "32"),
    ]  # fmt: skip
    assert [(cost.name, cost.first, cost.second) for cost in pair.costs][:2] == [
        ("train", 10.0, 14.0), ("infer", 5.0, 5.0),
    ]  # fmt: skip
    shown = made.text("small", "large")
    assert "lora.lora_alpha  default  32" in shown
    assert "peak RSS GiB" in shown


def test_rows_are_counted_and_those_on_which_they_disagree_are_listed(made: Made) -> None:
    rows = made.pair("small", "large").rows
    assert rows is not None
    assert (rows.both_right, rows.only_first, rows.only_second, rows.both_wrong) == (23, 11, 4, 2)
    assert rows.n_rows == N
    assert [row.index for row in rows.disagreements] == [0, 1, 2, 3, *range(6, 17)]
    assert rows.disagreements[0] == Disagreement(0, "row 0", "pos", "neg", "pos")
    shown = made.text("small", "large").splitlines()
    assert "Test rows: both right 23, only A 11, only B 4, both wrong 2" in shown
    assert "They disagree on 15 rows, of which the first 10:" in shown
    assert "  0  row 0   pos   neg  pos" in shown
    assert "... and 5 more rows" in shown


@pytest.mark.parametrize("wanted", ["large", "2222", "best"])
def test_names_beginnings_of_ids_and_best_are_understood(made: Made, wanted: str) -> None:
    other = "large" if wanted == "best" else "small"
    sides = made.pair(other, wanted).sides
    assert sides.second.name == ("small" if wanted == "best" else "large")
    assert made.pair(wanted, other).sides.first.name == sides.second.name


def test_best_stands_on_the_board_of_the_other_one_by_the_metric_asked_for(made: Made) -> None:
    made.run("calm", range(20), own(lora={"r": 2}), results={"log_loss": 0.01})
    assert made.pair("large", "best").sides.second.name == "small"
    assert made.pair("large", "best", metric="log_loss").sides.second.name == "calm"


def test_what_cannot_be_found_is_told_with_the_nearest(made: Made) -> None:
    made.failed("broken", "e" * 16, own(lora={"r": 99}), ErrorRecord("data", "no rows"))
    made.done("old", "d" * 16, own(lora={"r": 98}), metrics({"accuracy": 1.0}), in_grid=False)
    made.run("more", range(3), own(lora={"r": 97}))
    made.answered("same", "2" + "3" * 15, own(lora={"r": 96}), wrong([1]), COLUMNS)
    assert "did you mean small?" in made.refused("smal", "large")
    assert "there are: " in made.refused("small", "@@@@")
    assert "broken has no result, it is failed: no rows" in made.refused("broken", "large")
    assert "old is not in this grid" in made.refused("small", "old")
    assert "'2' may be same [23333333], large [22222222]" in made.refused("small", "2")
    assert "twice" in made.refused("small", "small")
    assert "are the same experiment" in made.refused("small", "1111")


@pytest.mark.parametrize(
    ("changes", "parts", "reason"),
    [
        (
            {},
            {"data": {"test_rows_sha256": "bb", "n_test": 50}},
            "the test rows are not the same (200 rows against 50",
        ),
        ({}, {"data": {"test_rows_sha256": "bb"}}, "(as many, but others: 200 rows against 200 rows)"),
        ({}, {"data": {"dev_rows_sha256": "cc", "n_dev": 7}}, "the dev rows are not the same (none against 7 rows)"),
        ({}, {"details": {"labels": ["neg", "neutral"]}}, "(only the first: pos; only the second: neutral)"),
        ({"dataset": {"task_type": "generation"}}, {}, "one is classification, the other generation"),
    ],
)
def test_experiments_of_different_boards_are_refused_with_the_reason(
    made: Made, changes: dict[str, Any], parts: dict[str, Any], reason: str
) -> None:
    made.done("other", "f" * 16, own(**changes), metrics({"accuracy": 0.5}, **parts))
    assert reason in made.refused("small", "other")


def test_groups_are_compared_seed_by_seed(seeds: Made) -> None:
    pair = seeds.pair("good", "bad")
    assert pair.difference is not None
    comparison = pair.difference.comparison
    assert comparison.difference == pytest.approx((15 + 16 + 17 - 2 - 3 - 4) / 3 / N)
    assert (comparison.test, comparison.covers) == ("t", "test rows and seeds")
    assert [item.path for item in pair.settings] == ["lora.r"]
    assert [run.name for run in pair.runs] == ["good/seed0", "bad/seed0"]
    assert pair.rows is not None
    assert (pair.rows.only_first, pair.rows.only_second) == (15, 2)
    shown = seeds.text("good", "bad")
    assert "A  good, mean of 3 runs (seeds 0, 1, 2)" in shown
    assert "Test rows of good/seed0 and bad/seed0: both right 23" in shown


def test_groups_without_a_seed_in_common_are_compared_too(seeds: Made) -> None:
    for seed in (7, 8, 9):
        seeds.run(f"late/seed{seed}", range(30), own(seed=seed, lora={"r": 2}))
    pair = seeds.pair("good", "late")
    assert pair.difference is not None
    assert pair.difference.comparison.difference == pytest.approx((30 - 3) / N)
    assert [item.path for item in pair.settings] == ["lora.r"]
    assert pair.runs[0].name == "good/seed0"


def test_single_seeds_of_groups_are_compared_with_their_seeds_as_settings(seeds: Made) -> None:
    pair = seeds.pair("good/seed1", "bad/seed2")
    assert [item.path for item in pair.settings] == ["seed", "lora.r"]
    assert pair.difference is not None
    assert pair.difference.comparison.test == "mcnemar"


def test_best_is_a_group_beside_a_group_and_a_run_beside_a_run(seeds: Made) -> None:
    assert len(seeds.pair("bad", "best").sides.second.group.runs) == 3
    assert [run.name for run in seeds.pair("bad/seed1", "best").sides.second.group.runs] == ["good/seed0"]


def test_a_group_and_one_seed_of_another_are_refused(seeds: Made) -> None:
    assert "name two groups, or two experiments" in seeds.refused("good", "bad/seed1")
    assert "name two groups, or two experiments" in seeds.refused("bad/seed1", "good")


def test_one_run_without_any_effect_of_seeds_is_compared_with_a_group(seeds: Made) -> None:
    key = seeds.run("zero/seed0", range(30), own(seed=0, **ZERO))
    for seed in (1, 2):
        seeds.alias(f"zero/seed{seed}", key, own(seed=seed, **ZERO), seeds.experiment("zero/seed0", key))
    pair = seeds.pair("good", "zero")
    assert pair.difference is not None
    assert pair.difference.comparison.difference == pytest.approx((30 - 3) / N)
    assert [run.name for run in pair.runs] == ["good/seed0", "zero/seed0"]


def test_generated_texts_differ_but_for_white_space_around_them(tmp_path: Path) -> None:
    made = Made(tmp_path)
    columns = {"text": ["q1", "q2", "q3"], "label": ["one", "two", "three"]}
    for place, texts in enumerate([["one ", "2", "3\x1b[31m"], ["one", "two", "drei"]]):
        task = own(dataset={"task_type": "generation"}, lora={"r": place + 1}, evaluation={"metrics": ["exact_match"]})
        made.answered(f"g{place}", f"{place}" * 16, task, texts, columns, details={"labels": None})
    rows = made.pair("g0", "g1").rows
    assert rows is not None
    assert (rows.both_right, rows.only_first, rows.only_second, rows.both_wrong) == (1, 0, 1, 1)
    assert [row.index for row in rows.disagreements] == [1, 2]
    shown = made.text("g0", "g1")
    assert "both exact 1, only A 0, only B 1" in shown
    assert r"3\x1b[31m" in shown


def test_columns_with_our_names_and_several_columns_are_read(tmp_path: Path) -> None:
    made = Made(tmp_path)
    columns = {"label": ["pos", "neg"], "index": ["i0", "i1"], "predictions": ["p0", "p1"]}
    for place in range(2):
        inputs = {"prompting": {"input_columns": ["index", "predictions"]}, "lora": {"r": place + 1}}
        made.answered(f"e{place}", f"{place}" * 16, own(**inputs), ["pos", ["neg", "pos"][place]], columns)
    rows = made.pair("e0", "e1").rows
    assert rows is not None
    assert [row.text for row in rows.disagreements] == ["index: i1  predictions: p1"]


def test_what_older_versions_left_is_compared_as_far_as_it_goes(made: Made) -> None:
    job = made.experiment("small", "1" * 16)
    job.rows.unlink()
    write_manifest(job, [job.result])
    pair = made.pair("small", "large")
    assert pair.difference is None
    assert pair.rows is not None
    assert "accuracy: no interval and no test" in made.text("small", "large")
    job.predictions("test", "jsonl").write_text("{")
    write_manifest(job, [job.result])
    assert made.pair("small", "large").rows is None
    assert "predictions of one of the two cannot be read" in made.text("small", "large")


def test_equal_answers_are_said_to_be_equal(made: Made) -> None:
    made.run("twin", range(6), own(lora={"r": 5}))
    assert "On every row the two say the same." in made.text("small", "twin")
