"""The prompts of an experiment as its stages build them, without running any."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sft.data.prompts import LabelIds, PromptBuilder
from sft.inference.limits import prompt_limit
from sft.models.loading import ModelSource, context_length, load_config
from sft.pipeline.experiment import Experiment
from sft.tasks.encoding import PromptedRow, evaluated_rows, prompt_builder, tokenizer_of
from sft.tasks.inputs import Inputs, load_inputs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ExperimentPrompts:
    """Rows, tokenizer and prompt builders of one experiment; each is read once, when it is first asked for."""

    experiment: Experiment

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
    def training_builder(self) -> PromptBuilder:
        """Of the prompts in training."""
        return self._builder(at_inference=False)

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

    def evaluated(self, split: str) -> list[PromptedRow]:
        """The evaluated rows of a split, without their answers.

        Raises:
            DataError: a row is too long after all cuts.
        """
        return evaluated_rows(self.inputs, self.builder, split, prompt_limit(self.inputs, self.builder, self.context))

    @property
    def _revisions(self) -> Mapping[str, str]:
        return self.experiment.fingerprints.revisions

    def _builder(self, *, at_inference: bool) -> PromptBuilder:
        config = self.experiment.config
        prompting = config.inference_prompting if at_inference else config.prompting
        template = self._revisions.get("chat_template")
        return prompt_builder(self.tokenizer, config, prompting, self.inputs.labels, self.experiment.folder, template)
