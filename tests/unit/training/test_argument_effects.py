"""Each argument of a training does what it says: steps and rates, optimisers, precision, checkpoints, workers."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch.nn import functional

from sft.training.checkpoints import CheckpointFolder
from sft.training.options import OPTIMIZERS, SCHEDULERS, _enum_values, effective_trainer_args
from sft.training.trainer import TrainerSettings, _build_trainer

RATE, STEPS, WARMUP = 0.01, 6, 2
FAIR = {"max_steps": 1, "per_device_train_batch_size": 12, "optim": "sgd", "max_grad_norm": 1e6, "learning_rate": 0.5}
"""One step of plain gradient descent on all rows, without clipping."""


@pytest.fixture
def built(base, adapted, rows, tokenizer, tmp_path) -> Callable[..., Any]:
    """The trainer of the given arguments, before its first step."""

    def build(args: Mapping[str, Any], model: Any = None) -> Any:
        settings = TrainerSettings(effective_trainer_args(args, "lora"), 13, CheckpointFolder(tmp_path / "work"))
        return _build_trainer(model or adapted(copy.deepcopy(base)), tokenizer, rows, None, settings)

    return build


@pytest.fixture
def stepped(base, adapted, rows, train) -> Callable[..., Any]:
    """Trained tensors before and after a training, and its record."""

    def step(**args: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Any]:
        model = adapted(copy.deepcopy(base))
        before = trained(model)
        record = train(model, rows, {**FAIR, **args})
        return before, trained(model), record

    return step


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}


def progress(step: int) -> float:
    return (step - WARMUP) / (STEPS - WARMUP)


def cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


FLOOR = 0.1
AFTER_WARMUP: dict[str, tuple[dict[str, Any], Callable[[int], float]]] = {
    "linear": ({}, lambda step: 1 - progress(step)),
    "constant": ({}, lambda step: 1.0),
    "constant_with_warmup": ({}, lambda step: 1.0),
    "cosine": ({}, lambda step: cosine(progress(step))),
    "cosine_with_restarts": ({"num_cycles": 2}, lambda step: cosine(2 * progress(step) % 1)),
    "polynomial": ({"power": 2, "lr_end": 1e-5}, lambda step: (1 - 1e-3) * (1 - progress(step)) ** 2 + 1e-3),
    "inverse_sqrt": ({}, lambda step: math.sqrt(WARMUP / step)),
    "cosine_with_min_lr": ({"min_lr_rate": FLOOR}, lambda step: FLOOR + (1 - FLOOR) * cosine(progress(step))),
    "cosine_warmup_with_min_lr": (
        {"min_lr_rate": FLOOR},
        lambda step: FLOOR + (1 - FLOOR) * cosine(progress(step + 1)),
    ),
    "warmup_stable_decay": ({"num_decay_steps": 2}, lambda step: cosine(max(step - 4, 0) / 2)),
}
"""Schedule -> its options, and the share of the rate at a step (from 0) that lies behind the warm-up."""
WARMING = {"constant": [1.0, 1.0], "cosine_warmup_with_min_lr": [0.5, 1.0]}
"""The shares of the two steps of warm-up, where they are not 0 and a half."""


def check_schedule(name: str, train: Any, model: Any, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    step = torch.optim.SGD.step

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    options, share = AFTER_WARMUP[name]
    written = {"lr_scheduler_type": name, "lr_scheduler_kwargs": options, "warmup_steps": WARMUP, "max_steps": STEPS}
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.SGD, "step", watched)
        record = train(model, rows, {**FAIR, **written, "learning_rate": RATE})
    wanted = WARMING.get(name, [0.0, 0.5]) + [share(number) for number in range(WARMUP, STEPS)]
    assert used == pytest.approx([RATE * factor for factor in wanted], abs=1e-9), name
    assert [point.learning_rate for point in record.loss_curve] == pytest.approx(used), name


def test_the_rate_of_each_step_is_that_of_the_schedule(base, adapted, rows, train, monkeypatch) -> None:
    check_schedule("linear", train, adapted(base), rows, monkeypatch)


@pytest.mark.slow
def test_every_schedule_has_its_rates(base, adapted, rows, train, monkeypatch) -> None:
    for name in AFTER_WARMUP:
        check_schedule(name, train, adapted(copy.deepcopy(base)), rows, monkeypatch)
    assert {*_enum_values(SCHEDULERS)} == {*AFTER_WARMUP, "reduce_lr_on_plateau", "greedy"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "shares"),
    [
        ("reduce_lr_on_plateau", {"patience": 0, "factor": 0.5, "threshold": 0.99}, [1, 1, 0.5, 0.25]),
        ("greedy", {"patience": 0, "factor": 0.5, "threshold": 0.99, "smooth": False}, [1, 2, 1, 0.5]),
    ],
)
def test_schedules_that_look_at_evaluations_follow_them(base, adapted, rows, train, name, options, shares) -> None:
    """Only the first loss counts as better, after which greedy doubles the rate."""
    written = {"lr_scheduler_type": name, "lr_scheduler_kwargs": options, "eval_strategy": "steps", "eval_steps": 1}
    record = train(adapted(base), rows, {**FAIR, **written, "learning_rate": RATE, "max_steps": 4}, dev_rows=rows[:3])
    assert [point.learning_rate for point in record.loss_curve] == pytest.approx([RATE * share for share in shares])


def check_optimizer(built: Callable[..., Any], name: str, wanted: str, **more: Any) -> None:
    settings = {"weight_decay": 0.25, "adam_beta1": 0.8, "adam_beta2": 0.95, "adam_epsilon": 1e-3}
    optimizer = built({"optim": name, "learning_rate": RATE, **settings}).create_optimizer()
    assert type(optimizer).__module__.partition(".")[0] + "." + type(optimizer).__name__ == wanted
    for group in optimizer.param_groups:
        if "Adam" in wanted:
            assert (group["lr"], *group["betas"], group["eps"]) == (RATE, 0.8, 0.95, 1e-3)
        assert group["lr"] == RATE
        assert {key: getattr(optimizer, key, group.get(key)) for key in more} == more


def test_the_optimizer_and_its_settings_are_those_written(built) -> None:
    check_optimizer(built, "adamw_torch", "torch.AdamW", fused=None)


@pytest.mark.slow
def test_every_optimizer_of_the_installed_packages_is_built(built) -> None:
    pytest.importorskip("bitsandbytes")
    check_optimizer(built, "adamw_torch_fused", "torch.AdamW", fused=True)
    check_optimizer(built, "sgd", "torch.SGD", momentum=0)
    check_optimizer(built, "rmsprop", "torch.RMSprop")
    check_optimizer(built, "adagrad", "torch.Adagrad")
    check_optimizer(built, "adafactor", "transformers.Adafactor")
    for kind, is_paged in (("adamw_bnb_8bit", False), ("paged_adamw_8bit", True), ("paged_adamw_32bit", True)):
        check_optimizer(built, kind, "bitsandbytes.AdamW", is_paged=is_paged)
    assert {"sgd", "adamw_torch", "paged_adamw_32bit"} < {*_enum_values(OPTIMIZERS)}


def test_weights_decay_and_norms_and_biases_do_not(built, base) -> None:
    base.model.norm.bias = torch.nn.Parameter(torch.zeros(64))
    optimizer = built({"optim": "sgd", "weight_decay": 0.25}, base).create_optimizer()
    decaying = {id(value) for group in optimizer.param_groups if group["weight_decay"] for value in group["params"]}
    shrinking = {name for name, value in base.named_parameters() if id(value) in decaying}
    assert shrinking == {name for name, value in base.named_parameters() if value.dim() > 1}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.25}


def test_a_step_is_the_rate_times_the_gradient_and_what_decays(stepped) -> None:
    """Adam's first step is the gradient over its own size; epsilon, as large as here, makes it smaller."""
    start, plain, _ = stepped()
    _, decayed, _ = stepped(weight_decay=0.1)
    _, adam, _ = stepped(optim="adamw_torch", adam_epsilon=0.5)
    for name, before in start.items():
        gradient = (before - plain[name]) / FAIR["learning_rate"]
        assert gradient.abs().max() > 0
        assert torch.allclose(plain[name] - decayed[name], 0.5 * 0.1 * before, atol=1e-6)
        assert torch.allclose(before - adam[name], 0.5 * gradient / (gradient.abs() + 0.5), atol=1e-5)


