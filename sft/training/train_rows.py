"""Prompted rows as the model of an objective is trained on them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sft.models.answering.decoders import require_places
from sft.models.answering.heads import label_order
from sft.models.objective import Objective
from sft.prompts.train_row import HeadRow, SourceRow, TrainRow
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import PromptedRow, PromptMaker

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def train_rows(
    inputs: Inputs,
    objective: Objective,
    maker: PromptMaker,
    model: "PreTrainedModel",
    rows: Sequence[PromptedRow],
    weights: Sequence[float] | None = None,
) -> list[TrainRow]:
    """The rows in the form that the objective's loss takes.

    Args:
        inputs: the experiment.
        objective: how its model answers.
        maker: made its prompts.
        model: that will be trained.
        rows: with their answers.
        weights: of each row's loss; None: all weigh alike.

    Raises:
        UserError: an answer is longer than the model's decoder takes.
    """
    weighed = list(zip(rows, weights or [1.0] * len(rows), strict=True))
    if objective.reads == "source":
        opening = maker.training.decoder_opening(model.config)
        for row in rows:
            written = f"the output of row {row.row.source_index}, cut by prompting.max_output_length or not, has"
            require_places(model.config, len(opening), len(row.encoded.completion_ids), written)
        return [SourceRow.written(row.encoded, opening, weight) for row, weight in weighed]
    if not objective.has_head:
        return [TrainRow.of(row.encoded, weight) for row, weight in weighed]
    column, labels = inputs.config.prompting.output_column, inputs.labels
    if labels is None:
        raise ValueError("a head needs a label set")
    places, target = label_order(model.config, labels.values), inputs.task.head_target
    of_outputs = [label for _, label in sorted(zip(places, labels.values, strict=True))]
    judges_each = inputs.task.has_label_sets
    return [
        HeadRow(row.encoded.prompt_ids, target(row.row.text(column), of_outputs), weight, judges_each)
        for row, weight in weighed
    ]
