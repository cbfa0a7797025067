"""Which change moves which stage: a key that stays shows stale numbers, one that moves too soon costs runs."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.pipeline.experiment import Experiment, Fingerprints
from sft.pipeline.keys import StageKeys, stage_keys

Raw = Callable[..., dict[str, Any]]
Plan = Callable[..., Any]

ICL = {"inference": {"icl_examples": 1}}
TRAIN_ICL = {"training": {"icl_examples": 1}}
DEV = {"dataset": {"splits": {"dev": "dev"}}}
EVAL = {"training": {"trainer_args": {"eval_strategy": "epoch"}}, **DEV}
BY_STEPS = {"training": {"trainer_args": {"eval_strategy": "steps"}}, **DEV}
BEST_BY_STEPS = {"training": {"trainer_args": {"save_strategy": "steps", "load_best_model_at_end": True}}}
BALANCED = {"training": {"class_weights": "balanced"}}
SAMPLING = {"inference": {"generation_args": {"do_sample": True}}}


ADALORA = {"lora": ..., "adapter": {"method": "adalora"}}
GRALORA = {"lora": ..., "adapter": {"method": "gralora"}}


QUANTIZED_DEFAULTS = {
    "model": {
        "quantization": {
            "config_class": "BitsAndBytesConfig",
            "args": {"load_in_8bit": False, "llm_int8_threshold": 6, "bnb_4bit_compute_dtype": None},
        }
    }
}


def _args(**args: Any) -> dict[str, Any]:
    return {"training": {"trainer_args": args}}


def _dataset(**fields: Any) -> dict[str, Any]:
    return {"dataset": fields}


def _seeds(**seeds: Any) -> dict[str, Any]:
    return {"seeds": seeds}


def moved(before: StageKeys, after: StageKeys) -> str:
    """The stages whose own key differs: t, i, e."""
    pairs = (("t", "train"), ("i", "infer"), ("e", "evaluate"))
    return "".join(letter for letter, name in pairs if getattr(before, name) != getattr(after, name))


# (what is changed, over which patches of the trained classification, the stages that move)
CHANGES: list[tuple[dict[str, Any], list[dict[str, Any]], str]] = [
    (_args(learning_rate=0.002), [], "tie"),
    (_args(max_length=64), [], "tie"),
    (_args(output_dir="elsewhere"), [], ""),
    (_args(report_to=["wandb"]), [], ""),
    (_args(run_name="x"), [], ""),
    (_args(disable_tqdm=True), [], ""),
    (_args(save_steps=5), [], ""),
    (_args(save_strategy="epoch"), [], ""),
    (_args(save_steps=5), [EVAL, _args(load_best_model_at_end=True, save_strategy="epoch")], "tie"),
    ({"lora": {"r": 4}}, [], "tie"),
    ({"lora": {"init_lora_weights": "pissa"}}, [], "tie"),
    ({"lora": ..., "adapter": {"method": "lora", "r": 2}}, [], ""),
    ({"adapter": {"init_lora_weights": True}}, [ADALORA], ""),
    ({"adapter": {"init_lora_weights": "pissa"}}, [ADALORA], "tie"),
    ({"adapter": {"init_weights": True}}, [GRALORA], ""),
    ({"adapter": {"init_weights": "pca"}}, [GRALORA], "tie"),
    (
        {
            "lora": {
                "lora_alpha": 8.0,
                "lora_dropout": 0,
                "target_modules": "all-linear",
                "init_lora_weights": True,
                "rank_pattern": {},
                "layers_to_transform": None,
                "fan_in_fan_out": False,
            }
        },
        [],
        "",
    ),
    ({"lora": {"target_modules": ["q_proj"]}}, [], "tie"),
    ({"lora": {"use_rslora": True}}, [], "tie"),
    (
        _args(
            per_device_eval_batch_size=8.0,
            optim="adamw_torch_fused",
            lr_scheduler_type="linear",
            include_for_metrics=[],
            max_steps=-1,
            max_seq_length=None,
            gradient_checkpointing=False,
        ),
        [],
        "",
    ),
    (_args(max_length=1024), [], "tie"),
    (_args(gradient_checkpointing=True), [], "tie"),
    (_args(bf16=None), [], "tie"),
    (_args(logging_steps=10), [], "tie"),
    (_args(eval_steps=10), [BY_STEPS], ""),
    (_args(eval_steps=1), [BY_STEPS], "tie"),
    (_args(eval_steps=1), [BY_STEPS, _args(logging_steps=1)], ""),
    (_args(save_steps=500), [BY_STEPS, BEST_BY_STEPS], ""),
    ({"seed": 14}, [], "tie"),
    ({"seed": 14}, [{"lora": ..., "training": ...}], ""),
    ({"seed": 14}, [{"lora": ..., "training": ...}, ICL], "ie"),
    (_seeds(init=14), [], "tie"),
    (_seeds(training=14), [], "tie"),
    (_seeds(shots=14), [], "tie"),
    (_seeds(shots=14), [_dataset(shots="all")], ""),
    (_seeds(icl=14), [], ""),
    (_seeds(icl=14), [ICL], "ie"),
    (_seeds(icl=14), [TRAIN_ICL], "tie"),
    (_seeds(init=13, training=13, shots=13, icl=13), [ICL], ""),
    (_dataset(shots=3), [], "tie"),
    (_dataset(shots=3), [{"lora": ..., "training": ...}], ""),
    (_dataset(shots=3), [{"lora": ..., "training": ...}, ICL], "ie"),
    (_dataset(if_fewer="use_all"), [], "tie"),
    (_dataset(shots_by="label"), [], ""),
    (_dataset(shots_by="total"), [_dataset(shots=3)], "tie"),
    (_dataset(shots_by="total"), [_dataset(shots="all")], ""),
    (_dataset(shots_by="total"), [_dataset(task_type="generation")], ""),
    (BALANCED, [], ""),
    (BALANCED, [_dataset(if_fewer="use_all")], "tie"),
    (BALANCED, [_dataset(shots="all")], "tie"),
    (BALANCED, [_dataset(shots_by="total", shots=3)], "tie"),
    (BALANCED, [_dataset(shots_by="total", task_type="generation")], ""),
    ({"training": {"last_layer": True}}, [], "tie"),
    ({"training": {"last_layer": False}}, [], ""),
    ({"training": {"last_layer": True}}, [{"lora": ..., "adapter": {"method": "none"}}], ""),
    ({"training": {"class_weights": "none"}}, [_dataset(shots="all")], ""),
    ({"training": {"objective": "nll"}}, [], ""),
    ({"training": {"objective": "dft"}}, [], "tie"),
    ({"training": {"objective": "dft"}}, [_args(loss_type="dft")], ""),
    (_args(loss_type="dft"), [], "tie"),
    (_args(loss_type="nll"), [], ""),
    ({"training": {"objective": "t_few"}}, [], "tie"),
    ({"training": {"objective": "t_few"}}, [{"lora": ..., "adapter": {"method": "none"}}], ""),
    (_dataset(max_n_train=12), [], "tie"),
    (_dataset(max_n_test=6), [], "ie"),
    (_dataset(max_n_dev=3), [], ""),
    (_dataset(max_n_dev=3), [DEV], "ie"),
    (_dataset(max_n_dev=3), [EVAL], "tie"),
    (_dataset(max_n_dev=3), [DEV, _dataset(max_n_test=3)], ""),
    (DEV, [], "ie"),
    (_dataset(on_missing="drop"), [], "tie"),
    (_dataset(on_missing="error"), [], ""),
    ({"prompting": {"train_turns": "all"}}, [], ""),
    (_dataset(on_missing="empty"), [], ""),
    (_dataset(read={"encoding": "latin-1"}), [], "tie"),
    (_dataset(read={"encoding": "utf-8"}), [], ""),
    (_dataset(keep_columns=["id"]), [], "e"),
    ({"evaluation": {"slices": ["id"]}}, [], "e"),
    ({"evaluation": {"slices": []}}, [], ""),
    (_dataset(labels={"bad": "awful", "good": "good", "mixed": "mixed"}), [], "tie"),
    (_dataset(labels=["good", "bad", "mixed"]), [], "tie"),
    (_dataset(labels=["bad", "good", "mixed"]), [], ""),
    (_dataset(path="./data"), [], ""),
    (_dataset(splits={"test": "data/test.jsonl", "train": "data/train.jsonl"}, path="."), [], ""),
    (_dataset(splits={"test": "dev"}), [], "ie"),
    (_dataset(splits={"seed": 0, "stratify": True}), [], ""),
    ({"prompting": {"instruction": "Say."}}, [], "tie"),
    ({"prompting": {"format": "auto"}}, [], ""),
    ({"prompting": {"format": "plain"}}, [], "tie"),
    ({"prompting": {"max_input_length": 9}}, [], "tie"),
    ({"prompting": {"max_output_length": 9}}, [], ""),
    ({"inference": {"prompting": {"instruction": "Say."}}}, [], "ie"),
    ({"inference": {"prompting": {"instruction": None}}}, [], "ie"),
    ({"inference": {"prompting": {"instruction": "One of {labels}."}}}, [], ""),
    (TRAIN_ICL, [], "tie"),
    (ICL, [], "ie"),
    ({"inference": {"random_icl": True}}, [], ""),
    ({"inference": {"random_icl": True}}, [ICL], "ie"),
    ({"inference": {"batch_size": 1}}, [], ""),
    ({"inference": {"max_seq_length": 99}}, [], "ie"),
    ({"inference": {"generation_args": {"max_new_tokens": 3}}}, [], ""),
    ({"evaluation": {"metrics": ["accuracy"]}}, [], "e"),
    ({"evaluation": {"metrics": ["accuracy", "ece"]}}, [{"evaluation": {"metrics": ["ece", "accuracy"]}}], "e"),
    ({"evaluation": {"ece_bins": 10}}, [], ""),
    ({"evaluation": {"ece_bins": 10.0}}, [], ""),
    ({"evaluation": {"ece_bins": 5}}, [], "e"),
    ({"evaluation": {"strict_leaks": True}}, [], ""),
    ({"evaluation": {"tokenizer_name": "model"}}, [], ""),
    ({"evaluation": {"metrics": ["macro_f1", "accuracy", "weighted_f1", "mcc", "log_loss", "ece"]}}, [], ""),
    ({"model": {"model_args": {"dtype": "float32"}}}, [], "tie"),
    ({"model": {"model_args": {}}}, [], ""),
    ({"model": {"model_args": {"parallelize": False, "trust_remote_code": False}}}, [], ""),
    (QUANTIZED_DEFAULTS, [{"model": {"quantization": {"config_class": "BitsAndBytesConfig"}}}], ""),
    (QUANTIZED_DEFAULTS, [], "tie"),
    ({"model": {"chat_template_args": {"date": "x"}}}, [], "tie"),
    ({"model": {"quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_8bit": True}}}}, [], "tie"),
    (
        {"model": {"quantization": {"config_class": "QuantoConfig", "args": {}}}},
        [{"model": {"quantization": {"config_class": "QuantoConfig"}}}],
        "",
    ),
]


@pytest.fixture
def keys(project: Path, plan_of: Plan, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], StageKeys]:
    """The keys of one config; only what is known of the config's inputs is checked."""
    from sft.experiments.planning.checks.sections import SectionChecks

    monkeypatch.setattr(SectionChecks, "findings", lambda self, config: [])
    return lambda config: plan_of(project, a=config).experiments[0].keys


