"""What a plan says of `trainer_args` is what the trainer says when it is built and takes its first step."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sft.exceptions import PackageMissing
from sft.training.argument_checks import BEST_METRICS, check_rows_fill_a_batch, require_trainer_packages
from sft.training.options import check_trainer_args, effective_trainer_args

STEPS = {"eval_strategy": "steps", "save_strategy": "steps"}
BEST = {**STEPS, "load_best_model_at_end": True}
INPUTS: list[dict[str, Any]] = [
    {},
    {"save_strategy": "best"},
    {"save_strategy": "best", "metric_for_best_model": "loss"},
    {"save_strategy": "best", "eval_strategy": "steps", "lr_scheduler_type": "reduce_lr_on_plateau"},
    *({**BEST, "metric_for_best_model": name, "eval_steps": 1} for name in BEST_METRICS[:3]),
    {**BEST, "metric_for_best_model": "eval_mean_token_accuracy", "greater_is_better": True, "eval_steps": 1},
    {**BEST, "metric_for_best_model": "eval_macro_f1", "eval_steps": 1},
    {**STEPS, "metric_for_best_model": "accuracy", "eval_steps": 1},
    {**BEST, "save_strategy": "no"},
    {**BEST, "save_strategy": "epoch"},
    {**BEST, "eval_strategy": "epoch", "save_strategy": "epoch"},
    {**BEST, "eval_steps": 2, "save_steps": 3},
    {**BEST, "eval_steps": 2, "save_steps": 4},
    {**BEST, "eval_steps": 3},
    {**BEST, "eval_steps": 0.2, "save_steps": 0.6},
    {**BEST, "eval_steps": 0.2, "save_steps": 0.5},
    {**BEST, "eval_steps": 0.5, "save_steps": 4},
    {**BEST, "eval_steps": 2, "save_steps": 3, "save_strategy": "best"},
    {**BEST},
    {**STEPS, "eval_steps": 1.5},
    {**STEPS, "save_steps": 2.5},
    {"logging_steps": 1.5},
    {"logging_steps": 0.5},
    {"logging_steps": 1.5, "logging_strategy": "epoch"},
    {"eval_steps": 1.5},
    {"fp16_full_eval": True, "bf16_full_eval": True, "use_cpu": True},
    {"bf16": True, "fp16": True},
    {"bf16": True},
    {"bf16": False},
    {"warmup_steps": -1},
    {"warmup_steps": 0.1},
    {"warmup_steps": 2},
    *({"lr_scheduler_type": name} for name in ("cosine", "constant", "inverse_sqrt", "polynomial", "cosin")),
    *({"lr_scheduler_type": name} for name in ("cosine_with_min_lr", "warmup_stable_decay", "greedy")),
    {"lr_scheduler_type": "greedy", "eval_strategy": "epoch"},
    {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
    {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6, "min_lr_rate": 0.1}},
    {"lr_scheduler_type": "cosine_warmup_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
    {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 1}},
    {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 1.0}},
    {"optim": "adamw_torch"},
    {"optim": "sgd"},
    {"optim": "adam"},
    {"torch_empty_cache_steps": 0},
    {"torch_empty_cache_steps": 1},
    {"dataloader_prefetch_factor": 2},
    {"dataloader_persistent_workers": True},
    {"dataloader_multiprocessing_context": "fork"},
    {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
    {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"reentrant": False}},
    {"gradient_checkpointing_kwargs": {"selective": True}},
    {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"selective": True}},
    {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"selective": False, "use_reentrant": False}},
    {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"selective": True, "use_reentrant": True}},
    {"packing": True},
    {"packing": True, "max_length": 40},
    {"packing": True, "max_length": 40, "packing_strategy": "wrapped"},
    {"packing": True, "max_length": 40, "packing_strategy": "best"},
    {"eval_packing": True, "eval_strategy": "epoch"},
    {"eval_packing": True, "eval_strategy": "epoch", "max_length": 40},
    {"padding_free": True, "max_length": 40},
    {"pad_to_multiple_of": 8},
    {"pad_to_multiple_of": "eight"},
    {"log_level": "loud"},
    {"log_level": "passive"},
    {"train_sampling_strategy": "group_by_length"},
    {"debug": "underflow_overflow"},
    {"debug": "everything"},
    {"loss_type": "dft"},
    {"loss_type": "mse"},
    {"learning_rate": -1.0},
    {"fsdp": "full_shard"},
    {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1},
    {"max_steps": -1, "num_train_epochs": 0.5},
    {"eval_on_start": True, "eval_strategy": "epoch"},
    {"dataloader_drop_last": True, "per_device_eval_batch_size": 2},
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("args", INPUTS, ids=str)
def test_a_plan_and_the_trainer_agree(
    base: Any, adapted: Callable[..., Any], rows: Any, train: Callable[..., Any], args: dict[str, Any]
) -> None:
    found = check_trainer_args(args, has_dev=True)
    try:
        train(adapted(copy.deepcopy(base)), rows, {"max_steps": 2, **args}, dev_rows=rows[:3])
        refusal = None
    except Exception as error:  # noqa: BLE001 - whatever the library raises is its verdict
        refusal = error
    assert bool(found) == (refusal is not None), (found, refusal)


@pytest.mark.parametrize(
    ("args", "n_train", "n_dev", "told"),
    [
        ({}, 3, None, False),
        ({"dataloader_drop_last": True}, 7, None, True),
        ({"dataloader_drop_last": True}, 8, None, False),
        ({"dataloader_drop_last": True, "per_device_train_batch_size": 4}, 7, None, False),
        ({"dataloader_drop_last": True}, 8, 7, True),
        ({"dataloader_drop_last": True, "packing": True, "max_length": 9}, 7, None, False),
    ],
)
def test_dropping_the_last_batch_must_leave_one(
    args: dict[str, Any], n_train: int, n_dev: int | None, told: bool
) -> None:
    found = check_rows_fill_a_batch(effective_trainer_args(args, "lora"), n_train, n_dev)
    assert [key for key, _ in found] == (["dataloader_drop_last"] if told else [])


@pytest.mark.parametrize(
    ("args", "key", "message"),
    [
        ({"save_strategy": "best"}, "save_strategy", "best needs metric_for_best_model, one of: loss"),
        ({**BEST, "metric_for_best_model": "eval_macro_f1"}, "metric_for_best_model", "only at the end"),
        ({**BEST, "eval_steps": 2, "save_steps": 3}, "save_steps", "must be a multiple of eval_steps 2"),
        ({**STEPS, "eval_steps": 1.5}, "eval_steps", "must be whole, or a share of all steps below 1, got 1.5"),
        ({"dataloader_prefetch_factor": 2}, "dataloader_prefetch_factor", "needs dataloader_num_workers above 0"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "lr_scheduler_kwargs", "needs one of min_lr and min_lr_rate"),
        ({"fsdp": "full_shard"}, "fsdp", "needs several processes"),
        ({"ddp_backend": "gloo"}, "ddp_backend", "needs several processes"),
        ({"eval_packing": True}, "eval_packing", "needs max_length"),
        ({"log_level": "loud"}, "log_level", "'loud'; allowed: "),
    ],
)
def test_what_the_trainer_would_refuse_is_said_in_a_plan(args: dict[str, Any], key: str, message: str) -> None:
    [(found, text)] = check_trainer_args(args, has_dev=True)
    assert found == key
    assert message in text


@pytest.mark.parametrize(
    "args",
    [
        {"optim": "galore_adamw_8bit"},
        {"optim": "schedule_free_sgd"},
        {"optim": "adamw_torch_xla"},
        {"deepspeed": "a"},
        {"optim": "adamw_anyprecision"},
    ],
)
def test_packages_that_arguments_need_are_asked_for_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, args: dict[str, Any]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    require_trainer_packages({"optim": "adamw_torch_fused", "use_liger_kernel": False})
    with pytest.raises(PackageMissing, match=r"training.trainer_args.*pip install"):
        require_trainer_packages(args)
