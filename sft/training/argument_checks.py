"""What the trainer refuses of `trainer_args` only when it is built, or when it runs: checks between its fields.

They repeat those of `transformers.TrainingArguments`, `transformers.Trainer`, `trl.SFTTrainer` and of torch's data
loader that the installed releases make of one process; a test builds the real class on the same inputs.
"""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from sft.adapters.virtual_tokens import AS_EMBEDDINGS, AS_STATES
from sft.config.findings import PathMessage
from sft.config.library.keys import enum_values
from sft.exceptions import PackageMissing

Check = Callable[[Mapping[str, Any]], list[PathMessage]]

BEST_METRICS = ("loss", "mean_token_accuracy", "entropy", "aux_loss")
"""What an evaluation of the trainer gives and a checkpoint can be chosen by; `eval_` before it says the same."""
NEEDS_EVALUATION = ("reduce_lr_on_plateau", "greedy")
MILLION = 1_000_000
"""Shares of all steps are compared as the library compares them."""
DEBUG = "transformers.debug_utils:DebugOption"
LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")
SAMPLINGS = ("random", "sequential", "group_by_length", "batch_rebalance")
CHECKPOINT_OPTIONS = frozenset(
    {"use_reentrant", "preserve_rng_state", "determinism_check", "debug", "early_stop", "selective"}
)
"""Arguments of `torch.utils.checkpoint.checkpoint` that JSON can write, and TRL's own `selective`."""
_PACKAGES = {"deepspeed": ("deepspeed", "deepspeed"), "use_liger_kernel": ("liger_kernel", "liger-kernel")}
"""Argument -> module and package that it needs."""
_OPTIMIZER_PACKAGES: Mapping[str, tuple[str, str]] = {
    "galore": ("galore_torch", "galore-torch"),
    "apollo": ("apollo_torch", "apollo-torch"),
    "lomo": ("lomo_optim", "lomo-optim"),
    "anyprecision": ("torchdistx", "git+https://github.com/pytorch/torchdistx"),
    "grokadamw": ("grokadamw", "grokadamw"),
    "schedule_free": ("schedulefree", "schedulefree"),
    "stable_adamw": ("optimi", "torch-optimi"),
    "torch_npu": ("torch_npu", "torch-npu"),
    "torch_xla": ("torch_xla", "torch-xla"),
    "adamw_torch_4bit": ("torchao", "torchao"),
    "adamw_torch_8bit": ("torchao", "torchao"),
    **dict.fromkeys(("paged_", "lion", "bnb", "ademamix", "adamw_8bit"), ("bitsandbytes", "bitsandbytes")),
}
"""Part of an optimiser's name -> module and package that it needs."""
MIN_RATE = ("cosine_with_min_lr", "cosine_warmup_with_min_lr")


def check_together(args: Mapping[str, Any], has_dev: bool) -> list[PathMessage]:
    """What is wrong between arguments, as (key, message).

    Args:
        args: in force: what is written over our defaults, under the names used here.
        has_dev: whether the data has a dev split.
    """
    findings = _check_evaluation(args, has_dev)
    for check in _CHECKS:
        findings += check(args)
    return list(dict(reversed(findings)).items())[::-1]


def check_rows_fill_a_batch(args: Mapping[str, Any], n_train: int, n_dev: int | None) -> list[PathMessage]:
    """Whether `dataloader_drop_last` leaves no batch at all.

    Args:
        args: in force.
        n_train: training rows.
        n_dev: dev rows; None where there are none, or none are looked at while the model trains.
    """
    if args.get("dataloader_drop_last") is not True or args.get("packing") is True:
        return []
    for key, rows, kind in (
        ("per_device_train_batch_size", n_train, "training"),
        ("per_device_eval_batch_size", n_dev, "dev"),
    ):
        size = args.get(key, 8)
        if rows is not None and rows < size:
            text = f"there are {rows} {kind} rows, fewer than a batch of {size}, so that none is left"
            return [("dataloader_drop_last", f"{text}; leave it out, or write {key}: {max(rows, 1)} or less")]
    return []


def check_experts(args: Mapping[str, Any], config: Mapping[str, Any]) -> list[PathMessage]:
    """What only a mixture-of-experts model has: the loss that balances its experts.

    Args:
        args: as written.
        config: what the model's `config.json` says of its language part; empty where nobody knows.
    """
    if not config or any("expert" in key or "router" in key for key in config):
        return []
    key = "metric_for_best_model"
    wrong = [key] if str(args.get(key)).removeprefix("eval_") == "aux_loss" else []
    wrong += ["router_aux_loss_coef"] if args.get("router_aux_loss_coef") else []
    return [(key, f"{args[key]!r} needs a mixture-of-experts model, and this one has no experts") for key in wrong]


