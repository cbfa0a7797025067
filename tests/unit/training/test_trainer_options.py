"""`trainer_args`: what is refused and why, what counts, and what the library would take."""

import subprocess
import sys

import pytest

from sft.config.library.keys import SFT_CONFIG, dataclass_fields
from sft.exceptions import DataError
from sft.prompts.train_row import IGNORED, TrainRow, check_rows
from sft.training import options
from sft.training.options import (
    check_trainer_args,
    effective_trainer_args,
    evaluates_while_training,
    fields_for_key,
)

DESIGN_REFUSES = [
    "seed",
    "data_seed",
    "dataset_text_field",
    "dataset_kwargs",
    "chat_template_path",
    "eos_token",
    "pad_token",
    "completion_only_loss",
    "assistant_only_loss",
    "truncation_mode",
    "model_init_kwargs",
    "do_train",
    "do_eval",
    "do_predict",
    "resume_from_checkpoint",
    "push_to_hub",
    "hub_token",
    "hub_model_id",
    "hub_strategy",
]
REFUSED_FOR_INTERRUPTIONS = [
    "auto_find_batch_size",
    "enable_jit_checkpoint",
    "ignore_data_skip",
    "restore_callback_states_from_checkpoint",
    "save_only_model",
]


@pytest.mark.parametrize("key", DESIGN_REFUSES + REFUSED_FOR_INTERRUPTIONS)
def test_refused_keys_say_why(key):
    [(found, message)] = check_trainer_args({key: "x"}, has_dev=True)
    assert found == key
    assert message.startswith("not taken: ")
    assert key in dataclass_fields(SFT_CONFIG), "a name of the library, else it would be unknown anyway"


