"""A label set as the model meets it: the token ids of each label, and all labels as one tree."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sft.data.prompts import LabelIds
from sft.labels.token_trie import ROOT, TokenTrie
from sft.models.token_text import token_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def label_ids_by_value(values: Sequence[str], labels: Sequence[LabelIds]) -> dict[str, list[int]]:
    """The ids of each label with its stop's, by gold value, as predictions have it."""
    pairs = zip(values, labels, strict=True)
    return {value: [*label.answer_ids, *label.stop_ids] for value, label in pairs}


def label_nodes(
    values: Sequence[str], labels: Sequence[LabelIds], tokenizer: "PreTrainedTokenizerBase"
) -> list[dict[str, Any]]:
    """The nodes of the tree of the labels with their stops, a parent before its children.

    Args:
        values: gold values.
        labels: as they are scored, in the same order.
        tokenizer: of the model.

    Returns:
        for each node `{id, text, parent, is_stop, labels}`: `parent` is the place of a node in the list, null at the
        first token; `labels` are the gold values whose last token it is, the stop included.
    """
    trie = TokenTrie.of([[*label.answer_ids, *label.stop_ids] for label in labels])
    ends: dict[int, list[str]] = {}
    stops: set[int] = set()
    for value, label, path in zip(values, labels, trie.paths, strict=True):
        ends.setdefault(path[-1], []).append(value)
        stops.update(path[len(label.answer_ids) :])
    texts = {token: token_text(tokenizer, token) for token in set(trie.tokens)}
    return [
        {
            "id": token,
            "text": texts[token],
            "parent": None if parent == ROOT else parent,
            "is_stop": node in stops,
            "labels": ends.get(node, []),
        }
        for node, (token, parent) in enumerate(zip(trie.tokens, trie.parents, strict=True))
    ]
