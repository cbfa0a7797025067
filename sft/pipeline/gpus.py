"""How many GPUs a stage asks for."""

from collections.abc import Mapping
from typing import Any

from sft.evaluation.selection import on_gpu
from sft.runs.records import StageName


def gpus_needed(stage: StageName, config: Mapping[str, Any], n_gpus: int) -> int:
    """How many GPUs a stage asks for: an evaluation one at most, where a metric computes with a model.

    Args:
        stage: its name.
        config: the resolved config.
        n_gpus: how many there are.
    """
    if stage == "baseline":
        return 0
    asked = config.get("resources", {}).get("gpus")
    if stage == "evaluate":
        is_wanted = asked != 0 and on_gpu(config.get("evaluation", {}).get("metrics") or ())
        return min(1, n_gpus) if is_wanted else 0
    if asked is not None:
        return int(asked)
    spread = bool(config.get("model", {}).get("model_args", {}).get("parallelize"))
    return n_gpus if spread else min(1, n_gpus)
