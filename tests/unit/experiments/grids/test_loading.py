import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.grids.loading import GridOptions, load_grid

Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def grid(tmp_path: Path, raw: Raw) -> Path:
    path = tmp_path / "sub" / "grid.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"configs": {"a/x": raw(), "a/y": raw({"seed": 5}), "b": raw()}}))
    return path


def test_names_folder_and_source(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(grid.parent.parent)
    loaded = load_grid("sub/grid.json", GridOptions())
    assert list(loaded.configs) == ["a/x", "a/y", "b"]
    assert (loaded.source, loaded.folder, loaded.warnings) == ("sub/grid.json", grid.parent, ())


def test_a_value_is_relative_to_the_working_folder(tmp_path: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = raw()
    loaded = load_grid({"configs": {"a": written}}, GridOptions(overrides=("seed=5",)))
    assert (loaded.folder, loaded.configs["a"]["seed"]) == (tmp_path, 5)
    assert "seed" not in written


def test_overrides_reach_every_experiment_in_order(grid: Path) -> None:
    options = GridOptions(overrides=("training.trainer_args.learning_rate=1e-4", "model.name=other", "lora.r=4"))
    for config in load_grid(grid, options).configs.values():
        assert config["training"]["trainer_args"] == {"learning_rate": 1e-4, "num_train_epochs": 1}
        assert (config["model"]["name"], config["lora"]) == ("other", {"r": 4})


def test_the_random_seed_fills_only_what_has_none(grid: Path) -> None:
    loaded = load_grid(grid, GridOptions(random_seed=99))
    assert [config["seed"] for config in loaded.configs.values()] == [99, 5, 99]
    assert loaded.warnings == ()


def test_a_random_seed_used_nowhere_is_a_warning(grid: Path) -> None:
    (warning,) = load_grid(grid, GridOptions(random_seed=99, overrides=("seed=1",))).warnings
    assert "--random-seed 99 has no effect" in warning


def test_only_is_a_pattern_over_the_whole_name(grid: Path) -> None:
    assert list(load_grid(grid, GridOptions(only="a*")).configs) == ["a/x", "a/y"]
    assert list(load_grid(grid, GridOptions(only="b")).configs) == ["b"]
    with pytest.raises(UserError, match="no name matches --only 'x'"):
        load_grid(grid, GridOptions(only="x"))


def test_more_experiments_than_allowed(grid: Path) -> None:
    with pytest.raises(UserError, match="--max-experiments 3"):
        load_grid(grid, GridOptions(max_experiments=2))


def test_a_single_config_has_the_name_of_its_file(tmp_path: Path, raw: Raw) -> None:
    (tmp_path / "tickets.json").write_text(json.dumps(raw()))
    assert list(load_grid(tmp_path / "tickets.json", GridOptions()).configs) == ["tickets"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.jsonnet"):
        load_grid(tmp_path / "nowhere.jsonnet", GridOptions())