@pytest.mark.slow
def test_a_paged_optimizer_steps_as_the_plain_one_does_on_a_cpu(stepped) -> None:
    pytest.importorskip("bitsandbytes")
    start, plain, _ = stepped(optim="adamw_torch", max_steps=3, learning_rate=1e-3)
    _, paged, _ = stepped(optim="paged_adamw_32bit", max_steps=3, learning_rate=1e-3)
    for name, before in start.items():
        assert torch.allclose(paged[name] - before, plain[name] - before, atol=2e-5), name
        assert not torch.equal(paged[name], before)


def test_a_gradient_is_cut_to_its_largest_norm(stepped) -> None:
    start, plain, free = stepped()
    _, cut, _ = stepped(max_grad_norm=0.01)
    moved = torch.cat([(start[name] - plain[name]).flatten() for name in start])
    short = torch.cat([(start[name] - cut[name]).flatten() for name in start])
    assert moved.norm() == pytest.approx(0.5 * free.loss_curve[0].grad_norm, rel=1e-4)
    assert short.norm() == pytest.approx(0.5 * 0.01, rel=1e-3)
    assert functional.cosine_similarity(moved, short, dim=0) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("args", "steps"),
    [
        ({"num_train_epochs": 2, "per_device_train_batch_size": 5, "gradient_accumulation_steps": 2}, 4),
        pytest.param({"num_train_epochs": 0.5, "per_device_train_batch_size": 2}, 3, marks=pytest.mark.slow),
        pytest.param({"per_device_train_batch_size": 16, "num_train_epochs": 4}, 4, marks=pytest.mark.slow),
        pytest.param({"max_steps": 5, "num_train_epochs": 1}, 5, marks=pytest.mark.slow),
    ],
)
def test_epochs_batch_and_accumulation_make_the_steps(base, adapted, rows, train, args, steps) -> None:
    record = train(adapted(base), rows, {"optim": "sgd", **args})
    assert (record.n_steps, len(record.loss_curve)) == (steps, steps)
    batch = args.get("per_device_train_batch_size", 8) * args.get("gradient_accumulation_steps", 1)
    assert record.effective_batch_size == batch


