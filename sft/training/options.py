"""`training.trainer_args`: what may be written, what our defaults are, what counts for the stage's key.

The keys are those of the installed `trl.SFTConfig`, read from its source; no library is imported.
"""

from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sft.adapters import adapter_registry
from sft.adapters.method import adapter_method
from sft.config.experiment import ExperimentConfig
from sft.config.findings import PathMessage
from sft.config.library.defaults import dataclass_defaults, without_defaults
from sft.config.library.keys import SFT_CONFIG, dataclass_fields
from sft.config.library.keys import enum_values as _enum_values
from sft.registry import nearest, unknown_name
from sft.training.argument_checks import check_together
from sft.training.objectives import training_objective_of
from sft.training.report_to import KEY, check_report_to

SCHEDULERS = "transformers.trainer_utils:SchedulerType"
OPTIMIZERS = "transformers.training_args:OptimizerNames"

DEFAULTS: Mapping[str, Any] = {
    "learning_rate": 2e-4,
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "logging_nan_inf_filter": False,
    "max_length": None,
    "report_to": "none",
    "save_strategy": "no",
    "save_total_limit": 2,
    "eval_strategy": "no",
}
"""Over TRL's own defaults; `bf16`, `use_cpu` and `disable_tqdm` follow the machine."""

ALIASES: Mapping[str, str] = {
    "max_seq_length": "max_length",
    "activation_checkpointing": "gradient_checkpointing",
    "activation_checkpointing_kwargs": "gradient_checkpointing_kwargs",
}
"""Second names of a key; the value is the name used here."""

IN_NO_KEY = frozenset({"output_dir", "report_to", "run_name", "disable_tqdm"})
"""Nothing about the trained weights depends on these, nor on `save_*` without `load_best_model_at_end`."""

BY_MACHINE = frozenset({"bf16", "use_cpu", "disable_tqdm"})
"""Where these are not written, the machine decides: no value that is written says the same."""

_UPLOAD = "nothing is uploaded; upload the adapter's folder yourself"
_STAGES = "the commands decide which stages run"
_LOSS = "the loss always covers the completion with its stop and nothing else"
_RESUMED = "an interrupted training always goes on exactly where it was"
REFUSED: Mapping[str, str] = {
    "seed": "write `seed` or `seeds.training` of the experiment",
    "data_seed": "write `seed` or `seeds.training` of the experiment",
    "dataset_text_field": "rows come tokenised; write `prompting.output_column`, and `dataset.task_type: text` where "
    "it is learned whole, else `prompting.input_columns` too",
    "dataset_kwargs": "rows come tokenised; nothing is left to prepare",
    "chat_template_path": "write `model.chat_template_from`",
    "eos_token": "the stop comes from the chat template or the plain format",
    "pad_token": "padding never counts; the tokenizer's own is used",
    "completion_only_loss": _LOSS,
    "assistant_only_loss": _LOSS,
    "truncation_mode": "what gives way in a row that is too long is fixed, and never the answer's label",
    "model_init_kwargs": "write `model.model_args`",
    "do_train": _STAGES,
    "do_eval": _STAGES,
    "do_predict": _STAGES,
    "resume_from_checkpoint": "write `model.adapter` to go on from a trained adapter",
    "ignore_data_skip": _RESUMED,
    "save_only_model": _RESUMED,
    "enable_jit_checkpoint": _RESUMED,
    "restore_callback_states_from_checkpoint": _RESUMED,
    "auto_find_batch_size": "it changes the effective batch; a training that runs out of memory is tried again with "
    "less of it and the same effective batch",
    "push_to_hub": _UPLOAD,
}
"""Keys of the library that would undo what this project promises, each with what to do instead."""

_PLAIN_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "bool": bool,
    "int": int,
    "float": (int, float),
    "str": str,
    "None": type(None),
}

Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Strategy = Literal["no", "steps", "epoch"]


class _Values(BaseModel):
    """Types and ranges of the keys that are written most; a mistake here would only show when the stage runs."""

    model_config = ConfigDict(extra="ignore", strict=True)

    learning_rate: NotNegative = 0.0
    num_train_epochs: Positive = 1.0
    max_steps: Annotated[int, Field(ge=-1)] = -1
    per_device_train_batch_size: Count = 1
    per_device_eval_batch_size: Count = 1
    gradient_accumulation_steps: Count = 1
    max_length: Count | None = None
    warmup_steps: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    max_grad_norm: NotNegative = 0.0
    adam_beta1: NotNegative = 0.0
    adam_beta2: NotNegative = 0.0
    adam_epsilon: NotNegative = 0.0
    label_smoothing_factor: Annotated[float, Field(ge=0, lt=1)] = 0.0
    logging_steps: Positive = 1.0
    eval_steps: Positive | None = None
    save_steps: Positive = 1.0
    save_total_limit: Count | None = None
    dataloader_num_workers: Annotated[int, Field(ge=0)] = 0
    dataloader_prefetch_factor: Count | None = None
    torch_empty_cache_steps: Count | None = None
    pad_to_multiple_of: Count | Literal["auto", "none"] | None = None
    eval_strategy: Strategy = "no"
    logging_strategy: Strategy = "no"
    save_strategy: Literal["no", "steps", "epoch", "best"] = "no"
    packing_strategy: Literal["bfd", "bfd_split", "wrapped"] = "bfd"
    loss_type: Literal["nll", "dft"] = "nll"


