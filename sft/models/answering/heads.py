"""The head of a model that gives one number for each label: what of it is new, and what it needs to run."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.models.answering.kinds import has_own_head
from sft.models.objective import Objective

if TYPE_CHECKING:
    from torch import nn

ATTRIBUTE = "sft_new_parts"
POOLER = ".pooler."
"""In names of weights between a body and its head, which checkpoints of other objectives lack."""


def new_head(config: Mapping[str, Any], objective: Objective, labels: Sequence[str], seed: int) -> dict[str, Any]:
    """What `from_pretrained` takes for a new head with one output for each of these labels, in this order.

    The generators of Python, numpy and torch are set to the seed, from which its weights are drawn.

    Args:
        config: `config.json` of the model.
        objective: how it will answer; nothing is taken where that needs no head, or the model has it.
        labels: gold values.
        seed: below 2**32.
    """
    if not objective.has_head or has_own_head(config, objective):
        return {}
    from transformers import set_seed

    set_seed(seed)
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: position for position, label in enumerate(labels)},
    }


def head_names(model: Any) -> list[str]:
    """The modules of a base model after its body, by name: its output layer, or the parts of its head.

    Of a head that was made anew, what was made with it counts as well, such as the pooler of an encoder.

    Raises:
        UserError: kind model: it has none.
    """
    head = model.get_output_embeddings()
    if head is not None:
        return [next(name for name, module in model.named_modules() if module is head)]
    body = model.base_model
    children: Sequence[tuple[str, nn.Module]] = [] if body is model else list(model.named_children())
    names = [name for name, part in children if part is not body and any(True for _ in part.parameters())]
    if not names:
        raise UserError(f"{type(model).__name__} has no output head that could be trained", kind="model")
    return [*names, *vars(model).get(ATTRIBUTE, ())]


def keep_plain(quantization: Any, model: Any, stored: Iterable[str] = ()) -> dict[str, list[str]]:
    """Have the modules of a new head left out when a model is quantised: they are yet to be trained.

    Args:
        quantization: what `from_pretrained` is given; a class that takes no such list is left as it is.
        model: of the same class, on no device.
        stored: names of modules whose weights are quantised already, a pooler perhaps among them.

    Returns:
        the options that were set.
    """
    poolers = [] if _poolers(stored) else _poolers(name for name, _ in model.named_modules())
    options = [
        option for option in ("llm_int8_skip_modules", "modules_to_not_convert") if hasattr(quantization, option)
    ]
    for option in options:
        names = [*(getattr(quantization, option) or ()), *head_names(model), *poolers]
        setattr(quantization, option, list(dict.fromkeys(names)))
    return {option: getattr(quantization, option) for option in options}


def _poolers(names: Iterable[str]) -> list[str]:
    return [name for name in names if f".{name}.".endswith(POOLER)]


def is_within(name: str, parts: Sequence[str]) -> bool:
    """Whether a module, by its name, is one of these or in one of them."""
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


def note_new_parts(model: Any, missing: Sequence[str]) -> list[str]:
    """Keep with a model which modules inside its body are new with its head; the weights that should not be.

    Args:
        model: as loaded, with a head.
        missing: names of the weights that no file holds.
    """
    body = f"{model.base_model_prefix}."
    inside = [name for name in missing if name.startswith(body)]
    new = [name for name in inside if POOLER in name]
    parts = {name[: name.index(POOLER) + len(POOLER) - 1] for name in new}
    vars(model)[ATTRIBUTE] = tuple(sorted(parts))
    return sorted(set(inside) - set(new))


def unused_by_head(model: Any, names: Sequence[str]) -> list[str]:
    """Those weights of files that a model with a head has no place for though it should: they are of its body.

    What other objectives put after the body, such as a head that predicts tokens, is left out rightly.

    Args:
        model: as loaded.
        names: of the weights that were not taken.
    """
    own = {name.partition(".")[0] for name, _ in model.base_model.named_children()}
    body = f"{model.base_model_prefix}."
    return [name for name in names if name.removeprefix(body).partition(".")[0] in own and not name.startswith("cls.")]


def say_padding(model: Any, tokenizer: Any) -> None:
    """Have a model whose head reads the last token of a row know padding, where its config does not say what that is.

    A row that ends in the same id would be read one token earlier, in whatever batch it runs.
    """
    config = model.config.get_text_config()
    if config.pad_token_id is None:
        padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        config.pad_token_id = model.config.pad_token_id = padding


def describe_head(model: Any, tokenizer: Any, problem_type: str | None) -> None:
    """Have the config of a model with a head say what other programs need to answer as it was measured.

    Args:
        model: its labels are in its config.
        tokenizer: of the model.
        problem_type: transformers' word for whether the labels exclude each other.
    """
    say_padding(model, tokenizer)
    model.config.problem_type = problem_type


def label_order(config: Any, labels: Sequence[str]) -> list[int]:
    """The output of the head for each of these labels.

    Args:
        config: of the model.
        labels: gold values; those of the head in some order.

    Raises:
        UserError: kind model: the head answers with others.
    """
    own: Mapping[int, str] = config.id2label
    places = {label: position for position, label in own.items()}
    if sorted(places) != sorted(labels):
        told = f"answers with {', '.join(places)}, not with {', '.join(labels)}"
        raise UserError(f"the head of the model {told}", kind="model")
    return [places[label] for label in labels]
