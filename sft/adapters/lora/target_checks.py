"""LoRA options that PEFT takes and that then fail in training, or train nothing; nothing heavy is imported.

An adapter on the output head trains nothing: the loss multiplies by the head's weight itself and reads past low-rank
factors beside it (trl/trainer/sft_trainer.py refuses them, after the model was loaded).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sft.adapters.layer_sizes import known_layers, other_layers, rank_finding, unmatched_targets
from sft.adapters.method import OptionFinding

HEADS = ("lm_head", "embed_out")
"""What models call their output head."""
EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in")
"""What models call their input embeddings; with `ensure_weight_tying` an adapter there is one on a tied head too."""
ON_HEAD = (
    "puts an adapter on the output head, which the loss reads past; to train the head write "
    "modules_to_save: ['{head}'] and take it off the targets"
)
TIED = "with ensure_weight_tying puts an adapter on the output head, which the loss reads past; leave one of them out"

TWICE = (
    "trains rows of the model's embedding, which is its output head too and stands in modules_to_save; leave one of "
    "them out"
)

DEFAULT_RANK = 8
KINDS = "repeats the layers of this model but not its list of their kinds (layer_types), as PEFT does it; leave it out"


def check_targets(options: Mapping[str, Any]) -> list[OptionFinding]:
    """Targets that are the output head, and patterns that are no regular expression."""
    found = [OptionFinding(key, fault) for key, text in _patterns(options) if (fault := _fault(text)) is not None]
    if found:
        return found
    for key in ("target_modules", "target_parameters"):
        head = _first_named(options, key, HEADS)
        if head is not None:
            found.append(OptionFinding(key, f"{options[key]!r} {ON_HEAD.format(head=head)}"))
    if options.get("layers_to_transform") is not None and isinstance(options.get("target_modules", "all-linear"), str):
        found.append(
            OptionFinding("layers_to_transform", "needs target_modules as a list of names, such as ['q_proj']")
        )
    found += _check_token_indices(options)
    if options.get("ensure_weight_tying") and _first_named(options, "target_modules", EMBEDDINGS) is not None:
        found.append(OptionFinding("target_modules", f"{options['target_modules']!r} {TIED}"))
    return found


def check_on_model(options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
    """What does not go with one model.

    Args:
        options: of `peft.LoraConfig`.
        config: what the model's `config.json` says of its language part.
    """
    found = []
    saved = {str(name).rpartition(".")[2] for name in options.get("modules_to_save") or ()}
    is_in_full = bool(saved & {*HEADS, *EMBEDDINGS})
    if options.get("trainable_token_indices") and is_in_full and config.get("tie_word_embeddings") is True:
        found.append(OptionFinding("trainable_token_indices", TWICE))
    if options.get("layer_replication") and config.get("layer_types"):
        found.append(OptionFinding("layer_replication", KINDS))
    return found + _check_layers(options, config)


def _check_layers(options: Mapping[str, Any], config: Mapping[str, Any]) -> list[OptionFinding]:
    """Targets that no layer has the name of, and ranks above the size of a layer, where the model's type is known."""
    sizes = known_layers(config)
    if not sizes or options.get("target_parameters"):
        return []
    fault = unmatched_targets(options, [*sizes, *other_layers(config)])
    if fault is not None:
        return [OptionFinding("target_modules", fault)]
    found = rank_finding(options, sizes, "r", DEFAULT_RANK)
    return [] if found is None else [found]


def _check_token_indices(options: Mapping[str, Any]) -> list[OptionFinding]:
    """They are ids of tokens, alone or by the name of the layer whose rows they are."""
    written = options.get("trainable_token_indices")
    lists = list(written.values()) if isinstance(written, dict) else [written] if written is not None else []
    if all(isinstance(ids, list) and all(type(index) is int and index >= 0 for index in ids) for ids in lists):
        return []
    text = f"{written!r}; allowed: a list of token ids from 0, or such lists by the names of layers"
    return [OptionFinding("trainable_token_indices", text)]


def _patterns(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each regular expression among the options, by its option: targets, and the keys of what names single layers."""
    for key, value in options.items():
        if key in ("target_modules", "exclude_modules") and isinstance(value, str):
            yield key, value
        elif key.endswith("_pattern") and isinstance(value, Mapping):
            yield from ((key, pattern) for pattern in value)


def _fault(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"{pattern!r} is no regular expression: {error}"
    return None


def _first_named(options: Mapping[str, Any], key: str, names: Iterable[str]) -> str | None:
    """The first of `names` that PEFT would find in a model under these options (`check_target_module_exists`)."""
    targets = options.get(key) or ()
    if targets == "all-linear":
        return None
    left_out = [*_listed(options.get("exclude_modules")), *_listed(options.get("modules_to_save"))]
    excluded = options.get("exclude_modules")
    for name in names:
        is_left_out = name in left_out or (isinstance(excluded, str) and _matches(excluded, name))
        if _is_target(targets, name) and not is_left_out:
            return name
    return None


def _is_target(targets: Any, name: str) -> bool:
    if isinstance(targets, str):  # a pattern of wildcards tells nothing about a name that few models have
        return _matches(targets, name) and (name != "embed_out" or name in targets)
    parts = (str(target).removesuffix(".weight") for target in targets)
    return any(part.rpartition(".")[2] == name for part in parts)


def _matches(pattern: str, name: str) -> bool:
    """As the whole name of a module at the top of a model, in a part of one, or in its body."""
    return any(
        re.fullmatch(pattern, f"{before}{name}") for before in ("", "model.", "language_model.", "transformer.")
    )


def _listed(value: Any) -> list[str]:
    return [str(item).rpartition(".")[2] for item in value] if isinstance(value, list) else []