def check_trainer_args(args: Mapping[str, Any], has_dev: bool) -> list[PathMessage]:
    """What is wrong with `training.trainer_args`, as (key, message).

    Args:
        args: as the user wrote them.
        has_dev: whether the data has a dev split.
    """
    findings = _check_names(args)
    refused = {key for key, _ in findings}
    named = _named({key: value for key, value in args.items() if key not in refused})
    findings += [(KEY, message) for message in check_report_to(named.get(KEY))]
    wrong = _check_values(named)
    sound = {key: value for key, value in named.items() if key not in dict(wrong)}
    return findings + wrong + check_together(effective_trainer_args(sound, "lora"), has_dev)


def effective_trainer_args(args: Mapping[str, Any], method: str) -> dict[str, Any]:
    """What is written, over our defaults for an adapter method; the library's own defaults are not repeated."""
    written = _named(args)
    return {**_defaults(method), **written, **_evaluation_interval(written)}


def trainer_args_of(config: ExperimentConfig) -> dict[str, Any]:
    """The effective arguments of an experiment, without steps towards less memory."""
    return effective_trainer_args(chosen_trainer_args(config), config.adapter_method)


def chosen_trainer_args(config: ExperimentConfig) -> dict[str, Any]:
    """What is written, with the arguments that the training objective consists of."""
    written = config.training.trainer_args if config.training else {}
    return {**written, **training_objective_of(config).trainer_args}


def fields_for_key(args: Mapping[str, Any], method: str = "lora") -> dict[str, Any]:
    """The arguments that the trained weights depend on; those that are as by default are left out.

    An interval of evaluations that follows from nothing written is not: releases differed in it.
    """
    saves_count = keeps_best(args)
    counted = {
        key: value
        for key, value in _named(args).items()
        if key not in IN_NO_KEY and (saves_count or not key.startswith("save_"))
    }
    interval = _evaluation_interval(_named(args)) if "logging_steps" not in args else {}
    return without_defaults(counted, known_defaults(args, method)) | interval


def known_defaults(args: Mapping[str, Any], method: str) -> Mapping[str, Any]:
    """What each argument means where it is left out beside the others that are written; ours over the library's."""
    others = {key: value for key, value in _named(args).items() if key != "eval_steps"}
    return ChainMap(_evaluation_interval(others), _defaults(method), _library_defaults())


def evaluates_while_training(args: Mapping[str, Any]) -> bool:
    """Whether the training looks at the dev rows."""
    return args.get("eval_strategy", "no") != "no" or bool(args.get("eval_on_start", False))


def keeps_best(args: Mapping[str, Any]) -> bool:
    """Whether the training ends with the weights of its best evaluation."""
    return bool(args.get("load_best_model_at_end", False))


def _defaults(method: str) -> dict[str, Any]:
    known = adapter_method(method).trainer_defaults if method in adapter_registry else {}
    return {**DEFAULTS, **known}


@cache
def _library_defaults() -> dict[str, Any]:
    return {key: value for key, value in dataclass_defaults(SFT_CONFIG).items() if key not in BY_MACHINE}


def _evaluation_interval(written: Mapping[str, Any]) -> dict[str, Any]:
    """Steps between evaluations, where there are any.

    Where they are not written, the library takes those between two entries of the loss curve. Ours has one at each
    step, which nobody asks to be an evaluation as well: what counts is the interval that is written for the curve, or
    that of the library.
    """
    if written.get("eval_strategy") != "steps":
        return {}
    followed = written.get("logging_steps", dataclass_defaults(SFT_CONFIG)["logging_steps"])
    return {"eval_steps": written.get("eval_steps") or followed}


def _named(args: Mapping[str, Any]) -> dict[str, Any]:
    return {ALIASES.get(key, key): value for key, value in args.items()}


def _check_names(args: Mapping[str, Any]) -> list[PathMessage]:
    known = set(dataclass_fields(SFT_CONFIG)) | set(ALIASES)
    findings = []
    for key in args:
        reason = _UPLOAD if key.startswith("hub_") else REFUSED.get(key)
        if reason is not None:
            findings.append((key, f"not taken: {reason}"))
        elif key not in known:
            hint = nearest(key, known - set(REFUSED))
            findings.append((key, "unknown key" + (f" (did you mean {hint}?)" if hint else "")))
        elif key in ALIASES and ALIASES[key] in args:
            findings.append((key, f"another name of {ALIASES[key]}, which is written too; write one of them"))
    return findings


def _check_values(args: Mapping[str, Any]) -> list[PathMessage]:
    findings: dict[str, str] = {}
    try:
        _Values.model_validate(dict(args))
    except ValidationError as error:
        for item in error.errors():
            message = f"{item['msg']}, got {item['input']!r}{_unquote(item['input'])}"
            findings.setdefault(str(item["loc"][0]), message)
    fields = dataclass_fields(SFT_CONFIG)
    for key, value in args.items():
        if key in fields and key not in _Values.model_fields and not _fits(value, fields[key].annotation):
            findings[key] = f"should be {fields[key].annotation}, got {value!r}{_unquote(value)}"
    for key, enumeration in (("lr_scheduler_type", SCHEDULERS), ("optim", OPTIMIZERS)):
        if key in args and args[key] not in _enum_values(enumeration):
            findings[key] = unknown_name("value", str(args[key]), _enum_values(enumeration))
    if args.get("max_steps") == 0:
        findings["max_steps"] = "0 steps train nothing; leave it out, or write 1 or more"
    return list(findings.items())


def _unquote(value: Any) -> str:
    try:
        float(value if isinstance(value, str) else "")
    except ValueError:
        return ""
    return "; write the number without quotes"


def _fits(value: Any, annotation: str) -> bool:
    """Whether a JSON value is of a type written as plain names; anything more complex is left to the library."""
    names = annotation.split(" | ")
    if not set(names) <= set(_PLAIN_TYPES):
        return True
    if isinstance(value, bool):
        return "bool" in names
    return any(isinstance(value, _PLAIN_TYPES[name]) for name in names)