def test_accumulated_batches_are_one_large_batch(stepped) -> None:
    _, whole, _ = stepped()
    _, parts, _ = stepped(per_device_train_batch_size=3, gradient_accumulation_steps=4)
    assert all(torch.allclose(parts[name], whole[name], atol=1e-5) for name in whole)


def test_checkpointing_runs_each_layer_again_and_changes_no_gradient(stepped, monkeypatch) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    runs = []
    forward = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda self, hidden: runs.append(1) or forward(self, hidden))
    _, plain, _ = stepped()
    once = len(runs)
    _, checkpointed, _ = stepped(gradient_checkpointing=True)
    assert (once, len(runs) - once) == (2, 4)
    assert all(torch.allclose(checkpointed[name], plain[name], atol=1e-6) for name in plain)


def test_bf16_computes_in_16_bits_and_trains_in_32(stepped) -> None:
    _, plain, exact = stepped()
    _, half, rounded = stepped(bf16=True)
    difference = abs(exact.loss_curve[0].loss - rounded.loss_curve[0].loss)
    assert 0 < difference < 0.05
    assert {value.dtype for value in half.values()} == {torch.float32}
    assert any(not torch.equal(half[name], plain[name]) for name in plain)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="what a CPU does")
def test_fp16_changes_nothing_on_a_cpu(stepped) -> None:
    _, plain, _ = stepped()
    _, half, _ = stepped(fp16=True)
    assert all(torch.equal(half[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    ("args", "left"),
    [
        ({"save_strategy": "steps", "save_steps": 2}, [4, 6]),
        pytest.param({"save_strategy": "epoch", "save_total_limit": None}, [2, 4, 6], marks=pytest.mark.slow),
        pytest.param(
            {"save_strategy": "steps", "save_steps": 0.5, "save_total_limit": 1}, [6], marks=pytest.mark.slow
        ),
        pytest.param(
            {"save_strategy": "steps", "save_steps": 4, "save_total_limit": 5}, [4, 6], marks=pytest.mark.slow
        ),
        pytest.param({"save_strategy": "no"}, [], marks=pytest.mark.slow),
    ],
)
def test_checkpoints_are_as_far_apart_and_as_many_as_written(base, adapted, rows, train, tmp_path, args, left) -> None:
    written = {"optim": "sgd", "num_train_epochs": 3, "per_device_train_batch_size": 6}
    assert train(adapted(base), rows, {**written, **args}).n_steps == 6
    assert CheckpointFolder(tmp_path / "work").steps() == left


def test_workers_read_the_rows(built) -> None:
    loader = built({"dataloader_num_workers": 2, "dataloader_prefetch_factor": 3}).get_train_dataloader()
    assert (loader.base_dataloader.num_workers, loader.base_dataloader.prefetch_factor) == (2, 3)


@pytest.mark.slow
def test_workers_change_no_number(stepped) -> None:
    _, alone, _ = stepped(per_device_train_batch_size=4, max_steps=2)
    _, with_workers, _ = stepped(per_device_train_batch_size=4, max_steps=2, dataloader_num_workers=2)
    assert all(torch.equal(with_workers[name], alone[name]) for name in alone)
