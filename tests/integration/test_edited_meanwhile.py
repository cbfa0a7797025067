"""Files that are edited while a grid runs: no number stands under the id of what was there before."""

import json
from typing import Any

import pytest

METRIC = """from pathlib import Path


def edited(predictions, references):
    file = Path(__file__)
    file.write_text(file.read_text().replace("return 1.0", "return 2.0"))
    return 1.0
"""


@pytest.mark.slow
def test_a_metric_that_is_edited_while_a_grid_runs_counts_as_it_was_planned(place: Any) -> None:
    (place.folder / "metric.py").write_text(METRIC)
    metrics = {"one": ["metric.py:edited"], "other": ["metric.py:edited", "accuracy"]}
    configs = {name: place.classification(evaluation={"metrics": names}) for name, names in metrics.items()}
    (place.folder / "grid.json").write_text(json.dumps({"configs": configs}), "utf-8")
    ended = place.sft("run-experiments", "grid.json", "--jobs", "1")
    assert ended.returncode == 0, ended.stderr
    assert "return 2.0" in (place.folder / "metric.py").read_text()
    assert [place.metrics(name=name)["results"]["edited"] for name in configs] == [1.0, 1.0]
