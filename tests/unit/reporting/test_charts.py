"""Charts as specifications, and as SVG files."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, UserError
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.reporting.charts.board_charts import effects_chart, learning_curve_chart, pareto_charts
from sft.reporting.charts.experiment_charts import thinned
from sft.reporting.figures import require_figures, svg, write_figures
from sft.reporting.formats.json import report_of
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