@pytest.mark.parametrize(("change", "base", "expected"), CHANGES, ids=lambda value: json.dumps(value, default=str))
def test_a_change_moves_exactly_the_stages_that_depend_on_it(
    keys: Callable[[dict[str, Any]], StageKeys], raw: Raw, change: dict[str, Any], base: list[Any], expected: str
) -> None:
    assert moved(keys(raw(*base)), keys(raw(*base, change))) == expected


GENERATION_CHANGES: list[tuple[dict[str, Any], list[dict[str, Any]], str]] = [
    ({"inference": {"generation_args": {"max_new_tokens": 3}}}, [], "ie"),
    ({"inference": {"batch_size": 1}}, [], ""),
    ({"inference": {"generation_args": {"max_new_tokens": 128, "do_sample": False, "top_k": None}}}, [], ""),
    ({"inference": {"generation_args": {"max_new_tokens": 128}}}, [{"prompting": {"max_output_length": 9}}], "ie"),
    ({"inference": {"generation_args": {"temperature": 1, "top_k": 50}}}, [SAMPLING], ""),
    ({"inference": {"generation_args": {"temperature": 0.5}}}, [SAMPLING], "ie"),
    ({"inference": {"batch_size": 1}}, [SAMPLING], "ie"),
    ({"seed": 14}, [{"lora": ..., "training": ...}], ""),
    ({"seed": 14}, [{"lora": ..., "training": ...}, SAMPLING], "ie"),
    ({"prompting": {"max_output_length": 9}}, [], "tie"),
    (_dataset(labels=["a"]), [], ""),
    ({"evaluation": {"tokenizer_name": "model"}}, [], "e"),
    ({"inference": {"tokenizer_name": "model"}}, [{"evaluation": {"tokenizer_name": "model"}}], ""),
]


