"""What the model will see: the very ids that training and scoring use, without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sft.data.prompts import Encoded, LabelIds, PromptBuilder
from sft.inference.label_scoring.cost import TokenCost, generation_cost, scoring_cost
from sft.inference.label_scoring.grouping import WORTH_SHARING
from sft.inference.limits import prompt_limit
from sft.inference.memory import Sizes, batch_limits
from sft.models.loading import ModelSource, context_length, load_config
from sft.models.token_text import completion_segments, prompt_segments
from sft.pipeline.experiment import Experiment
from sft.pipeline.inspected_labels import label_ids_by_value, label_nodes
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

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def inspect_experiment(experiment: Experiment, rows: int) -> dict[str, Any]:
    """The first rows of each split as text and ids, the labels as tokens, and what the evaluated rows cost.

    All evaluated rows are encoded for the cost, however few are shown.

    Args:
        experiment: what to look at.
        rows: rows of each split.

    Returns:
        `{rows: [{split, index, text, prompt_ids, completion_ids, loss_mask, ...}], label_ids: {label: ids},
        label_trie: [{id, text, parent, ...}], cost: {naive, shared, ...}}`; evaluated rows have the gold answer as
        completion, where the data has it.

    Raises:
        UserError: the ids of a label depend on the row.
        DataError: rows are too long after all cuts.
    """
    return _Inspection(experiment, rows).record()


@dataclass(frozen=True)
class _Inspection:
    """One look at an experiment."""

    experiment: Experiment
    rows: int

    def record(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        shown = self._training() if self.inputs.config.trains else []
        limit = prompt_limit(self.inputs, self.builder, self.context)
        prompts: list[Encoded] = []
        for split in self.inputs.evaluated():
            encoded = evaluated_rows(self.inputs, self.builder, split, limit)
            prompts += [row.encoded for row in encoded]
            shown += self._evaluated(split, encoded[: self.rows])
        values = self.inputs.labels.values if self.inputs.labels else ()
        return {
            "rows": shown,
            "label_ids": label_ids_by_value(values, self.labels),
            "label_trie": label_nodes(values, self.labels, self.tokenizer),
            "cost": asdict(self._cost(prompts)),
        }

    @cached_property
    def inputs(self) -> Inputs:
        """The rows of the experiment."""
        return load_inputs(self.experiment.config, self.experiment.folder, self._revisions)

    @cached_property
    def tokenizer(self) -> "PreTrainedTokenizerBase":
        """The model's."""
        return tokenizer_of(self.experiment.config, self.experiment.folder, self._revisions.get("model"))

    @cached_property
    def builder(self) -> PromptBuilder:
        """Of the prompts at inference."""
        return self._builder(at_inference=True)

    @cached_property
    def labels(self) -> list[LabelIds]:
        """The labels as they are scored; none in generation."""
        return self.builder.label_ids(self.inputs.labels.words) if self.inputs.labels else []

    @cached_property
    def model_config(self) -> Any:
        """What transformers knows of the model without its weights."""
        model = self.experiment.config.model
        revision = self._revisions.get("model")
        return load_config(ModelSource(model.name, self.experiment.folder, revision, model_args=model.model_args))

    @property
    def context(self) -> int | None:
        """The model's context in tokens."""
        return context_length(self.model_config)

    @property
    def _revisions(self) -> Mapping[str, str]:
        return self.experiment.fingerprints.revisions

    def _builder(self, *, at_inference: bool) -> PromptBuilder:
        config = self.experiment.config
        prompting = config.inference_prompting if at_inference else config.prompting
        template = self._revisions.get("chat_template")
        return prompt_builder(self.tokenizer, config, prompting, self.inputs.labels, self.experiment.folder, template)

    def _training(self) -> list[dict[str, Any]]:
        config = self.inputs.config
        written = config.training.trainer_args if config.training else {}
        longest = smallest(effective_trainer_args(written, config.adapter_method).get("max_length"), self.context)
        builder = self._builder(at_inference=False)
        encoded = training_rows(self.inputs, builder, longest)[: self.rows]
        return [self._record("train", index, row, row.encoded) for index, row in enumerate(encoded)]

    def _evaluated(self, split: str, prompts: Sequence[PromptedRow]) -> list[dict[str, Any]]:
        if not self.inputs.has_gold(split):
            return [self._record(split, index, row, row.encoded) for index, row in enumerate(prompts)]
        selection = self.inputs.selection
        dev = None if selection.dev is None else selection.dev[: self.rows]
        few = replace(self.inputs, selection=replace(selection, dev=dev, test=selection.test[: self.rows]))
        answered = evaluated_rows(few, self.builder, split, None, with_answer=True)
        pairs = zip(prompts, answered, strict=True)
        return [self._record(split, index, row, gold.encoded) for index, (row, gold) in enumerate(pairs)]

    def _record(self, split: str, index: int, row: PromptedRow, answered: Encoded) -> dict[str, Any]:
        encoded = row.encoded
        completion = completion_segments(self.tokenizer, answered.answer_ids, answered.stop_ids)
        own = "".join(segment.text for segment in completion) if encoded.answer_ids else ""
        control_ids = self.builder.control_ids
        prompt = prompt_segments(self.tokenizer, encoded.prompt_ids, control_ids, encoded.text.removesuffix(own))
        return {
            "split": split,
            "index": index,
            "source_index": row.row.source_index,
            "text": encoded.text,
            "prompt_ids": list(encoded.prompt_ids),
            "completion_ids": list(answered.completion_ids),
            "loss_mask": [0] * len(encoded.prompt_ids) + [1] * len(answered.completion_ids),
            "segments": [segment._asdict() for segment in (*prompt, *completion)],
            "cut": vars(encoded.cut) if encoded.cut.any else None,
            "n_special": encoded.n_special,
        }

    def _cost(self, prompts: Sequence[Encoded]) -> TokenCost:
        """What the evaluated rows cost, in passes of the size that a CPU takes."""
        ids = [prompt.prompt_ids for prompt in prompts]
        if self.inputs.task.output != "label_scores":
            return generation_cost(ids, WORTH_SHARING)
        for prompt in prompts:
            self.builder.check_labels(prompt, self.labels)
        limits = batch_limits(self.inputs.config, 0, Sizes.of(self.model_config.get_text_config()), "cpu", None)
        if limits is None:
            raise ValueError("an inference can always run as configured")
        labels = [(label.answer_ids, label.stop_ids) for label in self.labels]
        return scoring_cost(ids, labels, limits)
