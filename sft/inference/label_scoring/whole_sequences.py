"""The slow way that works with every model: each label after each prompt, as a sequence of its own."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from sft.inference.label_scoring.label_plan import Label


def score_whole_sequences(
    model: Any,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Label],
    rows: int,
    done: Callable[[int], None] = lambda _rows: None,
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, labels) sums over each label's and over its stop's ids.

    The padding stands on the right, where no token that counts sees it; virtual tokens of a prompt-learning adapter
    are the model's own affair.

    Args:
        model: a causal language model, wrapped by PEFT or not, in eval mode.
        prompts: token ids of the rendered prompts.
        labels: ids of each label and of its stop.
        rows: sequences per forward pass.
        done: called with the number of prompts that have all their scores.
    """
    scores = np.zeros((2, len(prompts), len(labels)))
    count = len(prompts) * len(labels)
    for start in range(0, count, rows):
        part = [divmod(number, len(labels)) for number in range(start, min(start + rows, count))]
        found = _token_logprobs(
            model, [[*prompts[row], *labels[column][0], *labels[column][1]] for row, column in part]
        )
        for (row, column), logprobs in zip(part, found, strict=True):
            answer, stop = labels[column]
            first, middle = len(prompts[row]) - 1, len(prompts[row]) - 1 + len(answer)
            scores[0, row, column] = logprobs[first:middle].sum()
            scores[1, row, column] = logprobs[middle : middle + len(stop)].sum()
        done((start + len(part)) // len(labels))
    return scores[0], scores[1]


def _token_logprobs(model: Any, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Of each sequence the log-probability of every token but the first, given those before it."""
    width = max(map(len, sequences))
    ids = torch.tensor([[*sequence, *[0] * (width - len(sequence))] for sequence in sequences], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in sequences], device=model.device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, -width:]
    found = []
    for row, sequence in enumerate(sequences):
        logprobs = torch.log_softmax(logits[row, : len(sequence) - 1].float(), dim=-1)
        found.append(logprobs.gather(-1, ids[row, 1 : len(sequence), None])[:, 0].double().cpu().numpy())
    return found