@pytest.mark.parametrize(
    ("change", "base", "expected"), GENERATION_CHANGES, ids=lambda value: json.dumps(value, default=str)
)
def test_a_change_of_a_generation_moves_exactly_the_stages_that_depend_on_it(
    keys: Callable[[dict[str, Any]], StageKeys],
    raw: Raw,
    generation: dict[str, Any],
    change: dict[str, Any],
    base: list[Any],
    expected: str,
) -> None:
    assert moved(keys(raw(generation, *base)), keys(raw(generation, *base, change))) == expected


def test_whole_floats_are_integers_and_names_are_in_no_key(project: Path, plan_of: Plan, raw: Raw) -> None:
    plan = plan_of(project, a=raw(_args(num_train_epochs=1)), b=raw(_args(num_train_epochs=1.0)))
    assert plan.named()["a"].keys == plan.named()["b"].keys


def test_what_trains_nothing_has_no_train_key(
    keys: Callable[[dict[str, Any]], StageKeys], raw: Raw, zero_shot: dict[str, Any]
) -> None:
    assert keys(raw(zero_shot)).train is None
    assert keys(raw({"lora": ..., "training": ..., "adapter": {"method": "none"}})).train is None
    assert keys(raw()).train is not None
    assert moved(keys(raw(zero_shot)), keys(raw(zero_shot, {"lora": {"r": 9}, "seeds": {"init": 5}}))) == ""


