"""How long a prompt may be, so that its answer still fits the model's context."""

from typing import Any

from sft.data.prompts import PromptBuilder
from sft.inference.options import effective_generation_args
from sft.tasks.encoding import smallest
from sft.tasks.inputs import Inputs


def prompt_limit(inputs: Inputs, builder: PromptBuilder, context: int | None) -> int | None:
    """The most tokens a prompt may have; None where nothing limits it.

    Args:
        inputs: the experiment.
        builder: of its prompts at inference.
        context: the model's context in tokens, None where it has none.
    """
    room = None if context is None else context - _answer_tokens(inputs, builder)
    return smallest(inputs.config.inference.max_seq_length, room)


def generation_args(inputs: Inputs) -> dict[str, Any]:
    """The arguments of generation in force."""
    config = inputs.config
    return effective_generation_args(config.inference.generation_args, config.inference_prompting.max_output_length)


def _answer_tokens(inputs: Inputs, builder: PromptBuilder) -> int:
    if inputs.labels is not None and inputs.task.output == "label_scores":
        return max(len(label.answer_ids) + len(label.stop_ids) for label in builder.label_ids(inputs.labels.words))
    return int(generation_args(inputs)["max_new_tokens"])
