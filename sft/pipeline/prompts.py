"""The prompts of an experiment as its stages build them, without running any."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sft.adapters.virtual_tokens import context_left, planned_virtual_tokens
from sft.inference.limits import prompt_limit
from sft.models.loading import ModelSource, context_length, load_config
from sft.objectives import objective_of
from sft.pipeline.experiment import Experiment
from sft.pipeline.needed_rows import differs_by_fold
from sft.runs.records import EVAL
from sft.tasks.encoding import evaluated_rows
from sft.tasks.inputs import Inputs, load_inputs
from sft.tasks.prompting import PromptedRow, PromptMaker, StagePrompts


@dataclass(frozen=True)
class ExperimentPrompts:
    """Rows and prompts of one experiment; each is read once, when it is first asked for."""

    experiment: Experiment

    @cached_property
    def inputs(self) -> Inputs:
        """The rows of the experiment; where prompts or weights differ by fold, those of the first fold."""
        config = self.experiment.config
        whole = load_inputs(config, self.experiment.folder, self._revisions)
        return whole.part(0) if whole.splits.folds and differs_by_fold(config, EVAL) else whole

    @cached_property
    def maker(self) -> PromptMaker:
        """What makes its prompts, as in the stages."""
        config, inputs = self.experiment.config, self.inputs
        reads = objective_of(config, inputs.task.objectives).reads
        return PromptMaker(config, self.experiment.folder, self._revisions, inputs.labels, reads)

    @property
    def inference(self) -> StagePrompts:
        """Its prompts at inference."""
        return self.maker.inference

    @cached_property
    def model_config(self) -> Any:
        """What transformers knows of the model without its weights."""
        model = self.experiment.config.model
        revision = self._revisions.get("model")
        return load_config(ModelSource(model.name, self.experiment.folder, revision, model_args=model.model_args))

    @property
    def context(self) -> int | None:
        """The model's context in tokens, less what an adapter of virtual tokens takes of it."""
        experiment = self.experiment
        virtual = planned_virtual_tokens(experiment.config, experiment.folder)
        return context_left(context_length(self.model_config), virtual)

    def evaluated(self, split: str) -> list[PromptedRow]:
        """The evaluated rows of a split, without their answers.

        Raises:
            DataError: a row is too long after all cuts.
        """
        limit = prompt_limit(self.inputs, self.inference, self.context)
        return evaluated_rows(self.inputs, self.maker, split, limit)

    @property
    def _revisions(self) -> Mapping[str, str]:
        return self.experiment.fingerprints.revisions