@pytest.mark.parametrize(
    ("args", "key", "message"),
    [
        ({"lerning_rate": 1e-4}, "lerning_rate", "unknown key (did you mean learning_rate?)"),
        ({"zzz": 1}, "zzz", "unknown key"),
        ({"learning_rate": "1e-5"}, "learning_rate", "valid number, got '1e-5'; write the number without quotes"),
        ({"learning_rate": -1e-5}, "learning_rate", "greater than or equal to 0, got -1e-05"),
        ({"num_train_epochs": 0}, "num_train_epochs", "greater than 0, got 0"),
        ({"num_train_epochs": None}, "num_train_epochs", "valid number, got None"),
        ({"max_steps": 0}, "max_steps", "0 steps train nothing"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size", "greater than or equal to 1, got 0"),
        ({"per_device_train_batch_size": True}, "per_device_train_batch_size", "valid integer, got True"),
        ({"max_seq_length": 0}, "max_length", "greater than or equal to 1, got 0"),
        ({"max_seq_length": 8, "max_length": 8}, "max_seq_length", "another name of max_length"),
        (
            {"gradient_checkpointing": True, "activation_checkpointing": True},
            "activation_checkpointing",
            "another name of gradient_checkpointing",
        ),
        ({"packing": "yes", "max_length": 9}, "packing", "should be bool, got 'yes'"),
        ({"bf16": 1}, "bf16", "should be bool | None, got 1"),
        (
            {"eval_accumulation_steps": "4"},
            "eval_accumulation_steps",
            "should be int | None, got '4'; write the number",
        ),
        ({"packing": True}, "packing", "needs max_length"),
        ({"bf16": True, "fp16": True}, "fp16", "choose one"),
        ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type", "did you mean cosine?"),
        ({"optim": "adam"}, "optim", "adamw_torch"),
        ({"lr_scheduler_type": "reduce_lr_on_plateau"}, "lr_scheduler_type", "needs an eval_strategy"),
        ({"eval_strategy": "epochs"}, "eval_strategy", "'no', 'steps' or 'epoch', got 'epochs'"),
        ({"load_best_model_at_end": True}, "load_best_model_at_end", "needs an eval_strategy"),
        (
            {"load_best_model_at_end": True, "eval_strategy": "epoch"},
            "load_best_model_at_end",
            "needs save_strategy 'epoch' (as eval_strategy) or 'best', not 'no'",
        ),
    ],
)
def test_mistakes_are_found_before_anything_starts(args, key, message):
    findings = check_trainer_args(args, has_dev=True)
    assert [name for name, _ in findings] == [key]
    assert message in findings[0][1]


@pytest.mark.parametrize("args", [{"eval_strategy": "steps"}, {"eval_on_start": True}])
def test_evaluating_while_training_needs_dev_rows(args):
    assert [key for key, _ in check_trainer_args(args, has_dev=False)] == list(args)
    assert check_trainer_args(args, has_dev=True) == []
    assert evaluates_while_training(effective_trainer_args(args, "lora"))
    assert not evaluates_while_training(effective_trainer_args({}, "lora"))


def test_all_mistakes_are_found_at_once():
    args = {"seed": 1, "lerning_rate": 1, "learning_rate": "x", "eval_strategy": "epoch", "packing": True}
    found = {key for key, _ in check_trainer_args(args, has_dev=False)}
    assert found == set(args)


def test_ordinary_arguments_pass():
    args = {
        "learning_rate": 1,
        "num_train_epochs": 0.5,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "cosine_with_restarts",
        "lr_scheduler_kwargs": {"num_cycles": 2},
        "optim": "paged_adamw_8bit",
        "max_seq_length": None,
        "bf16": None,
        "report_to": ["tensorboard"],
        "pad_to_multiple_of": 8,
        "save_strategy": "best",
        "eval_strategy": "steps",
        "eval_steps": 10,
        "load_best_model_at_end": True,
        "include_for_metrics": ["loss"],
        "output_dir": "out",
        "run_name": "a",
    }
    assert check_trainer_args(args, has_dev=True) == []


def test_our_defaults_under_what_is_written():
    lora, full = effective_trainer_args({"max_seq_length": 9}, "lora"), effective_trainer_args({}, "full")
    assert (lora["learning_rate"], full["learning_rate"]) == (2e-4, 2e-5)
    assert (lora["max_length"], full["max_length"]) == (9, None)
    assert "max_seq_length" not in lora
    assert effective_trainer_args({"learning_rate": 1e-3}, "full")["learning_rate"] == 1e-3
    assert set(options.DEFAULTS) <= set(dataclass_fields(SFT_CONFIG))


def test_only_what_changes_the_weights_is_in_the_key():
    places = {"output_dir": "a", "report_to": "wandb", "run_name": "b", "disable_tqdm": True, "save_steps": 5}
    assert fields_for_key({**places, "save_strategy": "steps"}) == {}
    assert fields_for_key({"learning_rate": 2e-4, "gradient_checkpointing": False}) == {}
    assert fields_for_key({"learning_rate": 2e-4}, "full") == {"learning_rate": 2e-4}
    assert fields_for_key({"learning_rate": 2e-5}, "full") == {}
    assert fields_for_key({"max_seq_length": 9}) == fields_for_key({"max_length": 9}) == {"max_length": 9}
    best = {"load_best_model_at_end": True, "save_strategy": "steps", "save_steps": 5, "save_total_limit": 1}
    assert fields_for_key(best) == best


def test_evaluations_are_as_far_apart_as_is_written_or_as_the_library_has_it():
    """The loss curve has a point at each step; an evaluation at each step is nobody's wish."""
    library = int(dataclass_fields(SFT_CONFIG)["logging_steps"].default_text)
    for written, expected in (
        ({}, library),
        ({"logging_steps": 3}, 3),
        ({"eval_steps": 0.5, "logging_steps": 3}, 0.5),
    ):
        args = {"eval_strategy": "steps", "eval_steps": None, **written}
        assert effective_trainer_args(args, "lora")["eval_steps"] == expected
    assert effective_trainer_args({}, "lora")["logging_steps"] == 1
    assert "eval_steps" not in effective_trainer_args({"eval_strategy": "epoch"}, "lora")


def test_checks_import_no_heavy_package():
    heavy = "{'torch', 'transformers', 'trl', 'datasets', 'peft', 'pandas'}"
    use = "from sft.training.options import check_trainer_args as check; check({'optim': 'x', 'packing': 1}, False)"
    code = f"import sys; {use}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_rows_are_named_by_number():
    rows = [TrainRow((1, 2), (IGNORED, 2))] * 3 + [TrainRow((1, 2), (IGNORED, IGNORED))] * 14
    with pytest.raises(DataError, match=r"dev rows 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 4 more of 17"):
        check_rows(rows, "dev", None)
    with pytest.raises(DataError, match="there are no training rows"):
        check_rows([], "training", None)
    with pytest.raises(ValueError, match="differ in number"):
        check_rows([TrainRow((1, 2), (1,))], "training", None)


@pytest.mark.slow
def test_enumerations_are_those_of_the_library():
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    assert set(options._enum_values(options.SCHEDULERS)) == {item.value for item in SchedulerType}
    assert set(options._enum_values(options.OPTIMIZERS)) == {item.value for item in OptimizerNames}