def check_virtual_tokens(args: Mapping[str, Any], method: str) -> list[PathMessage]:
    """What does not go with an adapter of virtual tokens.

    Args:
        args: in force.
        method: name of the adapter method.
    """
    if method not in (*AS_EMBEDDINGS, *AS_STATES):
        return []
    joined = "several rows would stand behind the same virtual tokens, and see each other"
    wrong = dict.fromkeys(("packing", "eval_packing", "padding_free"), f"{joined}; leave it out")
    if method in AS_STATES:
        dropped = "recomputing a layer drops the keys and values that are trained"
        wrong["gradient_checkpointing"] = f"{dropped}; leave it out, or take prompt_tuning"
    else:
        wrong["label_smoothing_factor"] = "the trainer takes it of prompts without virtual tokens; leave it out"
    return [(key, f"{args[key]!r} does not go with {method}: {text}") for key, text in wrong.items() if args.get(key)]


def require_trainer_packages(args: Mapping[str, Any]) -> None:
    """Check that the packages behind sound arguments are installed, without importing them.

    Raises:
        PackageMissing: one is not, with the command that installs it.
    """
    needed = [(key, *found) for key, found in _PACKAGES.items() if args.get(key)]
    optimizer = str(args.get("optim") or "")
    needed += [("optim", *found) for part, found in _OPTIMIZER_PACKAGES.items() if part in optimizer]
    for key, module, package in needed:
        if importlib.util.find_spec(module) is None:
            raise PackageMissing(package, f"training.trainer_args.{key} {args[key]!r}", f"pip install {package}")


def _check_evaluation(args: Mapping[str, Any], has_dev: bool) -> list[PathMessage]:
    findings = []
    evaluates = args.get("eval_strategy", "no") != "no"
    if (evaluates or args.get("eval_on_start")) and not has_dev:
        key = "eval_strategy" if evaluates else "eval_on_start"
        findings.append((key, "needs dev rows; name them with dataset.splits, such as {dev: 0.15, test: 0.3}"))
    scheduler = args.get("lr_scheduler_type")
    if scheduler in NEEDS_EVALUATION and not evaluates:
        findings.append(("lr_scheduler_type", f"{scheduler} needs an eval_strategy (steps or epoch)"))
    return findings


def _check_best(args: Mapping[str, Any]) -> list[PathMessage]:
    key, evaluated, saved = "load_best_model_at_end", args.get("eval_strategy", "no"), args.get("save_strategy", "no")
    if args.get(key) is not True:
        return []
    if evaluated == "no":
        return [(key, "needs an eval_strategy (steps or epoch) to know which is best")]
    if saved not in (evaluated, "best"):
        return [(key, f"needs save_strategy {evaluated!r} (as eval_strategy) or 'best', not {saved!r}")]
    if saved == evaluated == "steps" and not _is_multiple(args.get("save_steps", 500), args["eval_steps"]):
        text = f"must be a multiple of eval_steps {args['eval_steps']} with {key}, not {args.get('save_steps', 500)}"
        return [("save_steps", f"{text}; or write save_strategy: best")]
    return []


def _is_multiple(saved: float, evaluated: float) -> bool:
    """As transformers asks: of shares of all steps, which floats do not divide exactly, in millionths."""
    if saved % evaluated == 0:
        return True
    return saved < 1 and evaluated < 1 and (saved * MILLION) % (evaluated * MILLION) == 0


def _check_best_metric(args: Mapping[str, Any]) -> list[PathMessage]:
    key, metric = "metric_for_best_model", args.get("metric_for_best_model")
    known = ", ".join(BEST_METRICS)
    implied = args.get("load_best_model_at_end") is True or args.get("lr_scheduler_type") in NEEDS_EVALUATION
    if metric is None:
        if args.get("save_strategy") == "best" and not implied:
            return [("save_strategy", f"best needs {key}, one of: {known}")]
        return []
    if str(metric).removeprefix("eval_") in BEST_METRICS:
        return []
    text = f"{metric!r} is not measured while a model trains, only at the end"
    return [(key, f"{text}; the trainer's evaluations have: {known}")]


