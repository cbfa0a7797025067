"""Log-probabilities of labels in a decoder, over an encoder's states that are computed once for each row."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from sft.inference.batches import padded_right
from sft.inference.heads import batches
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.label_plan import Label
from sft.inference.label_scoring.scoring import LabelScores
from sft.inference.label_scoring.wide_head import head_in_full_precision
from sft.models.attention.masks import base_of


def score_labels(
    model: Any,
    rows: Sequence[Sequence[int]],
    opening: Sequence[int],
    labels: Sequence[Label],
    limits: PassLimits,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> LabelScores:
    """The scores of all labels for all rows: output layer and softmax over the vocabulary in fp32.

    Args:
        model: an encoder-decoder, wrapped by an adapter or not.
        rows: ids that the encoder reads, none empty.
        opening: ids that the decoder begins with.
        labels: ids of each label and of its stop.
        limits: of one pass.
        progress: called with the rows done and all rows.
    """
    answers, stops = (np.zeros((len(rows), len(labels))) for _ in range(2))
    longest = len(opening) + max(len(answer) + len(stop) for answer, stop in labels)
    done = 0
    with torch.inference_mode(), head_in_full_precision(model, next(iter(rows), ())):
        for batch in batches([max(len(row), longest) for row in rows], limits):
            encoded = encode(model, [rows[place] for place in batch])
            for number, (answer, stop) in enumerate(labels):
                found = _token_logprobs(model, encoded, opening, [*answer, *stop])
                answers[batch, number] = found[:, : len(answer)].sum(axis=1)
                stops[batch, number] = found[:, len(answer) :].sum(axis=1)
            done += len(batch)
            progress(done, len(rows))
    counts = np.array([(len(answer), len(stop)) for answer, stop in labels], dtype=np.int64)
    return LabelScores(answers, stops, counts[:, 0], counts[:, 1])


def encode(model: Any, rows: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The states of an encoder for some rows, as its decoder takes them, with the mask of the rows.

    Args:
        model: an encoder-decoder, wrapped by an adapter or not.
        rows: ids, none empty.
    """
    batch = padded_right(rows, 0, model.device)
    encoder = base_of(model).get_encoder()
    states = encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
    return {"encoder_outputs": states, "attention_mask": batch.attention_mask}


def _token_logprobs(
    model: Any, encoded: dict[str, Any], opening: Sequence[int], written: Sequence[int]
) -> "np.ndarray":
    """(rows, tokens) log-probabilities of the same tokens, written for each row."""
    count = len(encoded["attention_mask"])
    fed = torch.tensor([[*opening, *written[:-1]]], device=model.device).expand(count, -1)
    logits = base_of(model)(decoder_input_ids=fed, use_cache=False, **encoded).logits[:, len(opening) - 1 :]
    wanted = torch.tensor([list(written)], device=logits.device).expand(count, -1)[..., None]
    found = torch.stack([torch.log_softmax(row.float(), dim=-1) for row in logits]).gather(2, wanted)[..., 0]
    result: np.ndarray = found.double().cpu().numpy()
    return result