@pytest.mark.parametrize(("split", "expected"), [("test", "ie"), ("train", "tie"), ("dev", "")])
def test_edited_data_moves_what_reads_it(
    keys: Callable[[dict[str, Any]], StageKeys],
    project: Path,
    raw: Raw,
    rewrite: Callable[..., None],
    split: str,
    expected: str,
) -> None:
    before = keys(raw())
    rewrite(project, split, lambda rows: rows[0].update(text="edited"))
    after = keys(raw())
    assert moved(before, after) == expected
    assert (before.baseline != after.baseline) is bool(expected)


def test_the_place_of_a_project_is_in_no_key(
    keys: Callable[[dict[str, Any]], StageKeys], project: Path, raw: Raw, plan_of: Plan, tmp_path_factory: Any
) -> None:
    import shutil

    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(project, elsewhere)
    assert plan_of(elsewhere, other=raw()).experiments[0].keys == keys(raw())


def test_an_edited_initialiser_or_metric_of_one_s_own_moves_what_uses_it(
    keys: Callable[[dict[str, Any]], StageKeys], project: Path, raw: Raw
) -> None:
    own = project / "mine.py"
    own.write_text("def start(layer, rank): ...\ndef score(predictions, references): ...\n")
    with_init = raw({"lora": {"init_lora_weights": "mine.py:start"}})
    blocks = raw({"lora": ..., "adapter": {"method": "gralora", "init_weights": "mine.py:start"}})
    with_metric = raw({"evaluation": {"metrics": ["mine.py:score"]}})
    before = [keys(with_init), keys(blocks), keys(with_metric), keys(raw())]
    own.write_text(own.read_text() + "# edited\n")
    after = [keys(with_init), keys(blocks), keys(with_metric), keys(raw())]
    assert [moved(*pair) for pair in zip(before, after, strict=True)] == ["tie", "tie", "e", ""]


