"""Raw configs become an ExperimentConfig, or findings by the path of what the user wrote."""

import copy
import math
import sys
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.config.reading import ConfigReader, read_experiment

RAW: dict[str, Any] = {
    "dataset": {"path": "t.csv", "task_type": "classification", "shots": 8, "labels": ["a", "b"]},
    "model": {"name": "m"},
    "lora": {"r": 8},
    "prompting": {"input_columns": ["x"], "output_column": "y"},
    "training": {"trainer_args": {"learning_rate": 2e-4}},
}


def with_value(dotted: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(RAW)
    *parents, key = dotted.split(".")
    section = raw
    for parent in parents:
        section = section.setdefault(parent, {})
    section[key] = value
    return raw


def told(raw: dict[str, Any], name: str = "e") -> dict[str, str]:
    config, findings = read_experiment(raw, name)
    assert (config is None) == bool(findings)
    assert len({finding.path for finding in findings}) == len(findings)
    assert all(finding.experiment == name for finding in findings)
    return {finding.path: finding.message for finding in findings}


def test_a_good_config_has_the_name_of_the_grid_and_is_not_changed() -> None:
    raw = copy.deepcopy(RAW)
    config, findings = read_experiment(raw, "lora/seed13")
    assert findings == []
    assert isinstance(config, ExperimentConfig)
    assert config.name == "lora/seed13"
    assert raw == RAW


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("dataset.shots", "x", "must be an integer or 'all', got \"x\""),
        ("dataset.shots", -1, "must be a number >= 0 or 'all', got -1"),
        ("dataset.shots", True, "must be an integer or 'all', got true"),
        ("dataset.if_fewer", "no", "must be 'error' or 'use_all', got \"no\""),
        ("dataset.splits.dev", 2, "must be text or a number < 1, got 2"),
        ("dataset.read.sep", "ab", 'must be text of at most 1 character, got "ab"'),
        ("dataset.max_n_test", 0, "must be a number >= 1, got 0"),
        ("prompting.input_columns", [], "must be a list of at least 1 entry, got an empty list"),
        ("prompting.input_columns", "x", 'must be a list, got "x"'),
        ("inference.random_icl", 1, "must be true or false, got 1"),
        ("lora", 3, "must be an object, got 3"),
        ("model", [], "must be an object, got an empty list"),
        (
            "seed",
            2**53,
            "integers must lie between -2^53 and 2^53, where JSON numbers are exact, got 9007199254740992",
        ),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(path: str, value: Any, message: str) -> None:
    assert told(with_value(path, value)) == {path: message}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model.nane", "unknown key (did you mean name?)"),
        ("trainig", "unknown key (did you mean training?)"),
        ("shots", "unknown key (did you mean seeds.shots or dataset.shots?)"),
        ("dataset.task_typ", "unknown key (did you mean task_type?)"),
        (
            "model.zzz",
            "unknown key; known: adapter, auto_class, chat_template_args, chat_template_from, model_args, name, "
            "quantization",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(path: str, message: str) -> None:
    assert told(with_value(path, 1)) == {path: message}


def test_other_keys_of_evaluation_are_left_to_the_metrics() -> None:
    assert told(with_value("evaluation.ece_bins", 10)) == {}


@pytest.mark.parametrize("path", ["dataset", "dataset.path", "model.name", "prompting.output_column"])
def test_a_missing_key_is_required(path: str) -> None:
    raw = copy.deepcopy(RAW)
    *parents, key = path.split(".")
    section = raw
    for parent in parents:
        section = section[parent]
    del section[key]
    assert told(raw) == {path: "required"}


def test_branches_of_a_union_are_one_finding_each_at_its_own_place() -> None:
    assert told(with_value("dataset.labels", {"str": 3})) == {"dataset.labels.str": "must be text, got 3"}
    words = "must be text or true or false or an integer or a number"
    assert told(with_value("dataset.labels", ["a", None, []])) == {
        "dataset.labels.1": f"{words}, got null",
        "dataset.labels.2": f"{words}, got an empty list",
    }
    assert told(with_value("dataset.labels", 3)) == {"dataset.labels": "must be a list or an object, got 3"}


def test_everything_wrong_is_told_at_once() -> None:
    raw = with_value("dataset.shots", "x")
    raw["model"]["nane"] = 1
    raw["training"]["trainer_args"]["max_steps"] = 2**60
    raw["adapter"] = {"method": "none"}
    del raw["prompting"]
    paths = {"dataset.shots", "model.nane", "training.trainer_args.max_steps", "adapter", "prompting", "name"}
    assert set(told(raw, "best")) == paths


def test_lora_beside_adapter_is_refused_also_with_method_none() -> None:
    for adapter in ({"method": "none"}, {"method": "lora", "r": 4}, {}):
        assert "lora and adapter are both set" in told({**RAW, "adapter": adapter})["adapter"]
    assert told({**RAW, "adapter": None}) == {}
    assert told({**RAW, "lora": None, "adapter": {"method": "none"}}) == {}


@pytest.mark.parametrize("adapter", [{}, {"r": 4}, {"method": None}])
def test_an_adapter_needs_a_method(adapter: dict[str, Any]) -> None:
    assert told({**RAW, "lora": None, "adapter": adapter})["adapter.method"].startswith("required")


def test_the_method_of_an_adapter_is_text() -> None:
    assert told({**RAW, "lora": None, "adapter": {"method": 3}})["adapter.method"].startswith("must be text")


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**53 + 1, 10**4000])
def test_integers_that_json_cannot_hold_are_refused_anywhere(value: int) -> None:
    raw = with_value("lora.layers", [{"n": value}])
    assert "integers must lie between" in told(raw)["lora.layers.0.n"]
    assert told(with_value("lora.layers", [2**53 - 1, -(2**53) + 1])) == {}


