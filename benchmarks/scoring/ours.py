"""Our side: the demo model in this process, with the limits of a pass that an infer stage would choose."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.commands import DEMO
from benchmarks.scoring.cases import MODEL, Prompts
from sft.config.experiment import ExperimentConfig
from sft.inference.label_scoring.scoring import score_labels
from sft.inference.memory import Sizes, batch_limits
from sft.models.loading import ModelSource, load_model
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.processes.environment import device_memory_bytes

WARM_UP_TWEETS, WARM_UP_LABELS = 2, 4


@dataclass(frozen=True)
class Scored:
    """What a side found.

    Attributes:
        seconds: of the scoring alone.
        scores: (tweets, labels) log-probability of each label without its stop.
    """

    seconds: float
    scores: np.ndarray


class OurSide:
    """Scores as the product does."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._model = load_model(ModelSource(name=str(MODEL), folder=DEMO, model_args={"dtype": "float32"}), CAUSAL_LM)
        limits = batch_limits(_config(), 0, Sizes.of(self._model.config), "cpu", device_memory_bytes("cpu"))
        if limits is None:
            raise RuntimeError("the first memory step has no limits")
        self._limits = limits

    def score(self, prompts: Prompts) -> Scored:
        """All labels, each with its stop, after all prompts."""
        started = time.perf_counter()
        found = score_labels(self._model, prompts.ids, prompts.label_ids, self._limits)
        seconds = time.perf_counter() - started
        if found.slow_reason is not None:
            raise RuntimeError(f"the slow path was taken: {found.slow_reason}")
        return Scored(seconds, found.answer_logprobs)

    def warm_up(self, prompts: Prompts) -> None:
        """Run a little of a case, so that what happens only once is not in its time."""
        self.score(prompts.first(WARM_UP_TWEETS).first_labels(WARM_UP_LABELS))


def _config() -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "dataset": {"path": "tweets", "task_type": "classification", "shots": 0},
            "model": {"name": str(MODEL)},
            "prompting": {"input_columns": ["text"], "output_column": "label"},
        }
    )
