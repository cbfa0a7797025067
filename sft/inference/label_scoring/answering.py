"""Answers that are label scores: how probable each label is after each prompt."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sft.exceptions import StageFailure
from sft.inference.answering import Answered, Asked, BoundedByTokens
from sft.runs.atomic import atomic_file
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sft.inference.label_scoring.scoring import LabelScores

    Scores = NDArray[np.float64]
    Counts = NDArray[np.int64]


class LabelScoring(BoundedByTokens):
    """Scores depend on how much runs at once by rounding alone, and are bounded by their tokens."""

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """Those of the longest label with its stop."""
        return max(len(label.answer_ids) + len(label.stop_ids) for label in prompts.labels)

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Write `scores.npz`.

        Raises:
            StageFailure: the model gives no numbers.
        """
        import numpy as np

        asked.maker.inference.builder.check_labels(asked.prompts, asked.maker.inference.labels)
        scores = self.scored(asked)
        wrong = np.isnan(scores.answer_logprobs + scores.stop_logprobs).any(axis=1).sum()
        if wrong:
            raise StageFailure(f"the model gives no numbers (NaN) as label scores of {wrong} rows", kind="model")
        write_scores(
            job.scores,
            asked.places,
            scores.answer_logprobs,
            scores.stop_logprobs,
            scores.answer_tokens,
            scores.stop_tokens,
        )
        return Answered(job.scores, scores.slow_reason)

    def scored(self, asked: Asked) -> "LabelScores":
        """The scores of all labels after all prompts."""
        from sft.inference.label_scoring.scoring import score_labels

        ids = [(label.answer_ids, label.stop_ids) for label in asked.maker.inference.labels]
        rows = [prompt.prompt_ids for prompt in asked.prompts]
        return score_labels(asked.model, rows, ids, asked.limits, asked.progress)


ANSWERING = LabelScoring()


def write_scores(
    path: Path,
    places: Sequence[tuple[str, int]],
    answer_logprobs: "Scores",
    stop_logprobs: "Scores",
    answer_tokens: "Counts",
    stop_tokens: "Counts",
) -> None:
    """Write the scores of rows as `sft.evaluation.normalization.SavedScores` reads them.

    Args:
        path: of the file.
        places: split and `source_index` of each row.
        answer_logprobs: (rows, labels), in nats, summed over the label's ids.
        stop_logprobs: (rows, labels), in nats, summed over the ids of its stop.
        answer_tokens: (labels,) how many ids the label has.
        stop_tokens: (labels,) how many ids its stop has.
    """
    import numpy as np

    splits, indices = zip(*places, strict=True)
    with atomic_file(path) as file:
        np.savez(
            file,
            splits=np.array(splits, dtype=np.str_),
            source_index=np.array(indices, dtype=np.int64),
            answer_logprobs=answer_logprobs,
            stop_logprobs=stop_logprobs,
            answer_tokens=answer_tokens,
            stop_tokens=stop_tokens,
        )
