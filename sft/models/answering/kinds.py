"""What kind of model a `config.json` is of, and whether a head is in its checkpoint; nothing is imported for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sft.config.library.keys import mapping_entries
from sft.models.objective import AUTO_CLASSES, ModelKind, Objective

NEVER_CAUSAL = frozenset({"xlnet"})
"""In the mapping of causal models, but each token sees all others (permutation language modelling)."""
ALWAYS_CAUSAL = frozenset({"gpt_neox", "gpt_neox_japanese"})
"""Their configurations carry `is_decoder`, which nothing reads: their attention is always causal."""
_MASKED, _CAUSAL = "MODEL_FOR_MASKED_LM_MAPPING_NAMES", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"
_WITH_DECODER = "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"
_HEADS = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"


def model_kind(config: Mapping[str, Any]) -> ModelKind | None:
    """The kind of a model; None where its type is not known, as of one with code of its own.

    Args:
        config: its `config.json`, under what `model_args` sets over it.
    """
    kind = config.get("model_type")
    if kind is None:
        return None
    masked, causal, both, heads = (
        mapping_entries(f"{AUTO_CLASSES}:{name}") for name in (_MASKED, _CAUSAL, _WITH_DECODER, _HEADS)
    )
    if config.get("is_encoder_decoder") or (kind in both and kind not in causal):
        return "encoder_decoder"
    if kind in causal and kind not in NEVER_CAUSAL and not _sees_all(config, is_encoder=kind in masked):
        return "decoder"
    return "encoder" if kind in {*masked, *causal, *heads} else None


def _sees_all(config: Mapping[str, Any], *, is_encoder: bool) -> bool:
    """Whether tokens see those after them, in a model of a type that can be a decoder.

    Args:
        config: of the model.
        is_encoder: whether models of this type are encoders where nothing is said.
    """
    text = config.get("text_config")
    told = {**config, **(text if isinstance(text, Mapping) else {})}
    if told["model_type"] not in ALWAYS_CAUSAL and told.get("is_decoder", not is_encoder) is False:
        return True
    return told.get("use_bidirectional_attention") is True or False in (told.get("is_causal"), told.get("causal"))


def has_own_head(config: Mapping[str, Any], objective: Objective) -> bool:
    """Whether a checkpoint was saved with the head of an objective.

    Args:
        config: its `config.json`.
        objective: one with a head.
    """
    architectures = config.get("architectures") or ()
    return objective.class_of(config.get("model_type")) in architectures


def own_labels(config: Mapping[str, Any]) -> list[str]:
    """The labels of a checkpoint's own head, in the order of its outputs; none where its config names none."""
    named = config.get("id2label")
    if not isinstance(named, Mapping):
        return []
    try:
        return [str(named[key]) for key in sorted(named, key=int)]
    except ValueError:
        return []


def head_fault(config: Mapping[str, Any], objective: Objective, labels: Sequence[str]) -> str | None:
    """Why the head of a checkpoint does not answer with these labels; None where it does, or is new.

    Args:
        config: its `config.json`.
        objective: one with a head.
        labels: gold values of the data's labels.
    """
    if not has_own_head(config, objective):
        return None
    own = own_labels(config)
    if sorted(own) == sorted(labels):
        return None
    told = ", ".join(map(repr, own)) or "labels that its config.json does not name"
    wanted = ", ".join(map(repr, labels))
    return (
        f"its head answers with {told}, and the labels of the data are {wanted}; write the gold values so, name them "
        "in id2label of its config.json, or take the model without a head"
    )
