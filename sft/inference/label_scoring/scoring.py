"""Log-probability of every label after every prompt, exact whatever the batch, the padding or the chunks.

The score of a label is the sum of log p(token) over its ids and the ids of its stop, given the rendered prompt,
with the softmax over the whole vocabulary in fp32. Each prompt runs once; the labels run on its cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sft.inference.batches import length_sorted, pad_left
from sft.inference.label_scoring.cached_model import CachedModel, Prefill

Label = tuple[Sequence[int], Sequence[int]]
"""Ids of a label and ids of the stop that follows it."""

CHUNK_BYTES = 2**31
"""How much memory the caches and logits of the labels that run together may take, estimated; one label always runs."""


@dataclass(frozen=True)
class LabelScores:
    """What the model says of each label after each prompt, in nats.

    Attributes:
        answer_logprobs: (rows, labels) float64, summed over the label's ids.
        stop_logprobs: (rows, labels) float64, summed over the stop's ids.
        answer_tokens: (labels,) how many ids each label has.
        stop_tokens: (labels,) how many ids its stop has.
    """

    answer_logprobs: np.ndarray
    stop_logprobs: np.ndarray
    answer_tokens: np.ndarray
    stop_tokens: np.ndarray


def score_labels(
    model: Any,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[Label],
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> LabelScores:
    """Scores all labels after all prompts.

    Args:
        model: a causal language model, wrapped by PEFT or not; it is put in eval mode and runs where it is.
        prompts: token ids of the rendered prompts, none empty; prompt and longest label fit in the context.
        labels: ids of each label and of its stop; one of the two may be empty.
        batch_size: prompts per forward pass.
        progress: called after each batch with the rows done and all rows.
        chunk_bytes: bound for the memory of labels that run together; any value gives the same scores.

    Raises:
        UserError: the model cannot score labels (no cache, or a prompt-learning adapter).
    """
    model.eval()
    cached = CachedModel(model)
    batches = length_sorted([len(prompt) for prompt in prompts], batch_size)
    scores = np.zeros((2, len(prompts), len(labels)))
    done = 0
    with torch.inference_mode():
        for rows in batches:
            prefill = cached.prefill(pad_left([prompts[row] for row in rows], pad_id=0, device=cached.device))
            for columns, answer, stop in _scored_chunks(cached, prefill, labels, chunk_bytes):
                scores[0, rows, columns] = answer
                scores[1, rows, columns] = stop
            done += len(rows)
            if progress is not None:
                progress(done, len(prompts))
    counts = np.array([[len(part) for part in label] for label in labels], dtype=np.int64).reshape(len(labels), 2)
    return LabelScores(scores[0], scores[1], counts[:, 0], counts[:, 1])


def _scored_chunks(
    model: CachedModel, prefill: Prefill, labels: Sequence[Label], chunk_bytes: int
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Columns of the labels that ran together, with their (rows, columns) sums over answer and stop."""
    first = torch.log_softmax(prefill.last_logits, dim=-1, dtype=torch.float32)
    size = _labels_per_chunk(prefill, max(len(answer) + len(stop) for answer, stop in labels), chunk_bytes)
    for start in range(0, len(labels), size):
        columns = slice(start, min(start + size, len(labels)))
        chunk = _LabelChunk.of(labels[columns], model.device)
        tokens = _token_logprobs(model, prefill, first, chunk, last_use=columns.stop == len(labels)).double()
        answer = (tokens * chunk.is_answer).sum(dim=-1)
        stop = (tokens * chunk.is_stop).sum(dim=-1)
        yield columns, answer.cpu().numpy(), stop.cpu().numpy()


def _labels_per_chunk(prefill: Prefill, longest: int, chunk_bytes: int) -> int:
    rows, vocabulary = prefill.last_logits.shape
    logits = rows * longest * vocabulary * (prefill.last_logits.element_size() + 4)
    return max(1, chunk_bytes // (2 * prefill.cache_bytes + logits))


@dataclass(frozen=True)
class _LabelChunk:
    """Labels padded on the right; all tensors are (labels, tokens of the longest)."""

    ids: torch.Tensor
    is_answer: torch.Tensor
    is_stop: torch.Tensor

    @staticmethod
    def of(labels: Sequence[Label], device: torch.device) -> "_LabelChunk":
        width = max(1, *(len(answer) + len(stop) for answer, stop in labels))
        parts = [[*[1] * len(answer), *[2] * len(stop)] for answer, stop in labels]
        ids = [[*answer, *stop] for answer, stop in labels]
        part = torch.tensor([row + [0] * (width - len(row)) for row in parts], device=device)
        padded = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=device)
        return _LabelChunk(padded, part == 1, part == 2)

    @property
    def is_token(self) -> torch.Tensor:
        return self.is_answer | self.is_stop


def _token_logprobs(
    model: CachedModel, prefill: Prefill, first: torch.Tensor, chunk: _LabelChunk, *, last_use: bool
) -> torch.Tensor:
    """(rows, labels, tokens) log-probability of every token of every label; padding has some finite number."""
    head = first[:, chunk.ids[:, 0]].unsqueeze(-1)
    if chunk.ids.shape[1] == 1:
        return head
    logits = _label_logits(model, prefill, chunk, last_use=last_use)
    rows, labels = head.shape[:2]
    targets = chunk.ids[:, 1:].repeat(rows, 1).unsqueeze(-1)
    tail = torch.log_softmax(logits, dim=-1, dtype=torch.float32).gather(-1, targets)
    return torch.cat([head, tail.view(rows, labels, -1)], dim=-1)


def _label_logits(model: CachedModel, prefill: Prefill, chunk: _LabelChunk, *, last_use: bool) -> torch.Tensor:
    """(rows x labels, tokens - 1, vocabulary): each label after each prompt, its last token left out as input."""
    rows, labels = len(prefill.batch.input_ids), len(chunk.ids)
    inputs = chunk.ids[:, :-1].repeat(rows, 1)
    fed = chunk.is_token[:, 1:].long()
    offsets = torch.arange(inputs.shape[1], device=inputs.device)
    positions = prefill.batch.lengths.repeat_interleave(labels).unsqueeze(1) + offsets
    before = prefill.batch.attention_mask.repeat_interleave(labels, dim=0)
    mask = torch.cat([before, fed.repeat(rows, 1)], dim=1)
    return model.extend(prefill.repeated_cache(labels, last_use), inputs, mask, positions)
