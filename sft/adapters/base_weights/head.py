"""The output head of a model: where it is, and that it has weights of its own."""

from typing import Any

from torch import nn

from sft.adapters.base_weights.parts import Part, require_plain, weights_of
from sft.models.answering.heads import head_names

TIED = "tie_word_embeddings"


def untied_head(model: Any) -> list[Part]:
    """The output head of a base model; what shares its weights with another layer gets a copy of its own.

    The model's config then says so, and a model saved with it is read back as it is.

    Raises:
        UserError: kind model: it has no head.
    """
    parts = [Part(name, model.get_submodule(name)) for name in head_names(model)]
    for part in parts:
        shared = [
            name
            for name, weight in part.module.named_parameters(recurse=False)
            if sum(weight is other for _, other in model.named_parameters(remove_duplicate=False)) > 1
        ]
        for name in shared:
            weight = getattr(part.module, name)
            setattr(part.module, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
    say_own_head(model)
    return parts


def train_head(model: Any, method: str) -> None:
    """Have the output head of a model require gradients, with weights of its own.

    Args:
        model: with the parts of a method beside the base's own; they are left as they are.
        method: name of that method, for messages.

    Raises:
        UserError: kind model: there is no head, or its weights are no plain numbers.
    """
    parts = untied_head(model)
    require_plain(method, parts)
    for weight in weights_of(parts):
        weight.requires_grad_(True)


def say_own_head(model: Any) -> None:
    """Have the config of a base model whose head no longer shares the weights of the input embedding say so."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    configs = [config for config in (model.config, model.config.get_text_config()) if getattr(config, TIED, False)]
    if not configs or head is None or head.weight is embedding.weight:
        return
    for config in configs:
        setattr(config, TIED, False)
    # what transformers takes for one tensor when it moves or saves a model
    model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=True)
