"""Answers that are label scores of a head: one number for each label from one pass over a row's text."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sft.exceptions import StageFailure
from sft.inference.answering import Answered, Asked, BoundedByTokens
from sft.inference.label_scoring.answering import write_scores
from sft.inference.label_scoring.grouping import PassLimits
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts

if TYPE_CHECKING:
    import numpy as np


class HeadScoring(BoundedByTokens):
    """Log-probabilities of labels that exclude each other.

    Scores depend on how much runs at once by rounding alone, and are bounded by their tokens."""

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """A head writes nothing."""
        return 0

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Write `scores.npz`: the log-softmax over the labels as the answer's sum, one token each, and no stop.

        Raises:
            StageFailure: the model gives no numbers.
            UserError: its head answers with other labels.
        """
        import numpy as np

        labels = asked.inputs.labels
        if labels is None:
            raise ValueError("a head needs a label set")
        logits, slow_reason = _logits(asked, labels.values)
        found = self.logprobs(logits)
        wrong = np.isnan(found).reshape(len(found), -1).any(axis=1).sum()
        if wrong:
            raise StageFailure(f"the model gives no numbers (NaN) as label scores of {wrong} rows", kind="model")
        ones = np.ones(found.shape[-1], dtype=np.int64)
        write_scores(job.scores, asked.places, found, np.zeros_like(found), ones, np.zeros_like(ones))
        return Answered(job.scores, slow_reason)

    def logprobs(self, logits: "np.ndarray") -> "np.ndarray":
        """(rows, labels) natural logarithms of probabilities that sum to 1 over the labels."""
        import numpy as np

        shifted = logits - logits.max(axis=1, keepdims=True)
        found: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return found


class SetScoring(HeadScoring):
    """Log-probabilities of labels of which a row has any number."""

    def logprobs(self, logits: "np.ndarray") -> "np.ndarray":
        """(rows, labels, 2) natural logarithms of the probabilities that a label is there, and that it is not."""
        import numpy as np

        return np.stack([-np.logaddexp(0.0, -logits), -np.logaddexp(0.0, logits)], axis=-1)


ANSWERING = HeadScoring()
OF_SETS = SetScoring()


def _logits(asked: Asked, labels: Sequence[str]) -> "tuple[np.ndarray, str | None]":
    """(rows, labels) outputs of the head, whose last layer computes in fp32 whatever the model does, as fp64.

    And why rows of one length ran together alone; None where all did.
    """
    import numpy as np
    import torch

    from sft.inference.batches import padded_right
    from sft.inference.label_scoring.wide_head import head_in_full_precision
    from sft.inference.padding import padding_effect
    from sft.models.answering.heads import label_order, say_padding

    model, rows = asked.model, [prompt.prompt_ids for prompt in asked.prompts]
    say_padding(model, asked.maker.tokenizer)
    order = label_order(model.config, labels)
    padding = model.config.get_text_config().pad_token_id or 0
    slow_reason = padding_effect(model, rows, padding)
    found = np.zeros((len(rows), len(labels)))
    done = 0
    with torch.inference_mode(), head_in_full_precision(model, next(iter(rows), ())):
        for batch in batches([len(row) for row in rows], asked.limits, alike=slow_reason is not None):
            texts = padded_right([rows[place] for place in batch], padding, model.device)
            logits = model(input_ids=texts.input_ids, attention_mask=texts.attention_mask).logits
            found[batch] = logits.float()[:, order].cpu().numpy()
            done += len(batch)
            asked.progress(done, len(rows))
    return found, slow_reason


def batches(lengths: Sequence[int], limits: PassLimits, *, alike: bool = False) -> Iterator[list[int]]:
    """Places of rows that run together: the longest first, no more padded tokens or rows at once than the limits.

    Args:
        lengths: tokens of each row.
        limits: of one pass; a row above them runs alone.
        alike: whether only rows of one length run together.
    """
    order = sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))
    while order:
        fitting = max(1, limits.tokens // max(1, lengths[order[0]]))
        size = fitting if limits.rows is None else min(fitting, limits.rows)
        if alike:
            size = min(size, sum(lengths[place] == lengths[order[0]] for place in order[:size]))
        yield order[:size]
        order = order[size:]
