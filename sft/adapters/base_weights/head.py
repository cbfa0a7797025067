"""The output head of a model: where it is, and that it has weights of its own."""

from typing import Any

from torch import nn

from sft.exceptions import UserError

TIED = "tie_word_embeddings"


def head_name(model: Any) -> str:
    """The name of the output head among the modules of a base model.

    Raises:
        UserError: kind model: it has none.
    """
    head = model.get_output_embeddings()
    name: str | None = next((name for name, module in model.named_modules() if module is head), None)
    if name is None:
        raise UserError(f"{type(model).__name__} has no output head that could be trained", kind="model")
    return name


def untied_head(model: Any) -> Any:
    """The output head of a base model; one that shares its weights with another layer gets a copy of its own.

    The model's config then says so, and a model saved with it is read back as it is.

    Raises:
        UserError: kind model: it has no head.
    """
    head = model.get_submodule(head_name(model))
    shared = [
        name
        for name, weight in head.named_parameters(recurse=False)
        if sum(weight is other for _, other in model.named_parameters(remove_duplicate=False)) > 1
    ]
    for name in shared:
        weight = getattr(head, name)
        setattr(head, name, nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad))
    if shared:
        say_untied(model)
    return head


def say_untied(model: Any) -> None:
    """Have a model's config say that its head does not share the weights of the input embedding."""
    for config in (model.config, model.config.get_text_config()):
        if getattr(config, TIED, False):
            setattr(config, TIED, False)
    if hasattr(
        model, "all_tied_weights_keys"
    ):  # what transformers takes for one tensor when it moves or saves a model
        model.all_tied_weights_keys = model.get_expanded_tied_weights_keys(all_submodels=True)
