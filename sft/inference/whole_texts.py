"""Answers that are log-probabilities of whole texts: how probable the model finds each row, token by token."""

from typing import TYPE_CHECKING

from sft.exceptions import StageFailure
from sft.inference.answering import Answered, Asked, BoundedByTokens
from sft.inference.heads import batches
from sft.prompts.train_row import IGNORED, TrainRow
from sft.runs.atomic import atomic_file
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts

if TYPE_CHECKING:
    import numpy as np


class WholeTexts(BoundedByTokens):
    """Sums depend on how much runs at once by rounding alone, and are bounded by their tokens."""

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """Nothing is written."""
        return 0

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Write `scores.npz`: of each row the sum of its tokens' log-probabilities, in nats, and how many they are.

        Raises:
            StageFailure: the model gives no numbers.
        """
        import numpy as np

        found = token_sums(asked)
        wrong = np.isnan(found).any(axis=1).sum()
        if wrong:
            raise StageFailure(f"the model gives no numbers (NaN) as log-probabilities of {wrong} rows", kind="model")
        splits, indices = zip(*asked.places, strict=True)
        with atomic_file(job.scores) as file:
            np.savez(
                file,
                splits=np.array(splits, dtype=np.str_),
                source_index=np.array(indices, dtype=np.int64),
                token_logprobs=found[:, 0],
                tokens=found[:, 1].astype(np.int64),
            )
        return Answered(job.scores)


ANSWERING = WholeTexts()


def token_sums(asked: Asked) -> "np.ndarray":
    """(rows, 2) of each row the sum of log p(token) over its tokens, full softmax in fp32, and their number."""
    import numpy as np
    import torch

    from sft.inference.batches import padded_right
    from sft.inference.label_scoring.wide_head import head_in_full_precision

    model, rows = asked.model, [TrainRow.of(prompt) for prompt in asked.prompts]
    found = np.zeros((len(rows), 2))
    done = 0
    with torch.inference_mode(), head_in_full_precision(model, rows[0].input_ids if rows else ()):
        for batch in batches([len(row.input_ids) for row in rows], asked.limits):
            texts = padded_right([rows[place].input_ids for place in batch], 0, model.device)
            labels = padded_right([rows[place].labels for place in batch], IGNORED, model.device).input_ids
            width, wanted = labels.shape[1], labels[:, 1:]
            logits = model(input_ids=texts.input_ids, attention_mask=texts.attention_mask).logits
            # With tokens as rows: along another dimension a CPU adds up the terms of a softmax one by one in fp32, and
            # 50,000 of them are off by 1e-4.
            losses = torch.nn.functional.cross_entropy(
                logits[:, -width:-1].float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="none"
            ).view(wanted.shape)
            found[batch, 0] = -losses.double().sum(dim=1).cpu().numpy()
            found[batch, 1] = (wanted != IGNORED).sum(dim=1).cpu().numpy()
            done += len(batch)
            asked.progress(done, len(rows))
    return found
