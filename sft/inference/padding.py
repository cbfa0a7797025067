"""Whether padding changes what a model with a head gives for a row, so that only rows of one length may run together.

Some encoders mix in what stands beside a token whatever the mask says: by a convolution (ConvBERT), a window of
embeddings (MobileBERT), a transform over all places (FNet), landmarks (Nystromformer), or a head that reads the last
place (XLNet).
"""

from collections.abc import Sequence
from typing import Any

import torch

from sft.exceptions import machine_kind
from sft.inference.batches import padded_right
from sft.models.attention.trial import HALF_TOLERANCE, REFUSALS, in_full_precision, is_machines

TRIAL_TOKENS = 16
"""The most padding that is tried."""
TOLERANCE = 1e-4
"""How far padding may move an output in fp32: what rounding does not explain."""


def padding_effect(model: Any, rows: Sequence[Sequence[int]], padding: int) -> str | None:
    """What says that padding changes the outputs of a head; None where it does not, or where no row gets any.

    Args:
        model: in eval mode, wrapped by PEFT or not.
        rows: ids that are to run.
        padding: id that fills shorter rows.
    """
    short, long = min(rows, key=len, default=()), max(rows, key=len, default=())
    if len(short) == len(long):
        return None
    beside = long[: len(short) + TRIAL_TOKENS]
    try:
        with in_full_precision(model):
            apart, tolerance = _apart(model, short, beside, padding), TOLERANCE
    except REFUSALS as error:  # quantised layers may want another type, and memory may not hold a wide one
        if is_machines(error) and machine_kind(error) is None:
            raise
        apart, tolerance = _apart(model, short, beside, padding), HALF_TOLERANCE
    return None if apart <= tolerance else f"padding moves its outputs by {apart:.2g}: rows of one length run together"


def _apart(model: Any, row: Sequence[int], beside: Sequence[int], padding: int) -> float:
    outputs = []
    for texts in (padded_right([row], padding, model.device), padded_right([row, beside], padding, model.device)):
        with torch.inference_mode():
            outputs.append(model(input_ids=texts.input_ids, attention_mask=texts.attention_mask).logits[0].float())
    return float((outputs[0] - outputs[1]).abs().max())
