"""Rows with any number of labels: their gold and their predictions are one text, the canonical JSON list of labels."""

import json
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from sft.config.canonical import json_text


def set_text(labels: Collection[str]) -> str:
    """Labels as one text, `["a","b"]`, equal for equal sets."""
    return json_text(sorted(set(labels)))


def members(text: str) -> tuple[str, ...]:
    """The labels in a text of `set_text`; none in that of a missing cell, which is null."""
    return tuple(json.loads(text) or ())


def flags(texts: Sequence[str], labels: Sequence[str]) -> NDArray[np.bool_]:
    """(rows, labels) whether each row has each label.

    Args:
        texts: of `set_text`.
        labels: the label set.

    Raises:
        KeyError: a label outside the set.
    """
    places = {label: place for place, label in enumerate(labels)}
    found = np.zeros((len(texts), len(labels)), dtype=np.bool_)
    for row, text in enumerate(texts):
        found[row, [places[label] for label in members(text)]] = True
    return found


def texts_of_flags(found: NDArray[np.bool_], labels: Sequence[str]) -> list[str]:
    """As `set_text`, of (rows, labels) whether each row has each label."""
    return [set_text([label for label, has in zip(labels, row, strict=True) if has]) for row in found.tolist()]
