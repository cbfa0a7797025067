"""What may stand in `inference.generation_args`; nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from sft.config.findings import PathMessage
from sft.config.library.keys import popped_names
from sft.registry import nearest

_CLASS = "transformers.generation.configuration_utils:GenerationConfig"

_HUB_CODE = "this decoding needs code from the model hub"
_ONE_ROW = "assisted decoding runs one row at a time, ours run in batches"
_OUTPUT = "only the generated text is kept"

_REFUSED: Mapping[str, str] = {
    "max_length": "it counts the prompt, whose length differs by row; write max_new_tokens",
    "min_length": "it counts the prompt, whose length differs by row; write min_new_tokens",
    "pad_token_id": "padding is hidden from the model",
    "compile_config": "it takes a Python object",
    "continuous_batching_config": "it takes a Python object",
    **dict.fromkeys(("return_dict_in_generate", "output_scores", "output_logits"), _OUTPUT),
    **dict.fromkeys(("output_attentions", "output_hidden_states"), _OUTPUT),
    **dict.fromkeys(("low_memory", "penalty_alpha", "dola_layers", "num_beam_groups"), _HUB_CODE),
    **dict.fromkeys(("diversity_penalty", "constraints", "force_words_ids"), _HUB_CODE),
    **dict.fromkeys(("is_assistant", "use_mtp", "prompt_lookup_num_tokens", "assistant_early_exit"), _ONE_ROW),
}

_INTERNAL = frozenset({"_commit_hash", "_from_model_config", "transformers_version"})

_SAMPLING_NEUTRAL: Mapping[str, float | None] = {
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "min_p": None,
    "top_h": None,
}

_BEAM_NEUTRAL: Mapping[str, float | bool] = {"early_stopping": False, "length_penalty": 1.0}

DEFAULT_NEW_TOKENS = 128
"""Longest answer in tokens where neither `max_new_tokens` nor `max_output_length` is written."""

SAMPLING_BATCH_SIZE = 8
"""Rows that are sampled together where `batch_size` is not written."""


def effective_generation_args(args: Mapping[str, Any], max_output_length: int | None) -> dict[str, Any]:
    """What is written, over greedy decoding of at most `max_output_length` (else 128) new tokens."""
    defaults = {"do_sample": False, "num_beams": 1, "max_new_tokens": max_output_length or DEFAULT_NEW_TOKENS}
    return defaults | {key: value for key, value in args.items() if value is not None}


def is_sampling(args: Mapping[str, Any]) -> bool:
    """Whether texts are drawn at random, so that seed and batch size matter."""
    return bool(args.get("do_sample"))


def sampling_batch_size(written: int | None) -> int:
    """Rows that are sampled together: the draws depend on it, so it is never chosen by the machine."""
    return SAMPLING_BATCH_SIZE if written is None else written


def check_generation_args(args: Mapping[str, Any]) -> list[PathMessage]:
    """Everything wrong with `generation_args`, as key and message.

    Keys are those that the installed transformers' `GenerationConfig` knows; read from its source, not imported.
    """
    known = popped_names(_CLASS)
    findings = [(key, message) for key in args if (message := _wrong_key(key, args[key], frozenset(known)))]
    return findings + _without_effect(args)


def _wrong_key(key: str, value: object, known: frozenset[str]) -> str | None:
    if key not in known or key in _INTERNAL:
        hint = nearest(key, known - _INTERNAL)
        suggestion = f"; did you mean {hint}?" if hint else ""
        return f"unknown key {key!r}, transformers' GenerationConfig has no such setting{suggestion}"
    if value is None:
        return None
    if key in _REFUSED and value is not False:
        return f"refused: {_REFUSED[key]}"
    if key == "num_return_sequences" and value != 1:
        return f"must be 1, not {value!r}: each row has one prediction"
    if key == "max_new_tokens" and (type(value) is not int or value < 1):
        return f"must be a whole number of tokens from 1, not {value!r}"
    if key == "do_sample" and not isinstance(value, bool):
        return f"must be true or false, not {value!r}"
    return None


def _without_effect(args: Mapping[str, Any]) -> list[PathMessage]:
    findings = []
    if not is_sampling(args):
        for key in _set_away_from(args, _SAMPLING_NEUTRAL):
            findings.append((key, f"{args[key]!r} has no effect without do_sample: true; add that or leave {key} out"))
    if args.get("num_beams") in (None, 1):
        for key in _set_away_from(args, _BEAM_NEUTRAL):
            findings.append((key, f"{args[key]!r} has no effect without num_beams above 1; add it or leave {key} out"))
    return findings


def _set_away_from(args: Mapping[str, Any], neutral: Mapping[str, Any]) -> list[str]:
    return [key for key, value in neutral.items() if args.get(key) not in (None, value)]
