"""The rows of a stage as token ids, with their in-context examples."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sft.config.experiment import ExperimentConfig
from sft.data.in_context import Round
from sft.data.rows import Row
from sft.labels.label_set import LabelSet
from sft.models.loading import SEED_LIMIT, ModelSource
from sft.tasks.examples import InferenceExamples, TrainingExamples
from sft.tasks.inputs import Inputs, task_of
from sft.tasks.prompting import Limit, PromptedRow, PromptMaker


def model_source(
    config: ExperimentConfig, folder: Path, revision: str | None, labels: LabelSet | None = None
) -> ModelSource:
    """Which base model an experiment loads, and how; of one with a head, the gold values that it answers with."""
    model = config.model
    return ModelSource(
        name=model.name,
        folder=folder,
        revision=revision,
        quantization=model.quantization,
        model_args=model.model_args,
        labels=() if labels is None else labels.values,
        head_seed=config.seed_of("init") % SEED_LIMIT,
    )


def training_rows(
    inputs: Inputs, maker: PromptMaker, limit: int | None, *, fits_labels: bool = False
) -> list[PromptedRow]:
    """The shots with their answers; each has examples of its own, never the row itself.

    A row that is asked about no label, as one without any where `dataset.negatives` is 0, has nothing to train on.

    Args:
        inputs: the experiment's rows.
        maker: makes its prompts.
        limit: tokens of prompt and completion together.
        fits_labels: whether the prompt leaves room for every label in place of the right one.

    Raises:
        DataError: a row is too long after all cuts, or has nothing to train on.
    """
    examples = TrainingExamples(inputs, leave_one_out=True)

    def rounds_of(row: Row) -> tuple[Round, ...]:
        return examples.of("train", row, exclude=row.source_index)

    limits = _limits(maker, limit) if fits_labels else limit
    prompts, rows = maker.training, inputs.selection.shots
    if inputs.task.questions is not None:
        places_of = _trained(inputs)
        prompts, rows = prompts.about(places_of), [row for row in rows if places_of(row)]
    return _single(prompts.rows("train", rows, rounds_of, limits, with_answer=True))


def validation_rows(
    inputs: Inputs, maker: PromptMaker, limit: int | None, *, fits_labels: bool = False
) -> list[PromptedRow]:
    """The dev rows with their answers, prompted as the training rows are: for an evaluation during training.

    Nothing of `inference` has a part in them, so that one training serves every variant of it.

    Raises:
        DataError: a row is too long after all cuts.
    """
    examples = TrainingExamples(inputs, leave_one_out=False)
    rows = inputs.evaluated().get("dev", ())
    limits = _limits(maker, limit) if fits_labels else limit
    return _single(maker.training.rows("dev", rows, partial(examples.of, "dev"), limits, with_answer=True))


def _trained(inputs: Inputs) -> Callable[[Row], Sequence[int]]:
    """The labels that a training row is asked about."""
    questions, labels, config = inputs.task.questions, inputs.labels, inputs.config
    if questions is None or labels is None:
        raise ValueError("rows that are asked about labels need a label set")
    column, negatives, seed = config.prompting.output_column, config.dataset.negatives, config.seed_of("shots")
    return lambda row: questions.trained(row, column, labels, negatives, seed)


def _single(rows: Sequence[PromptedRow]) -> list[PromptedRow]:
    """Rows of one prompt each: those that are asked about several labels once for each."""
    return [
        replace(row, encoded=encoded, questions=()) for row in rows for encoded in (row.questions or (row.encoded,))
    ]


def evaluated_rows(
    inputs: Inputs, maker: PromptMaker, split: str, limit: int | None, with_answer: bool = False
) -> list[PromptedRow]:
    """The evaluated rows of a split as prompts.

    Args:
        inputs: the experiment's rows.
        maker: makes its prompts.
        split: `dev` or `test`.
        limit: tokens of the prompt (with the answer, where it is asked for).
        with_answer: whether the gold answer is the completion, as `inspect` needs it.

    Raises:
        DataError: a row is too long after all cuts.
    """
    examples = InferenceExamples(inputs)
    rows = inputs.evaluated()[split]
    return maker.inference.rows(split, rows, partial(examples.of, split), limit, with_answer=with_answer)


def _limits(maker: PromptMaker, limit: int | None) -> Limit:
    """The limit of each row with its own answer, so that its prompt with the longest label is within `limit`."""
    if limit is None:
        return None
    sizes = {label.word: len(label.answer_ids) + len(label.stop_ids) for label in maker.training.labels}
    longest, column = max(sizes.values()), maker.config.prompting.output_column
    task = task_of(maker.config)
    return lambda row: limit - longest + sizes[task.answer(row, column, maker.labels)]


def smallest(*limits: int | None) -> int | None:
    """The smallest of the limits that there are."""
    return min((limit for limit in limits if limit is not None), default=None)