def _check_intervals(args: Mapping[str, Any]) -> list[PathMessage]:
    """A number of steps is whole, a share of all steps below 1."""
    findings = []
    for kind in ("logging", "eval", "save"):
        strategy = args.get(f"{kind}_strategy", "steps" if kind == "logging" else "no")
        steps = args.get(f"{kind}_steps") or 1
        if strategy == "steps" and steps > 1 and steps != int(steps):
            findings.append((f"{kind}_steps", f"must be whole, or a share of all steps below 1, got {steps!r}"))
    return findings


def _check_precision(args: Mapping[str, Any]) -> list[PathMessage]:
    pairs = (("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval"))
    return [
        (one, f"{other} is true as well; choose one of them")
        for one, other in pairs
        if args.get(one) is True and args.get(other) is True
    ]


def _check_packing(args: Mapping[str, Any]) -> list[PathMessage]:
    return [
        (key, "needs max_length, the length of a packed sequence in tokens")
        for key in ("packing", "eval_packing")
        if args.get(key) is True and args.get("max_length") is None
    ]


def _check_workers(args: Mapping[str, Any]) -> list[PathMessage]:
    """What only other processes that read rows can have."""
    if args.get("dataloader_num_workers", 0):
        return []
    keys = {
        "dataloader_prefetch_factor": args.get("dataloader_prefetch_factor") is not None,
        "dataloader_persistent_workers": args.get("dataloader_persistent_workers") is True,
        "dataloader_multiprocessing_context": args.get("dataloader_multiprocessing_context") is not None,
    }
    return [(key, "needs dataloader_num_workers above 0") for key, is_there in keys.items() if is_there]


def _check_names(args: Mapping[str, Any]) -> list[PathMessage]:
    allowed = {
        "log_level": LOG_LEVELS,
        "log_level_replica": LOG_LEVELS,
        "train_sampling_strategy": SAMPLINGS,
    }
    findings = [
        (key, f"{args[key]!r}; allowed: {', '.join(names)}")
        for key, names in allowed.items()
        if args.get(key) is not None and args[key] not in names
    ]
    debug = args.get("debug") or ""
    options = debug.split() if isinstance(debug, str) else list(debug)
    wrong = [name for name in options if name not in enum_values(DEBUG)]
    return findings + [("debug", f"{name!r}; allowed: {', '.join(enum_values(DEBUG))}") for name in wrong]


def _check_checkpointing(args: Mapping[str, Any]) -> list[PathMessage]:
    key, options = "gradient_checkpointing_kwargs", args.get("gradient_checkpointing_kwargs") or {}
    if not isinstance(options, Mapping):
        return []
    unknown = sorted(set(options) - CHECKPOINT_OPTIONS)
    if unknown and args.get("gradient_checkpointing"):
        return [(key, f"unknown key {unknown[0]!r}; allowed: {', '.join(sorted(CHECKPOINT_OPTIONS))}")]
    if options.get("selective"):  # reaches torch's checkpoint, which does not know it, past TRL's wrapper of the model
        return [(key, "selective does not go with an adapter; leave it out")]
    return []


def _check_schedule(args: Mapping[str, Any]) -> list[PathMessage]:
    """What schedules need of `lr_scheduler_kwargs`."""
    key, schedule = "lr_scheduler_kwargs", args.get("lr_scheduler_type")
    options = args.get(key) or {}
    if not isinstance(options, Mapping):
        return []
    rates = [name for name in ("min_lr", "min_lr_rate") if options.get(name) is not None]
    if schedule in MIN_RATE and len(rates) != 1:
        return [(key, f"{schedule} needs one of min_lr and min_lr_rate, got {len(rates)}")]
    if schedule == "warmup_stable_decay" and "num_decay_steps" not in options:
        return [(key, f"{schedule} needs num_decay_steps, and num_stable_steps where it is not the rest")]
    lowest = options.get("lr_end", 1e-7)
    if schedule == "polynomial" and isinstance(lowest, int | float) and lowest >= args.get("learning_rate", 0):
        return [(key, f"lr_end {lowest} must be below learning_rate {args.get('learning_rate')}")]
    return []


def _check_one_process(args: Mapping[str, Any]) -> list[PathMessage]:
    several = "needs several processes, and a training has one"
    return [(key, several) for key in ("fsdp", "ddp_backend") if args.get(key)]


_CHECKS: tuple[Check, ...] = (
    _check_best,
    _check_best_metric,
    _check_intervals,
    _check_precision,
    _check_packing,
    _check_workers,
    _check_names,
    _check_checkpointing,
    _check_schedule,
    _check_one_process,
)
