"""Which experiments a results folder names."""

from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.runs.atomic import write_json
from sft.runs.experiments import Standings, grid_entries, listed_experiments


def test_the_grid_comes_first_in_its_order_then_the_others(made: Any) -> None:
    made.planned("z", "1", train="t1", infer="i1")
    made.planned("old", "3", in_grid=False)
    made.planned("a", "2", infer="i2")
    listed = listed_experiments(made.results)
    assert [(item.name, item.key[:1], item.in_grid) for item in listed] == [
        ("z", "1", True), ("a", "2", True), ("old", "3", False),
    ]  # fmt: skip
    assert list(listed[0].jobs()) == ["train", "infer", "evaluate"]
    assert listed[0].stages["train"] == made.stage("train", "t1")
    assert list(listed[1].jobs()) == ["infer", "evaluate"]


def test_every_name_of_an_experiment_is_listed(made: Any) -> None:
    folder = made.planned("one", "1")
    made.configs["two"] = {**made.configs["one"], "config": {"seed": 2}}
    made.write_grid()
    listed = listed_experiments(made.results)
    assert [(item.name, item.config.get("seed"), item.folder) for item in listed] == [
        ("one", None, folder), ("two", 2, folder),
    ]  # fmt: skip


def test_without_a_grid_all_count(made: Any) -> None:
    made.planned("one", "1", in_grid=False)
    made.results.grid.write_text("{ half")
    assert grid_entries(made.results) is None
    assert [item.in_grid for item in listed_experiments(made.results)] == [True]


def test_an_experiment_of_the_grid_without_a_folder_is_listed(made: Any) -> None:
    made.configs["gone"] = {"id": "9" * 16, "folder": "experiments/gone-99999999", "config": {}}
    made.write_grid()
    (item,) = listed_experiments(made.results)
    assert (item.name, dict(item.stages), item.folder.path.name) == ("gone", {}, "gone-99999999")


@pytest.mark.parametrize("place", ["grid.json", "experiments/one-10000000/config.json"])
def test_what_a_newer_version_wrote_is_refused(made: Any, place: str) -> None:
    made.planned("one", "1")
    write_json(made.results.path / place, {"schema": 2, "configs": {}})
    with pytest.raises(MachineError, match=r"newer version of sft \(schema 2"):
        listed_experiments(made.results)


def test_a_job_is_looked_at_once(made: Any) -> None:
    folder = made.finish(made.planned("one", "1", train="t", infer="i"), "evaluate")
    standings = Standings(is_locked=False)
    (item,) = listed_experiments(made.results)
    assert standings.of_experiment(item).state == "done"
    folder.manifest.unlink()
    assert standings.of(folder).state == "done"
    assert Standings(is_locked=False).of(folder).state == "damaged"


def test_an_entry_whose_id_is_no_text_is_none(made: Any) -> None:
    made.planned("one", "a")
    for name, key in (("number", 7), ("list", ["a"])):
        made.configs[name] = {"id": key, "folder": "experiments/none", "config": {}}
    made.write_grid()
    assert set(grid_entries(made.results) or {}) == {"one"}
    assert [item.name for item in listed_experiments(made.results)] == ["one"]
