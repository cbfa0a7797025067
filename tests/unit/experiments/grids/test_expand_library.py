"""sft/grid.libsonnet, by both evaluators."""

from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import UserError
from sft.experiments.grids.jsonnet import BACKEND_VARIABLE, JsonnetOptions, evaluate_jsonnet

BASE = """
local grid = import 'sft/grid.libsonnet';
local base = {
  dataset: {path: 't.csv', shots: 2, splits: {test: 0.3}},
  model: {name: 'm', quantization: {config_class: 'BitsAndBytesConfig', args: {load_in_4bit: true}}},
  lora: {r: 8},
  training: {trainer_args: {learning_rate: 0.5, betas: [1, 2]}},
  inference: {batch_size: 4, calibration_args: {calibration_fn: 'bc', gamma: 1}},
};
"""


@pytest.fixture(params=["rjsonnet", "reference"], autouse=True)
def _backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, request.param)


def evaluated(folder: Path, code: str) -> Any:
    grid = folder / "grid.jsonnet"
    grid.write_text(BASE + code)
    return evaluate_jsonnet(grid, JsonnetOptions())


def one(folder: Path, axes: str) -> Any:
    configs = evaluated(folder, f"grid.product(base, {axes})")["configs"]
    assert len(configs) == 1
    return next(iter(configs.values()))


def test_product_names_every_combination_in_order(tmp_path: Path) -> None:
    code = "grid.product(base, [{b: {model: {name: 'b'}}, a: {model: {name: 'a'}}}, grid.seeds([14, 13])])"
    value = evaluated(tmp_path, code)
    assert list(value) == ["configs"]
    assert list(value["configs"]) == ["a/seed13", "a/seed14", "b/seed13", "b/seed14"]
    assert value["configs"]["b/seed13"]["model"]["name"] == "b"
    assert value["configs"]["b/seed13"]["seed"] == 13


def test_patches_merge_deeply(tmp_path: Path) -> None:
    config = one(tmp_path, "[{x: {training: {trainer_args: {max_steps: 3}}, dataset: {splits: {dev: 0.1}}}}]")
    assert config["training"] == {"trainer_args": {"learning_rate": 0.5, "betas": [1, 2], "max_steps": 3}}
    assert config["dataset"] == {"path": "t.csv", "shots": 2, "splits": {"test": 0.3, "dev": 0.1}}


def test_null_lists_and_choices_replace(tmp_path: Path) -> None:
    patch = """[{x: {
      lora: null,
      adapter: {method: 'dora', r: 4},
      training: {trainer_args: {betas: [3]}},
      model: {quantization: {config_class: 'HqqConfig'}},
      inference: {calibration_args: {calibration_fn: 'none'}},
    }}, {y: {adapter: {method: 'ia3'}}}]"""
    config = one(tmp_path, patch)
    assert config["lora"] is None
    assert config["adapter"] == {"method": "ia3"}
    assert config["training"]["trainer_args"]["betas"] == [3]
    assert config["model"] == {"name": "m", "quantization": {"config_class": "HqqConfig"}}
    assert config["inference"] == {"batch_size": 4, "calibration_args": {"calibration_fn": "none"}}


def test_an_option_of_a_choice_merges(tmp_path: Path) -> None:
    config = one(tmp_path, "[{x: {inference: {calibration_args: {gamma: 2}}}}]")
    assert config["inference"]["calibration_args"] == {"calibration_fn": "bc", "gamma": 2}


def test_zip_is_one_axis(tmp_path: Path) -> None:
    code = "grid.zip([{a: {x: {p: 1}}, b: {x: {p: 2}}}, {b: {x: {q: 4}}, a: {x: {q: 3, p: 9}}}])"
    assert evaluated(tmp_path, code) == {"a": {"x": {"p": 9, "q": 3}}, "b": {"x": {"p": 2, "q": 4}}}


def test_zero_shot_and_in_context_train_nothing(tmp_path: Path) -> None:
    untrained = {"lora": None, "adapter": {"method": "none"}}
    assert evaluated(tmp_path, "grid.zero_shot") == {
        "dataset": {"shots": 0},
        "inference": {"icl_examples": 0},
        **untrained,
    }
    config = one(tmp_path, "[{x: grid.in_context(shots=8, k=4)}]")
    assert config["dataset"]["shots"] == 8
    assert config["inference"]["icl_examples"] == 4
    assert {key: config[key] for key in untrained} == untrained


def test_lora_is_merged_over_the_base(tmp_path: Path) -> None:
    assert evaluated(tmp_path, "grid.lora(8)") == {"dataset": {"shots": 8}, "adapter": None, "lora": {}}
    config = one(tmp_path, "[{x: grid.zero_shot}, {y: grid.lora(shots=8, init='pissa')}]")
    assert config["lora"] == {"init_lora_weights": "pissa"}
    assert config["adapter"] is None
    assert one(tmp_path, "[{x: grid.lora(8)}]")["lora"] == {"r": 8}
    bare = "grid.product({}, [{x: grid.lora(8)}]).configs.x"
    assert evaluated(tmp_path, bare) == {"dataset": {"shots": 8}, "adapter": None, "lora": {}}


def test_a_method_has_its_own_options_alone(tmp_path: Path) -> None:
    code = "[{x: grid.lora(8, 'pca')}, {y: grid.method('ia3', shots=4, options={feedforward_modules: ['up_proj']})}]"
    config = one(tmp_path, code)
    assert (config["lora"], config["dataset"]["shots"]) == (None, 4)
    assert config["adapter"] == {"method": "ia3", "feedforward_modules": ["up_proj"]}
    after = one(tmp_path, "[{x: grid.method('ia3', 4, {feedforward_modules: []})}, {y: grid.method('vera', 8)}]")
    assert after["adapter"] == {"method": "vera"}
    back = one(tmp_path, "[{x: grid.method('ia3', 4)}, {y: grid.lora(8)}]")
    assert (back["lora"], back["adapter"]) == ({}, None)


def test_an_assertion_of_the_base_sees_the_patches(tmp_path: Path) -> None:
    code = "grid.product({assert self.seed < 14 : 'seed too high', seed: 1}, [grid.seeds([14])])"
    with pytest.raises(UserError, match="seed too high"):
        evaluated(tmp_path, code)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("grid.zip([{a: {}}, {a: {}, b: {}}])", "grid.zip: the axes have different names: a and a, b"),
        ("grid.zip([])", "grid.zip: axes must be a list of at least one axis"),
        ("grid.product(base, [])", "grid.product: axes must be a list of at least one axis"),
        ("grid.product(base, {a: {}})", "grid.product: axes must be a list of at least one axis"),
        ("grid.product(base, [[{}]])", "an axis must be a map from names to patches, got array"),
        ("grid.product(base, [{a: 3}])", 'the patch "a" must be an object, got number'),
        ("grid.seeds([13, 13])", "seed13"),
        ("grid.method('ia3', 4, 'up_proj')", "grid.method: options must be an object, got string"),
        ("grid.method('ia3', 4, {method: 'lora'})", "options name a method (lora) beside the first argument, ia3"),
    ],
)
def test_misuse_is_told(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        evaluated(tmp_path, code)
    assert message in str(caught.value)
    assert str(caught.value).startswith("grid.jsonnet:")


def test_an_empty_axis_gives_no_experiments(tmp_path: Path) -> None:
    assert evaluated(tmp_path, "grid.product(base, [{}])") == {"configs": {}}
