"""How the whole prompts of an experiment are made, as far as their lengths depend on it."""

from collections.abc import Iterator

from sft.config.experiment import ExperimentConfig
from sft.data.profile.prompts import CONTEXT, Prompts, PromptShape

TRAINING_LIMITS = ("max_length", "max_seq_length")


def prompts_of(config: ExperimentConfig, shape: PromptShape, n_labels: int) -> Prompts:
    """The prompts of an experiment at inference.

    Args:
        config: the experiment.
        shape: what its tokenizer says of them.
        n_labels: size of its label set; 0 in a generation, where a round has one example.
    """
    prompting = config.inference_prompting
    return Prompts(
        columns=tuple(prompting.input_columns),
        output_column=None if n_labels else prompting.output_column,
        kept=prompting.max_input_length,
        shape=shape,
        n_rounds=config.inference.icl_examples,
        n_examples=n_labels or 1,
        limits=tuple(_limits(config, shape)),
    )


def _limits(config: ExperimentConfig, shape: PromptShape) -> Iterator[tuple[str, int]]:
    """Dotted key and value of each limit; that of a training only where its prompts are those of inference."""
    if config.inference_prompting.is_conversation:  # its turns each have a frame of their own
        return
    if config.inference.max_seq_length is not None:
        yield "inference.max_seq_length", config.inference.max_seq_length
    elif shape.context is not None:
        yield CONTEXT, shape.context
    training = config.training if config.trains else None
    is_alike = training is not None and training.icl_examples == config.inference.icl_examples
    if training is None or not is_alike or config.inference.prompting.model_fields_set:
        return
    for key in TRAINING_LIMITS:
        if isinstance(at := training.trainer_args.get(key), int):
            yield f"training.trainer_args.{key}", at
