"""Pareto fronts beside the definition, written out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.leaderboard.board import Board
from sft.leaderboard.building import build_leaderboard, with_statistics
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
    gain, saving = sign * (one.value - other.value), other.cost - one.cost
    return gain >= 0 and saving >= 0 and (gain > 0 or saving > 0)


@pytest.mark.parametrize(("metric", "sign"), [("macro_f1", 1.0), ("log_loss", -1.0)])
def test_on_the_front_is_what_no_other_one_beats(tmp_path: Path, metric: str, sign: float) -> None:
    folder = ResultsBuilder(tmp_path)
    rng = np.random.default_rng(1)
    for number in range(30):  # few numbers, so that many are equal
        timing = {"train": float(rng.integers(0, 5)), "infer": 1.0}
        add(folder, f"m{number}", float(rng.integers(0, 6)) / 10, metric, timing=timing)
    found = front(folder, "seconds")
    assert len(found.points) == 30
    for point in found.points:
        assert point.on_front == (not any(beats(other, point, sign) for other in found.points))
    assert [point.cost for point in found.points] == sorted(point.cost for point in found.points)
    assert sum(point.on_front for point in found.points) < 30


def test_costs_are_means_over_runs_and_shared_stages_count_in_full(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    for seed, seconds in enumerate((10.0, 30.0)):
        timing = {"train": seconds, "infer": 5.0, "evaluate": 100.0}
        resources = {"peak_rss_bytes": (1 + seed) * GIB, "trainable_parameters": 64}
        add(folder, f"a/seed{seed}", 0.5, timing=timing, resources=resources)
    found = {one.cost: (one.unit, one.points[0].cost) for one in board(folder).pareto}
    assert found == {"seconds": ("s", 25.0), "peak memory": ("GiB", 1.5), "trainable parameters": ("parameters", 64.0)}


def test_memory_is_the_gpus_where_any_run_used_one(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    add(folder, "a", 0.5, resources={"peak_gpu_bytes": 3 * GIB})
    add(folder, "b", 0.6)
    points = front(folder, "peak memory").points
    assert [(point.group, point.cost, point.on_front) for point in points] == [("a", 3.0, True)]


def test_nothing_trained_has_no_parameters_and_no_seconds_of_training(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    own = config(lora=None, training=None, dataset={"shots": 0})
    record = metrics({"macro_f1": 0.4}, timing={"train": None, "infer": 2.0})
    folder.done("zero", "f" * 16, own, record)
    add(folder, "lora", 0.5)  # an older record: how many parameters were trained is not told
    assert [(point.group, point.cost) for point in front(folder, "trainable parameters").points] == [("zero", 0.0)]
    assert [point.cost for point in front(folder, "seconds").points] == [2.0, 17.34]


def test_groups_short_of_seeds_are_points(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    add(folder, "a/seed0", 0.5)
    add(folder, "a/seed1", 0.6)
    add(folder, "b/seed0", 0.9)
    add(folder, "c/seed0", None)
    assert {point.group for point in front(folder, "seconds").points} == {"a", "b/seed0"}


def test_what_ranks_decides_also_on_dev_rows(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    for name, dev, test in (("a", 0.9, 0.1), ("b", 0.2, 0.8)):
        results = {"macro_f1": test, "dev_macro_f1": dev}
        data = {"dev_rows_sha256": "dd"}
        folder.done(name, name * 16, config(model={"name": name}), metrics(results, data=data))
    found = front(folder, "seconds")
    assert (found.metric, [(point.value, point.on_front) for point in found.points]) == (
        "dev_macro_f1", [(0.9, True), (0.2, False)],
    )  # fmt: skip
