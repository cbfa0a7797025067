"""Answers about each label of a row: how probable yes and no are after a question about it.

The questions of a row begin alike, with its input, and what prompts begin with alike runs once.
"""

from sft.exceptions import StageFailure
from sft.inference.answering import Answered, Asked
from sft.inference.label_scoring.answering import LabelScoring, write_scores
from sft.runs.files import JobFolder


class QuestionScoring(LabelScoring):
    """As label scoring, of the answers to a question about each label."""

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Write `scores.npz` with (rows, labels, 2) log-probabilities of yes and no.

        Raises:
            StageFailure: the model gives no numbers.
        """
        import numpy as np

        from sft.inference.label_scoring.scoring import score_labels

        words = asked.maker.inference.labels
        rows = [row for found in asked.rows.values() for row in found]
        prompts = [question for row in rows for question in row.questions]
        asked.maker.inference.builder.check_labels(prompts, words)
        ids = [(word.answer_ids, word.stop_ids) for word in words]
        scores = score_labels(
            asked.model, [prompt.prompt_ids for prompt in prompts], ids, asked.limits, asked.progress
        )
        shape = (len(rows), -1, len(words))
        answers, stops = scores.answer_logprobs.reshape(shape), scores.stop_logprobs.reshape(shape)
        wrong = np.isnan(answers + stops).any(axis=(1, 2)).sum()
        if wrong:
            raise StageFailure(f"the model gives no numbers (NaN) as answers about {wrong} rows", kind="model")
        write_scores(job.scores, asked.places, answers, stops, scores.answer_tokens, scores.stop_tokens)
        return Answered(job.scores, scores.slow_reason)


ANSWERING = QuestionScoring()
