"""What a board says in words, and what it does not say."""

from pathlib import Path
from typing import Any

import pytest

from sft.leaderboard.board import Board
from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.costs import Costs
from sft.leaderboard.groups import Group
from sft.leaderboard.records import Comparison, Interval, Needed
from sft.leaderboard.statistics.comparison import BoardStatistics
from sft.leaderboard.verdict import verdict_of


def cost(seconds: float | None, train: float | None = None) -> Costs:
    return Costs(
        train_seconds=train, seconds_per_1000=seconds, seconds_cover=None, prompt_tokens=None, adapter_bytes=None,
        trainable_parameters=None, peak_rss_bytes=None, peak_gpu_bytes=None,
        infer_peak_rss_bytes=None, infer_peak_gpu_bytes=None, train_peak_rss_bytes=None, train_peak_gpu_bytes=None,
        devices=(),
    )  # fmt: skip


def against(mark: str, difference: float = -0.04, *, runs_only: bool = False) -> Comparison:
    return Comparison(
        difference=difference, interval=Interval(difference - 0.05, difference + 0.05), p=0.2, p_holm=0.6, mark=mark,
        test="t", covers="test rows and seeds", runs_only=runs_only, n_seeds=3, n_pairs=3, detectable=0.05,
        needed=Needed(2400, 7),
    )  # fmt: skip


def group(name: str, rank: int, value: float, comparison: Comparison | None = None, **changes: Any) -> Group:
    run = ExperimentRecord(name, name, "done", Path(), {}, {"results": {"macro_f1": value}})
    fields: dict[str, Any] = {"n_seeds": 3, "expected_seeds": 3} | changes
    return Group(
        name, (run,), (run,), no_seed_effect=False, value=value, rank=rank, against_best=comparison,
        interval=Interval(value - 0.1, value + 0.1), **fields,
    )  # fmt: skip


def board(*groups: Group, metric: str = "macro_f1") -> Board:
    statistics = BoardStatistics("macro_f1", 200, len(groups), 3, "test", 0.02, Needed(2400, 7), 0.05)
    return Board("b", "classification", "label", ("a", "b"), metric, True, (), (), groups, statistics)


def lines(found: Board, costs: dict[str, Costs] | None = None) -> tuple[str, ...]:
    known = {one.name: cost(10.0) for one in found.groups} | (costs or {})
    return verdict_of(found, known).lines


def test_what_leads_by_how_much_and_how_sure() -> None:
    found = board(
        group("a", 1, 0.7), group("b", 2, 0.66, against("not told apart")), group("c", 3, 0.3, against("worse", -0.4)),
        group("d", 4, 0.2, against("worse", -0.5)),
    )  # fmt: skip
    assert lines(found) == (
        "a leads: macro_f1 0.7000 on the 200 test rows, 95 % [0.6000, 0.8000].",
        "2 of the 3 others are shown to be worse on the test rows; 1 not told apart (p corrected for 3 comparisons by "
        "Holm).",
        "The next, b, differs from it by -0.0400 [-0.0900, +0.0100], p (Holm) 0.600.",
        "No cheaper one is equivalent to it or left open.",
    )


def test_the_cheapest_that_is_equivalent_is_what_to_use() -> None:
    found = board(
        group("a", 1, 0.7), group("b", 2, 0.69, against("equivalent")), group("c", 3, 0.69, against("equivalent"))
    )
    costs = {"a": cost(30.0), "b": cost(10.0, train=100.0), "c": cost(10.5, train=10.0)}
    verdict = verdict_of(found, costs)
    assert (verdict.winner, verdict.equivalent, verdict.cheapest) == ("a", ("b", "c"), "c")
    assert (
        verdict.lines[-1] == "The cheapest that is equivalent to it: c (10.5 s per 1,000 predictions, against 30.0)."
    )
    assert (
        "0 of the 2 others are shown to be worse on the test rows; 2 equivalent within ±0.02 (b, c)"
        in verdict.lines[1]
    )


def test_what_is_only_not_told_apart_is_not_called_as_good() -> None:
    found = board(group("a", 1, 0.7), group("b", 2, 0.69, against("not told apart")))
    assert lines(found, {"b": cost(1.0)})[-1] == (
        "Nothing cheaper is shown to be as good within ±0.02; cheaper and left open: b (-0.0400, p (Holm) 0.600); "
        "telling 0.02 apart takes some 2,400 test rows and 7 seeds."
    )


def test_nothing_beats_the_majority_class() -> None:
    title = "majority class (shots 16)"
    groups = [group("a", 1, 0.3, not_above=(title,)), group("b", 2, 0.2, against("worse"), not_above=(title, "other"))]
    assert lines(board(*groups))[0] == "Nothing here is shown to beat the majority class."
    above = [group("a", 1, 0.3), groups[1]]
    assert "majority" not in " ".join(lines(board(*above)))


def test_one_seed_each_is_said() -> None:
    found = board(group("a", 1, 0.7), group("b", 2, 0.6, against("not told apart", runs_only=True)))
    assert any("runs are compared" in line for line in lines(found))


def test_a_leader_that_lacks_seeds_is_so_far_one() -> None:
    found = board(group("a", 1, 0.7, n_seeds=2))
    assert lines(found) == (
        "a leads, so far on 2 of 3 seeds: macro_f1 0.7000 on the 200 test rows, 95 % [0.6000, 0.8000].",
    )
    assert verdict_of(found, {"a": cost(1.0)}).provisional


@pytest.mark.parametrize("tied", [False, True])
def test_dev_rows_choose_and_test_rows_are_told(tied: bool) -> None:
    found = board(group("a", 1, 0.7), group("b", 1 if tied else 2, 0.7, against("better", 0.1)), metric="dev_macro_f1")
    first, second, *_ = lines(found)
    leads = "a, b tie for the lead" if tied else "a leads"
    assert first.startswith(f"{leads} on the dev rows (dev_macro_f1 0.7000)")
    assert "macro_f1 0.7000 on the 200 test rows" in first
    assert "better on the test rows: b" in second


def test_without_a_rank_nothing_leads() -> None:
    assert verdict_of(board(), {}).lines == ("No set-up is ranked yet.",)