def test_model_content_moves_all_stages(keys: Callable[[dict[str, Any]], StageKeys], project: Path, raw: Raw) -> None:
    before = keys(raw())
    (project / "model" / "model.safetensors").write_bytes((3).to_bytes(8, "little") + b"{} ")
    assert moved(before, keys(raw())) == "tie"


def test_rows_dropped_for_a_column_that_only_inference_reads_move_the_training(
    keys: Callable[[dict[str, Any]], StageKeys], raw: Raw
) -> None:
    drop = _dataset(on_missing="drop")
    other = {"inference": {"prompting": {"input_columns": ["id", "text"]}}}
    assert moved(keys(raw(drop)), keys(raw(drop, other))) == "tie"
    assert moved(keys(raw()), keys(raw(other))) == "ie"
    shares = _dataset(path="data/train.jsonl", splits={"test": 0.3})
    assert moved(keys(raw(shares)), keys(raw(shares, other))) == "tie"


def test_the_data_files_of_a_hub_data_set_are_in_the_keys(raw: Raw) -> None:
    def infer(files: str) -> str:
        config = ExperimentConfig.model_validate(raw(_dataset(path="owner/set", args={"data_files": files})))
        return stage_keys(Experiment("any", config, Path("/anywhere"), FINGERPRINTS)).infer

    assert infer("a.csv") != infer("b.csv")


FINGERPRINTS = Fingerprints(
    data={"train": "sha256:1", "test": "sha256:2"},
    model="sha256:3",
    labels=[["bad", "bad"], ["good", "good"], ["mixed", "mixed"]],
)


def test_the_ids_of_a_config_stay_what_they_are(raw: Raw) -> None:
    """A red test here means that results on users' disks are computed anew: raise a stage's version, or undo."""
    config = ExperimentConfig.model_validate(raw(ICL, {"seed": 7}))
    experiment = Experiment("any", config, Path("/anywhere"), FINGERPRINTS)
    keys = stage_keys(experiment)
    assert (keys.train, keys.infer, keys.evaluate) == ("ea5e7528c35e239d", "2d066811c73bf3cd", "f856b10e56ce7cae")


CONTEXTUAL = {"inference": {"calibration_args": {"calibration_fn": "contextual"}}}
TEMPERATURE = {"inference": {"calibration_args": {"calibration_fn": "temperature", "num_train_samples": 6}}}


def _keys(config: dict[str, Any]) -> StageKeys:
    return stage_keys(Experiment("any", ExperimentConfig.model_validate(config), Path("/anywhere"), FINGERPRINTS))


def test_calibration_adds_row_sets_and_moves_no_other_stage(raw: Raw) -> None:
    plain, contextual, temperature = (_keys(raw(patch)) for patch in ({}, CONTEXTUAL, TEMPERATURE))
    assert moved(plain, contextual) == moved(plain, temperature) == "e"
    assert list(contextual.row_sets) == ["eval", "content_free:contextual:3"]
    assert list(temperature.row_sets) == ["eval", "train:6"]
    pmi = _keys(raw({"inference": {"label_scoring": {"normalization": "pmi"}}}))
    assert list(pmi.row_sets) == ["eval", "content_free:empty:1"]


