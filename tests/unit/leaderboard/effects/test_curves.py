"""Learning curves: which groups are on one, and their numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.leaderboard.records import LearningCurve
from tests.support.records import outcome
from tests.support.results import ResultsBuilder

ZERO: dict[str, Any] = {"lora": None, "training": None, "adapter": {"method": "none"}}


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path)


def add(folder: ResultsBuilder, name: str, n_right: int, shots: Any, **changes: Any) -> str:
    dataset = {"shots": shots, **changes.pop("dataset", {})}
    return folder.scored(name, outcome(np.arange(200) < n_right), {"dataset": dataset, **changes})


def told(curve: LearningCurve) -> list[tuple[int | str, str]]:
    return [(point.shots, point.group) for point in curve.points]


def test_groups_that_differ_in_shots_alone_are_a_curve_from_zero_shot_on(made: ResultsBuilder) -> None:
    for shots, n_right in (("all", 190), (16, 150), (4, 120)):
        for seed in (1, 2):
            add(made, f"lora/{shots}/seed{seed}", n_right + seed, shots, seed=seed)
    add(made, "zero", 100, 0, **ZERO)
    board = made.board()
    (curve,) = board.learning_curves
    assert told(curve) == [(0, "zero"), (4, "lora/4"), (16, "lora/16"), ("all", "lora/all")]
    assert (curve.name, curve.settings, curve.metric) == ("lora", {}, "accuracy")
    assert [point.n for point in curve.points] == [1, 2, 2, 2]
    assert [point.value for point in curve.points] == pytest.approx([0.5, 0.6075, 0.7575, 0.9575])
    intervals = {group.name: group.interval for group in board.groups}
    for point in curve.points:
        interval = intervals[point.group]
        assert interval is not None
        assert (point.low, point.high) == (interval.low, interval.high)
    assert curve.points[1].n_train == 16


def test_curves_are_named_by_what_tells_them_apart_where_names_do_not(made: ResultsBuilder) -> None:
    for rank, shots in ((8, 4), (8, 16), (4, 4), (4, 16)):
        add(made, f"n{rank}-{shots}", 100 + shots, shots, lora={"r": rank})
    found = {curve.name: curve.settings for curve in made.board().learning_curves}
    assert found == {"lora.r 8": {"lora.r": 8}, "lora.r 4": {"lora.r": 4}}


def test_zero_shot_begins_every_curve_set_like_it_but_for_what_needs_rows(made: ResultsBuilder) -> None:
    shown = {"lora": None, "training": None, "adapter": {"method": "none"}, "inference": {"icl_examples": 2}}
    for model in "ab":
        add(made, f"{model}/zero", 90, 0, model={"name": model}, **ZERO)
        add(made, f"{model}/lora", 150, 8, model={"name": model})
        add(made, f"{model}/icl", 120, 8, model={"name": model}, **shown)
    found = {curve.name: told(curve) for curve in made.board().learning_curves}
    assert found == {
        f"{model}/{kind}": [(0, f"{model}/zero"), (8, f"{model}/{kind}")] for model in "ab" for kind in ("lora", "icl")
    }


def test_a_curve_begins_at_its_own_zero_shot(made: ResultsBuilder) -> None:
    """In-context 1 is a gain over in-context 1 at no shots, and a loss beside the model without any example."""
    for icl, zero, n_right in ((0, 92, 95), (1, 49, 68)):
        shown = {"inference": {"icl_examples": icl}}
        add(made, f"zero/icl{icl}", zero, 0, **ZERO | shown)
        add(made, f"lora/icl{icl}", n_right, 4, **shown)
    found = {curve.name: told(curve) for curve in made.board().learning_curves}
    assert found == {f"lora/icl{icl}": [(0, f"zero/icl{icl}"), (4, f"lora/icl{icl}")] for icl in (0, 1)}


def test_what_is_written_without_effect_keeps_no_curve_from_its_start(made: ResultsBuilder) -> None:
    """The zero-shot run carries an adapter, and shots that nothing uses are none."""
    add(made, "zero", 90, 16, adapter={"method": "none"}, lora=None, training=None)
    add(made, "lora", 150, 8, lora={"r": 8, "init_lora_weights": "pca"})
    (curve,) = made.board().learning_curves
    assert told(curve) == [(0, "zero"), (8, "lora")]


@pytest.mark.parametrize(
    "changes",
    [
        {"inference": {"calibration_args": {"calibration_fn": "temperature"}}},
        {"prompting": {"max_input_length": 9}},
    ],
    ids=["calibrated on the train split", "another prompt"],
)
def test_what_calibrates_on_the_train_split_or_is_set_otherwise_is_no_zero(
    made: ResultsBuilder, changes: dict[str, Any]
) -> None:
    add(made, "zero", 90, 0, **ZERO | changes)
    kept = changes if "prompting" not in changes else {}
    add(made, "lora", 150, 8, **kept)
    assert made.board().learning_curves == ()


def test_one_number_of_shots_is_no_curve(made: ResultsBuilder) -> None:
    add(made, "a", 90, 8)
    add(made, "b", 95, 8, lora={"r": 4})
    assert made.board().learning_curves == ()


def test_shots_that_nothing_uses_are_no_curve(made: ResultsBuilder) -> None:
    key = add(made, "c", 90, 8, lora=None, training=None)
    made.alias("d", key, made.config(lora=None, training=None, dataset={"shots": 16}), made.experiment("c", key))
    assert made.board().learning_curves == ()


def test_a_group_without_the_number_is_no_point(made: ResultsBuilder) -> None:
    for shots in (4, 8, 16):
        results = {"accuracy": None} if shots == 8 else {}
        made.scored(f"{shots}", outcome(np.arange(200) < 100), {"dataset": {"shots": shots}}, results=results)
    (curve,) = made.board().learning_curves
    assert [point.shots for point in curve.points] == [4, 16]