def test_half_a_character_is_refused_anywhere() -> None:
    raw = with_value("prompting.instruction", "Sort \ud83d.")
    raw["dataset"]["labels"] = {"a": "x", "b\udc00": "y"}
    raw["model"]["chat_template_args"] = {"x": ["\ud83d"]}
    found = told(raw)
    assert set(found) == {"prompting.instruction", "dataset.labels", "model.chat_template_args.x.0"}
    assert found["prompting.instruction"].startswith("holds \\ud83d, half of a character")
    assert found["dataset.labels"].startswith("has a key that holds \\udc00, half of a character")
    assert told(with_value("prompting.instruction", "Sort \U0001f600.")) == {}


def test_values_that_are_not_json_are_refused() -> None:
    raw = with_value("lora.alpha", math.nan)
    raw["lora"]["modules"] = ("a",)
    raw["lora"]["dims"] = {1: 2}
    deep: list[Any] = []
    for _ in range(sys.getrecursionlimit() + 10):
        deep = [deep]
    raw["training"]["trainer_args"]["deep"] = deep
    findings = told(raw)
    assert findings["lora.alpha"] == "must be a finite number, got nan"
    assert findings["lora.modules"] == "must be a JSON value, got tuple"
    assert findings["lora.dims"] == "must have text keys only"
    assert any(path.startswith("training.trainer_args.deep") for path in findings)


CANARY = "hf_CANARYcanary1234567890"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.model_args.token", "abc"),
        ("model.model_args.api_key", 1234),
        ("dataset.args.storage_options", {"password": "abc"}),
        ("dataset.path", CANARY),
        ("inference.batch_size", CANARY),
        ("prompting.instruction", f"Say {CANARY}."),
        ("model.name", f"https://me:{CANARY}@host/model"),
        ("zzz", CANARY),
        ("token", CANARY),
    ],
)
def test_secrets_are_refused_and_never_echoed(path: str, value: Any) -> None:
    findings = told(with_value(path, value))
    assert any("put it in the environment, e.g. HF_TOKEN" in message for message in findings.values())
    assert CANARY not in str(findings)
    assert "abc" not in str(findings)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.model_args.token", True),
        ("model.model_args.token", None),
        ("model.model_args.password", ""),
        ("inference.generation_args.max_new_tokens", 5),
        ("training.trainer_args.pad_token", "x"),
        ("dataset.labels", {"token": "word", "secret": CANARY}),
        ("model.name", "hf_models/qwen"),
        ("prompting.output_column", "hf_text"),
    ],
)
def test_what_only_resembles_a_secret_is_accepted(path: str, value: Any) -> None:
    assert told(with_value(path, value)) == {}


