"""How a training that ran out of memory is tried again: with less memory, and the same effective batch.

The first step recomputes activations (gradient checkpointing) where that is not on already; each further one about
halves the rows that are in memory at once and accumulates gradients over as many more of these micro-batches. An
optimiser step then sees the same rows in the same order, so a checkpoint of another micro-batch is gone on from; what
changes is rounding, and the places of dropout. The module imports nothing heavy.
"""

from collections.abc import Mapping
from typing import Any

from sft.adapters.virtual_tokens import AS_STATES
from sft.config.experiment import ExperimentConfig

CHECKPOINTING = "gradient_checkpointing"
MICRO_BATCH = "per_device_train_batch_size"
EVAL_BATCH = "per_device_eval_batch_size"
ACCUMULATION = "gradient_accumulation_steps"

LIBRARY_DEFAULTS: Mapping[str, int] = {MICRO_BATCH: 8, EVAL_BATCH: 8, ACCUMULATION: 1}
"""Those of `trl.SFTConfig`."""


def recomputes(config: ExperimentConfig) -> bool:
    """Whether the activations of an experiment's training can be recomputed."""
    return config.adapter_method not in AS_STATES


def with_less_memory(trainer_args: Mapping[str, Any], step: int, may_recompute: bool = True) -> dict[str, Any] | None:
    """The arguments after `step` steps towards less memory, as they are after none, None beyond the last.

    Args:
        trainer_args: with our defaults filled in (`options.effective_trainer_args`).
        step: how often the training ran out of memory before.
        may_recompute: whether recomputing activations is one of the steps.
    """
    changed, left = dict(trainer_args), step
    if left and may_recompute and not changed.get(CHECKPOINTING):
        changed[CHECKPOINTING] = True
        left -= 1
    for _ in range(left):
        smaller = _with_smaller_micro_batch(changed)
        if smaller is None:
            return None
        changed = smaller
    return changed


def batch_record(trainer_args: Mapping[str, Any]) -> dict[str, Any]:
    """What the steps towards less memory change, as it is in `trainer_args`."""
    return {
        "micro_batch_size": _number(trainer_args, MICRO_BATCH),
        "gradient_accumulation_steps": _number(trainer_args, ACCUMULATION),
        "gradient_checkpointing": bool(trainer_args.get(CHECKPOINTING)),
    }


def _with_smaller_micro_batch(args: Mapping[str, Any]) -> dict[str, Any] | None:
    """At most half the micro-batch: the largest one that divides the effective batch."""
    micro, accumulation = _number(args, MICRO_BATCH), _number(args, ACCUMULATION)
    # with dataloader_drop_last the micro-batch decides how many rows are left out at the end of an epoch
    if micro == 1 or args.get("dataloader_drop_last"):
        return None
    effective = micro * accumulation
    smaller = next(size for size in range(micro // 2, 0, -1) if effective % size == 0)
    return {
        **args,
        MICRO_BATCH: smaller,
        ACCUMULATION: effective // smaller,
        EVAL_BATCH: min(_number(args, EVAL_BATCH), smaller),
    }


def _number(args: Mapping[str, Any], key: str) -> int:
    return int(args.get(key, LIBRARY_DEFAULTS[key]))
