"""What the model will see: the very ids that training and scoring use, without running anything."""

from collections.abc import Sequence
from typing import Any

from sft.data.prompts import PromptBuilder
from sft.inference.limits import prompt_limit
from sft.models.loading import ModelSource, context_length, load_config
from sft.pipeline.experiment import Experiment
from sft.tasks.encoding import (
    PromptedRow,
    evaluated_rows,
    prompt_builder,
    smallest,
    tokenizer_of,
    training_rows,
)
from sft.tasks.inputs import Inputs, load_inputs
from sft.training.options import effective_trainer_args


def inspect_experiment(experiment: Experiment, rows: int) -> dict[str, Any]:
    """The first rows of each split as text and ids, and the ids of each label.

    Args:
        experiment: what to look at.
        rows: rows of each split.

    Returns:
        `{rows: [{split, index, text, prompt_ids, completion_ids, loss_mask, ...}], label_ids: {label: ids}}`;
        evaluated rows have the gold answer as completion, where the data has it.
    """
    config = experiment.config
    revisions = experiment.fingerprints.revisions
    inputs = load_inputs(config, experiment.folder, revisions.get("dataset"))
    tokenizer = tokenizer_of(config, experiment.folder, revisions.get("model"))
    context = _context(experiment)
    builder = prompt_builder(
        tokenizer, config, config.inference_prompting, inputs.labels, experiment.folder, revisions.get("chat_template")
    )
    shown = []
    if config.trains:
        train_builder = prompt_builder(
            tokenizer, config, config.prompting, inputs.labels, experiment.folder, revisions.get("chat_template")
        )
        shown += _training(inputs, train_builder, context, rows)
    limit = prompt_limit(inputs, builder, context)
    for split in inputs.evaluated():
        shown += _evaluated(inputs, builder, split, limit, rows)
    return {"rows": shown, "label_ids": _label_ids(inputs, builder)}


def _label_ids(inputs: Inputs, builder: PromptBuilder) -> dict[str, list[int]]:
    """The ids of each label with its stop's, by gold value, as predictions have it."""
    if inputs.labels is None:
        return {}
    pairs = zip(inputs.labels.values, builder.label_ids(inputs.labels.words), strict=True)
    return {value: [*label.answer_ids, *label.stop_ids] for value, label in pairs}


def _context(experiment: Experiment) -> int | None:
    model, revision = experiment.config.model, experiment.fingerprints.revisions.get("model")
    source = ModelSource(model.name, experiment.folder, revision, model_args=model.model_args)
    return context_length(load_config(source))


def _training(inputs: Inputs, builder: PromptBuilder, context: int | None, rows: int) -> list[dict[str, Any]]:
    config = inputs.config
    trainer_args = effective_trainer_args(
        config.training.trainer_args if config.training else {}, config.adapter_method
    )
    encoded = training_rows(inputs, builder, smallest(trainer_args.get("max_length"), context))
    return [_record("train", index, row, row.encoded.completion_ids) for index, row in enumerate(encoded[:rows])]


def _evaluated(
    inputs: Inputs, builder: PromptBuilder, split: str, limit: int | None, rows: int
) -> list[dict[str, Any]]:
    prompts = evaluated_rows(inputs, builder, split, limit)[:rows]
    if not inputs.has_gold(split):
        return [_record(split, index, row, ()) for index, row in enumerate(prompts)]
    answered = evaluated_rows(inputs, builder, split, None, with_answer=True)[:rows]
    pairs = zip(prompts, answered, strict=True)
    return [_record(split, index, row, gold.encoded.completion_ids) for index, (row, gold) in enumerate(pairs)]


def _record(split: str, index: int, row: PromptedRow, completion_ids: Sequence[int]) -> dict[str, Any]:
    encoded = row.encoded
    return {
        "split": split,
        "index": index,
        "source_index": row.row.source_index,
        "text": encoded.text,
        "prompt_ids": list(encoded.prompt_ids),
        "completion_ids": list(completion_ids),
        "loss_mask": [0] * len(encoded.prompt_ids) + [1] * len(completion_ids),
        "cut": vars(encoded.cut) if encoded.cut.any else None,
        "n_special": encoded.n_special,
    }
