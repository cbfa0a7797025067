"""Answers that are label scores: how probable each label is after each prompt."""

from pathlib import Path
from typing import TYPE_CHECKING

from sft.config.experiment import ExperimentConfig
from sft.exceptions import StageFailure
from sft.inference.answering import MOST_STEPS, Answered, Asked
from sft.runs.atomic import atomic_file
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts

if TYPE_CHECKING:
    from sft.inference.label_scoring.scoring import LabelScores


class LabelScoring:
    """Scores depend on how much runs at once by rounding alone, and are bounded by their tokens."""

    def has_step(self, config: ExperimentConfig, step: int) -> bool:
        """Whatever batch size is written."""
        return step <= MOST_STEPS

    def rows_at_once(self, config: ExperimentConfig, step: int, device: str) -> int | None:
        """What is written, halved by each step; no limit where nothing is."""
        written = config.inference.batch_size
        return None if written is None else max(1, written >> step)

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """Those of the longest label with its stop."""
        return max(len(label.answer_ids) + len(label.stop_ids) for label in prompts.labels)

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Write `scores.npz`.

        Raises:
            StageFailure: the model gives no numbers.
        """
        import numpy as np

        from sft.inference.label_scoring.scoring import score_labels

        labels, prompts = asked.maker.inference.labels, asked.prompts
        asked.maker.inference.builder.check_labels(prompts, labels)
        ids = [(label.answer_ids, label.stop_ids) for label in labels]
        scores = score_labels(
            asked.model, [prompt.prompt_ids for prompt in prompts], ids, asked.limits, asked.progress
        )
        wrong = np.isnan(scores.answer_logprobs + scores.stop_logprobs).any(axis=1).sum()
        if wrong:
            raise StageFailure(f"the model gives no numbers (NaN) as label scores of {wrong} rows", kind="model")
        _write(job.scores, asked, scores)
        return Answered(job.scores, scores.slow_reason)


ANSWERING = LabelScoring()


def _write(path: Path, asked: Asked, scores: "LabelScores") -> None:
    import numpy as np

    splits, indices = zip(*asked.places, strict=True)
    with atomic_file(path) as file:
        np.savez(
            file,
            splits=np.array(splits, dtype=np.str_),
            source_index=np.array(indices, dtype=np.int64),
            answer_logprobs=scores.answer_logprobs,
            stop_logprobs=scores.stop_logprobs,
            answer_tokens=scores.answer_tokens,
            stop_tokens=scores.stop_tokens,
        )