@pytest.mark.parametrize(
    ("patch", "row_set", "moves"),
    [
        (_dataset(max_n_test=6), "content_free:contextual:3", False),
        (_dataset(shots=3), "content_free:contextual:3", False),
        (_dataset(max_n_test=6), "train:6", False),
        (_dataset(shots=3), "train:6", True),
        (_dataset(splits={"seed": 1}), "train:6", True),
        ({"inference": {"max_seq_length": 99}}, "train:6", True),
        ({"model": {"model_args": {"dtype": "float32"}}}, "content_free:contextual:3", True),
        ({"inference": {"batch_size": 1}}, "train:6", False),
        ({"inference": {"random_icl": True, "icl_examples": 1}}, "train:6", True),
    ],
)
def test_what_moves_a_row_set(raw: Raw, patch: dict[str, Any], row_set: str, moves: bool) -> None:
    zero = {"lora": ..., "training": ...}
    calibrator = CONTEXTUAL if row_set.startswith("content") else TEMPERATURE
    before, after = (_keys(raw(zero, calibrator, *patches)) for patches in ([], [patch]))
    assert (before.row_sets[row_set] != after.row_sets[row_set]) is moves


def test_prompts_that_hold_no_row_depend_on_no_data(raw: Raw) -> None:
    zero = {"lora": ..., "training": ...}
    config = ExperimentConfig.model_validate(raw(zero, CONTEXTUAL))
    edited = dataclasses.replace(FINGERPRINTS, data=dict.fromkeys(FINGERPRINTS.data, "edited"))
    before, after = (
        stage_keys(Experiment("any", config, Path("/anywhere"), prints)) for prints in (FINGERPRINTS, edited)
    )
    assert before.row_sets["content_free:contextual:3"] == after.row_sets["content_free:contextual:3"]
    assert before.infer != after.infer


def test_fixed_examples_are_those_of_prompts_without_content_however_rows_draw_theirs(raw: Raw) -> None:
    fixed, drawn = (_keys(raw(CONTEXTUAL, ICL, {"inference": {"random_icl": random}})) for random in (False, True))
    assert fixed.row_sets["content_free:contextual:3"] == drawn.row_sets["content_free:contextual:3"]
    assert fixed.infer != drawn.infer


BASELINE_CHANGES: list[tuple[dict[str, Any], list[dict[str, Any]], bool]] = [
    ({"model": {"model_args": {"dtype": "bfloat16"}}}, [], False),
    ({"lora": {"r": 4}}, [], False),
    (_args(learning_rate=0.002), [], False),
    ({"prompting": {"instruction": "Other."}}, [], False),
    ({"evaluation": {"metrics": ["accuracy"]}}, [], False),
    (_seeds(training=1, init=2, icl=3), [], False),
    (_seeds(shots=1), [], True),
    ({"seed": 1}, [], True),
    ({"seed": 1}, [{"lora": ..., "training": ...}], False),
    (_dataset(shots=1), [], True),
    (_dataset(shots=1), [{"lora": ..., "training": ...}], False),
    (_dataset(shots=0), [{"lora": ..., "training": ...}], False),
    (_dataset(max_n_train=9), [], True),
    (_dataset(max_n_train=9), [{"lora": ..., "training": ...}], True),
    (_dataset(max_n_test=2), [], True),
    (_dataset(splits={"dev": "dev"}), [], True),
    ({"prompting": {"input_columns": ["text", "id"]}}, [], True),
    ({"evaluation": {"ece_bins": 5}}, [], True),
    ({"evaluation": {"ece_bins": 10, "ece_norm": "l1"}}, [], False),
]


@pytest.mark.parametrize(
    ("change", "base", "moves"), BASELINE_CHANGES, ids=lambda value: json.dumps(value, default=str)
)
def test_baselines_depend_on_the_data_and_what_is_drawn_of_them(
    keys: Callable[[dict[str, Any]], StageKeys], raw: Raw, change: dict[str, Any], base: list[Any], moves: bool
) -> None:
    assert (keys(raw(*base)).baseline != keys(raw(*base, change)).baseline) is moves


def test_without_a_label_set_there_are_no_baselines(
    keys: Callable[[dict[str, Any]], StageKeys], raw: Raw, generation: dict[str, Any]
) -> None:
    assert keys(raw(generation)).baseline is None
