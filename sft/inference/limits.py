"""How long a prompt may be, so that its answer still fits the model's context."""

from sft.inference.answering import answering_of
from sft.tasks.encoding import smallest
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts


def prompt_limit(inputs: Inputs, prompts: StagePrompts, context: int | None) -> int | None:
    """The most tokens a prompt may have; None where nothing limits it.

    Args:
        inputs: the experiment.
        prompts: those of its inference.
        context: the model's context in tokens, None where it has none.
    """
    room = None if context is None else context - answering_of(inputs.config).answer_tokens(inputs, prompts)
    return smallest(inputs.config.inference.max_seq_length, room)
