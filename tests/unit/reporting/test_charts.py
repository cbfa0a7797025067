"""Charts as specifications, and as SVG files."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, UserError
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.details.sources import TrainingPoint
from sft.reporting.charts.board_charts import effects_chart, learning_curve_chart, pareto_charts
from sft.reporting.charts.experiment_charts import step_charts, step_values, thinned
from sft.reporting.figures import require_figures, svg, write_figures
from sft.reporting.formats.json import report_of
from sft.reporting.tables.effects import compared_text
from tests.support.grids import MadeGrid

EFFECT = {
    "axis": "lora.init_lora_weights", "reference": "default", "value": "pca", "difference": 0.008, "low": 0.001,
    "high": 0.015, "p_holm": 0.03, "n_pairs": 24, "kind": "setting", "also": [], "value_name": None,
    "reference_name": None, "changes": [], "higher_is_better": True,
}  # fmt: skip
POINT = {"shots": 4, "n_train": 12, "group": "g", "value": 0.5, "low": 0.4, "high": 0.6, "n": 3}


def front(*points: tuple[str, float, float, bool]) -> dict[str, Any]:
    names = ("group", "cost", "value", "on_front")
    return {
        "cost": "seconds of training",
        "unit": "s",
        "metric": "my.metrics:score[0]",
        "tolerance": 0.1,
        "points": [dict(zip(names, point, strict=True)) for point in points],
    }


def test_a_board_without_such_numbers_has_no_chart() -> None:
    assert effects_chart([], "accuracy") is None
    assert learning_curve_chart([], "accuracy") is None
    assert pareto_charts([front(("a", 1.0, 0.5, True), ("b", 1.05, 0.4, False))]) == []


def test_fields_are_plain_words_also_where_a_metric_is_a_path() -> None:
    metric = "my.metrics:score[0]"
    charts = [
        effects_chart([EFFECT], metric),
        learning_curve_chart([{"name": "lora", "settings": {}, "points": [POINT]}], metric),
        *pareto_charts([front(("a", 1.0, 0.5, True), ("b", 2.0, 0.4, False))]),
    ]
    for one in charts:
        assert one is not None
        keys = {key for value in one.values for key in value}
        assert all(key.isidentifier() for key in keys)
        assert "<svg" in svg(one)


def test_drawn_text_is_escaped() -> None:
    chart = effects_chart([EFFECT | {"value": "<script>x</script>"}], "accuracy")
    assert chart is not None
    assert "<script>" not in svg(chart)


def test_long_effects_stay_apart_in_labels_of_two_lines_and_are_whole_beside_them() -> None:
    options = [
        f"adapter={{'method': 'ia3', 'target_modules': ['q_proj', 'k_proj', 'v_proj', '{end}_proj']}}" for end in "oud"
    ]
    values = [*options, "a set-up whose name is as long as two lines of the chart"]
    effects = [EFFECT | {"value": value} for value in values]
    found = effects_chart(effects, "accuracy")
    assert found is not None
    labels = [value["choice"] for value in found.values]
    assert len(set(labels)) == 4
    assert all(len(line) <= 40 for label in labels for line in label.split("\n"))
    assert [value["whole"] for value in found.values] == [compared_text(effect) for effect in effects]
    assert max(label.count("\n") for label in labels) == 1
    assert found.template["height"] == 4 * (26 + 14)
    assert svg(found).count("<tspan") >= 2


def test_the_numbers_of_steps_are_those_that_there_are() -> None:
    points = [TrainingPoint(1, 2.0, 1e-3), TrainingPoint(2, 1.23456, 5e-4, peak_bytes=3 << 29)]
    assert step_values(points) == {
        "step": [1, 2],
        "loss": [2.0, 1.235],
        "learning_rate": [1e-3, 5e-4],
        "peak_gib": [None, 1.5],
    }
    assert [one.name for one in step_charts()] == [
        "loss",
        "learning_rate",
        "grad_norm",
        "tokens_per_second",
        "peak_gib",
    ]


def test_a_thinned_curve_keeps_its_ends() -> None:
    curve = [(step, 1 / (1 + step)) for step in range(1000)]
    few = thinned(curve, 60)
    assert (len(few), few[0], few[-1]) == (60, curve[0], curve[-1])
    assert thinned(curve[:5], 60) == curve[:5]


def test_figures_of_a_board(tmp_path: Path) -> None:
    grid = MadeGrid(tmp_path, models=("small",), n_seeds=1, n_rows=20)
    files = write_figures(report_of(with_statistics(build_leaderboard([grid.results]))), tmp_path / "figures")
    names = [path.name for path in files]
    assert sum(name.startswith("reliability-") for name in names) == 6
    assert sum(name.startswith("confusion-") for name in names) == 6
    assert all(path.read_text().startswith("<svg") for path in files)


def test_without_the_package_that_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sft.reporting.figures.find_spec", lambda _: None)
    with pytest.raises(MachineError, match="pip install"):
        require_figures(tmp_path)


def test_figures_go_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        require_figures(tmp_path / "file")


def test_pareto_charts_name_the_metric_that_they_show() -> None:
    found = pareto_charts([front(("a", 1.0, 0.5, True), ("b", 2.0, 0.4, False)) | {"metric": "dev_macro_f1"}])
    assert found[0].title.startswith("Mean dev_macro_f1 by seconds")


def test_lone_surrogates_are_drawn_as_their_escapes() -> None:
    chart = effects_chart([EFFECT | {"value": "\ud800"}], "accuracy")
    assert chart is not None
    assert "\\ud800" in svg(chart)
