"""What loads a model with a new head: its labels, and where the model is quantised, that the head is not."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.models.answering.heads import keep_plain, new_head
from sft.models.model_args import REMOTE_CODE
from sft.models.objective import Objective


def with_new_head(
    arguments: Mapping[str, Any],
    place: Mapping[str, Any],
    told: Mapping[str, Any],
    objective: Objective,
    labels: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """The arguments of `from_pretrained`, with those of a head where the model gets a new one.

    Args:
        arguments: as they would be without it.
        place: name and revision of the model, as arguments too; `told` is its `config.json`.
        objective: how it will answer.
        labels: gold values.
        seed: of the head's weights, below 2**32.
    """
    head = new_head(told, objective, labels, seed)
    quantization = arguments.get("quantization_config")
    if not head or (quantization is None and not told.get("quantization_config")):
        return {**arguments, **head}
    import transformers
    from accelerate import init_empty_weights
    from torch.random import fork_rng
    from transformers.quantizers.auto import AutoQuantizationConfig

    given = {key: arguments[key] for key in arguments.keys() - {"dtype", "quantization_config"}}
    config, rest = transformers.AutoConfig.from_pretrained(**place, **given, **head, return_unused_kwargs=True)
    written = [getattr(transformers, name, None) for name in told.get("architectures") or ()]
    # weights without memory are drawn too, and the head is to be that of a plain base
    with fork_rng(), init_empty_weights():
        empty = objective.loader().from_config(config, trust_remote_code=arguments[REMOTE_CODE])
        modules = [name for kind in written if kind is not None for name, _ in kind(config).named_modules()]
    if not (stored := told.get("quantization_config")):
        keep_plain(quantization, empty)
        return {**arguments, **head}
    # what is stored wins over what is given to from_pretrained, so the modules go into the config itself
    config.quantization_config = stored | keep_plain(AutoQuantizationConfig.from_dict(dict(stored)), empty, modules)
    kept = {key: arguments[key] for key in ("dtype", "quantization_config", REMOTE_CODE) if key in arguments}
    return {**rest, **kept, "config": config}
