"""That a loaded model has all its weights from its files, and its files no weight that it leaves out."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sft.exceptions import UserError
from sft.models.answering.heads import note_new_parts, unused_by_head

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHOWN_WEIGHTS = 3
DERIVED = re.compile(r"rotary_emb\.inv_freq$|attn\.(?:masked_)?bias$|attention\.(?:masked_)?bias$|position_ids$")
"""Tables and causal masks that older versions of transformers wrote beside the weights."""


def require_whole(name: str, model: "PreTrainedModel", told: Mapping[str, Any], *, has_head: bool) -> None:
    """Refuse a model with weights that no file holds, or files with weights that it has no place for.

    Args:
        name: of the model, as the user wrote it.
        model: as loaded.
        told: the loading information of `from_pretrained`.
        has_head: whether its head may be new, and files may hold the head of another objective.

    Raises:
        UserError: kind model: names the first of them.
    """
    missing, unused = sorted(told["missing_keys"]), sorted(told["unexpected_keys"])
    if has_head:
        missing, unused = note_new_parts(model, missing), unused_by_head(model, unused)
    _require_all_weights(name, missing)
    _require_all_used(name, model, told["mismatched_keys"], unused)


def _require_all_weights(name: str, missing: Sequence[str]) -> None:
    """Refuse a model with weights that no file holds: transformers would fill them at random and only warn."""
    if missing:
        text = f"model {name!r} has no weights for {some(missing)}, which would be random"
        raise UserError(f"{text}; name a model whose files hold them all", kind="model")


def _require_all_used(name: str, model: "PreTrainedModel", mismatched: Iterable[Any], unused: Sequence[str]) -> None:
    """Refuse weights that the model has no place or another shape for: they would be left out.

    What a file of packed weights holds beside them is its quantiser's affair.
    """
    left = sorted(str(key[0] if isinstance(key, tuple) else key) for key in mismatched)
    if not left and not hasattr(model, "hf_quantizer"):
        left = [key for key in unused if not DERIVED.search(key)]
    if left:
        text = f"model {name!r} has weights that {type(model).__name__} has no place for: {some(left)}"
        raise UserError(f"{text}, which would be left out; its config.json is of another model", kind="model")


def some(names: Sequence[str]) -> str:
    """The first names of weights, and how many there are."""
    more = ", ..." if len(names) > SHOWN_WEIGHTS else ""
    return f"{', '.join(names[:SHOWN_WEIGHTS])}{more} ({len(names)} in all)"
