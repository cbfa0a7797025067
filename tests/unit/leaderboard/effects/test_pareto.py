"""Pareto fronts beside the definition, written out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.leaderboard.board import Board
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.records import ParetoFront, ParetoPoint
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

GIB = 1 << 30


def board(folder: ResultsBuilder) -> Board:
    return with_statistics(build_leaderboard([folder.results])).boards[0]


def add(folder: ResultsBuilder, name: str, value: float | None, metric: str = "macro_f1", **parts: Any) -> None:
    own = config(model={"name": name.split("/")[0]}, evaluation={"metrics": [metric]}, seed=len(folder.configs))
    folder.done(name, f"{len(folder.configs):016x}", own, metrics({metric: value}, **parts))


def front(folder: ResultsBuilder, cost: str) -> ParetoFront:
    return next(found for found in board(folder).pareto if found.cost == cost)


def beats(one: ParetoPoint, other: ParetoPoint, sign: float) -> bool:
    """Better at a cost that counts as no higher, or as good at a lower one; lower is 10 % less or more."""
    gain = sign * (one.value - other.value)
    return (gain > 0 and 0.9 * one.cost <= other.cost) or (gain == 0 and one.cost < 0.9 * other.cost)


@pytest.mark.parametrize(("metric", "sign"), [("macro_f1", 1.0), ("log_loss", -1.0)])
def test_on_the_front_is_what_no_other_one_beats(tmp_path: Path, metric: str, sign: float) -> None:
    folder = ResultsBuilder(tmp_path)
    rng = np.random.default_rng(1)
    for number in range(40):  # few values, so that many are equal; costs within 10 % of each other and beyond
        timing = {"train": float(rng.integers(0, 5)) * 10 + float(rng.integers(0, 3)), "infer": 1.0}
        add(folder, f"m{number}", float(rng.integers(0, 6)) / 10, metric, timing=timing)
    found = front(folder, "seconds of training")
    assert len(found.points) == 40
    for point in found.points:
        assert point.on_front == (not any(beats(other, point, sign) for other in found.points))
    assert [point.cost for point in found.points] == sorted(point.cost for point in found.points)
    assert 0 < sum(point.on_front for point in found.points) < 40


@pytest.mark.parametrize(("seconds", "is_on_front"), [(9.2, False), (8.9, True)])
def test_a_cost_that_is_hardly_lower_excuses_nothing(tmp_path: Path, seconds: float, *, is_on_front: bool) -> None:
    folder = ResultsBuilder(tmp_path)
    add(folder, "good", 0.8, timing={"infer": 10.0})
    add(folder, "poor", 0.35, timing={"infer": seconds})
    points = {point.group: point.on_front for point in front(folder, "seconds per 1,000 predictions").points}
    assert points == {"good": True, "poor": is_on_front}


def test_costs_are_means_over_runs_and_shared_stages_count_in_full(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    for seed, seconds in enumerate((10.0, 30.0)):
        timing = {"train": seconds, "infer": 5.0, "evaluate": 100.0}
        resources = {"peak_rss_bytes": (1 + seed) * GIB, "trainable_parameters": 64}
        add(folder, f"a/seed{seed}", 0.5, timing=timing, resources=resources)
    found = {one.cost: (one.unit, one.points[0].cost) for one in board(folder).pareto}
    assert found == {
        "seconds of training": ("s", 20.0),
        "seconds per 1,000 predictions": ("s", 25.0),
        "peak memory of training": ("GiB", 1.5),
        "trainable parameters": ("parameters", 64.0),
    }


def test_memory_is_the_gpus_where_any_run_used_one(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    add(
        folder,
        "a",
        0.5,
        resources={"peak_gpu_bytes": 3 * GIB, "infer_peak_gpu_bytes": GIB, "train_peak_gpu_bytes": 3 * GIB},
    )
    add(folder, "b", 0.6)
    for kind, size in (("inference", 1.0), ("training", 3.0)):
        points = front(folder, f"peak memory of {kind}").points
        assert [(point.group, point.cost, point.on_front) for point in points] == [("a", size, True)]


def test_memory_of_inference_is_compared_with_its_like(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    own = config(lora=None, training=None, dataset={"shots": 0})
    timing: dict[str, Any] = {"train": None, "infer": 2.0}
    folder.done("zero", "f" * 16, own, metrics({"macro_f1": 0.4}, timing=timing))
    assert [found.cost for found in board(folder).pareto if found.unit == "GiB"] == ["peak memory of inference"]
    resources = {"peak_rss_bytes": 3 * GIB, "infer_peak_rss_bytes": GIB, "train_peak_rss_bytes": 3 * GIB}
    add(folder, "lora", 0.5, resources=resources)
    inference, training = (front(folder, f"peak memory of {kind}").points for kind in ("inference", "training"))
    assert [(point.group, point.cost, point.on_front) for point in inference] == [
        ("lora", 1.0, True), ("zero", 1.0, False),
    ]  # fmt: skip
    assert [(point.group, point.cost, point.on_front) for point in training] == [
        ("zero", 0.0, True), ("lora", 3.0, True),
    ]  # fmt: skip


def test_nothing_trained_has_no_parameters_and_no_seconds_of_training(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    own = config(lora=None, training=None, dataset={"shots": 0})
    record = metrics({"macro_f1": 0.4}, timing={"train": None, "infer": 2.0})
    folder.done("zero", "f" * 16, own, record)
    add(folder, "lora", 0.5)  # an older record: how many parameters were trained is not told
    assert [(point.group, point.cost) for point in front(folder, "trainable parameters").points] == [("zero", 0.0)]
    assert [point.cost for point in front(folder, "seconds of training").points] == [0.0, 12.34]


def test_groups_short_of_seeds_are_points(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    add(folder, "a/seed0", 0.5)
    add(folder, "a/seed1", 0.6)
    add(folder, "b/seed0", 0.9)
    add(folder, "c/seed0", None)
    assert {point.group for point in front(folder, "seconds of training").points} == {"a", "b/seed0"}


def test_what_ranks_decides_also_on_dev_rows(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    for name, dev, test in (("a", 0.9, 0.1), ("b", 0.2, 0.8)):
        results = {"macro_f1": test, "dev_macro_f1": dev}
        data = {"dev_rows_sha256": "dd"}
        folder.done(name, name * 16, config(model={"name": name}), metrics(results, data=data))
    found = front(folder, "seconds of training")
    assert (found.metric, [(point.value, point.on_front) for point in found.points]) == (
        "dev_macro_f1", [(0.9, True), (0.2, False)],
    )  # fmt: skip