def test_the_name_best_is_refused() -> None:
    assert "reserved" in told(RAW, "best")["name"]
    assert told(RAW, "best/seed13") == {}


def test_null_at_inference_leaves_what_prompting_must_have() -> None:
    overrides = {"input_columns": None, "format": None, "instruction": None}
    prompting = {"instruction": "Say.", "input_columns": ["text"], "output_column": "label", "format": "plain"}
    config = ExperimentConfig.model_validate(
        {
            "dataset": {"path": "data", "task_type": "classification", "shots": 0},
            "model": {"name": "model"},
            "prompting": prompting,
            "inference": {"prompting": overrides},
        }
    )
    assert config.inference_prompting == config.prompting.model_copy(update={"instruction": None})


@pytest.mark.parametrize(
    ("sections", "is_required"),
    [
        ({}, False),
        ({"lora": None, "adapter": {"method": "none"}}, False),
        ({"lora": {}}, True),
        ({"adapter": {"method": "lora"}}, True),
    ],
)
def test_shots_left_out_are_none_where_nothing_is_trained(sections: dict[str, Any], is_required: bool) -> None:
    raw = {key: value for key, value in RAW.items() if key not in ("lora", "training")} | sections
    raw["dataset"] = {key: value for key, value in RAW["dataset"].items() if key != "shots"}
    config, _ = read_experiment(raw, "e")
    assert (config is None) == is_required
    if config is None:
        assert "required where something is trained" in told(raw)["dataset.shots"]
    else:
        assert config.dataset.shots == 0


def test_equal_sections_of_a_grid_are_one_object() -> None:
    reader = ConfigReader()
    first, _ = reader.read(copy.deepcopy(RAW), "first")
    second, findings = reader.read(with_value("lora.r", 16), "second")
    assert findings == []
    assert first is not None
    assert second is not None
    assert second.dataset is first.dataset
    assert second.training is first.training
    assert second.lora == {"r": 16}
    assert first.lora == {"r": 8}
    assert second == read_experiment(with_value("lora.r", 16), "second")[0]


def test_what_a_user_does_with_a_grid_or_a_record_of_it_changes_neither() -> None:
    raw = with_value("lora.rank_pattern", {"q_proj": 2})
    config, _ = read_experiment(raw, "e")
    assert config is not None
    record = config.resolved()
    raw["lora"]["rank_pattern"]["q_proj"] = 3
    assert record["lora"] == {"r": 8, "rank_pattern": {"q_proj": 2}}
    record["lora"]["r"] = 16
    assert config.resolved()["lora"]["r"] == 8


class OtherText(str):
    """Equal to the text, and shown as it."""


class Unshown:
    def __repr__(self) -> str:
        raise LookupError


@pytest.mark.parametrize(
    ("dotted", "value"),
    [
        ("dataset.labels", ("a", "b")),  # equal to the list as JSON
        ("dataset.shots", 8.0),
        ("dataset.shots", "8"),
        ("dataset.path", OtherText("t.csv")),
        ("lora", {8: "r"}),
        pytest.param("lora.r", 10**5000, id="too long to show"),
        ("lora.r", Unshown()),
        pytest.param("seed", 10**5000, id="too long to show where a number belongs"),
        ("seed", b"1"),
        ("seed", True),
        ("lora.r", math.nan),
        ("prompting.output_column", "\ud800"),
    ],
)
def test_what_is_wrong_is_told_also_behind_a_sound_config_that_looks_like_it(dotted: str, value: Any) -> None:
    reader = ConfigReader()
    assert reader.read(with_value("seed", 1), "sound")[1] == []
    for _ in range(2):
        config, findings = reader.read(with_value(dotted, value), "e")
        assert config is None
        assert findings == read_experiment(with_value(dotted, value), "e")[1] != []


def test_what_sections_say_together_is_told_of_sound_ones() -> None:
    reader = ConfigReader()
    without_shots = copy.deepcopy(RAW)
    del without_shots["dataset"]["shots"]
    untrained = {key: value for key, value in without_shots.items() if key != "lora"}
    assert reader.read(untrained, "a")[1] == []
    assert reader.read(copy.deepcopy(RAW), "b")[1] == []
    assert [finding.path for finding in reader.read(without_shots, "c")[1]] == ["dataset.shots"]
