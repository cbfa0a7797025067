"""The linear layers of well-known decoders by their `config.json` alone, for options held against them; without torch.

What is not known here is found when the adapter is attached.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sft.adapters.method import OptionFinding
from sft.registry import nearest

Sizes = Mapping[str, tuple[int, int]]
"""Full name of a layer -> its outputs and inputs."""

LLAMA_LIKE = ("llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text")
HEADS_SHARE_THE_WIDTH = ("llama", "qwen2", "mistral", "phi3")
"""Types whose heads are as wide as the hidden size allows where nothing else is said."""
BLOCK_NORMS = ("input_layernorm", "post_attention_layernorm")
AROUND_BOTH_PARTS = (*BLOCK_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")
OF_HEADS = ("self_attn.q_norm", "self_attn.k_norm")
NORMS = {
    **dict.fromkeys((*LLAMA_LIKE, "phi3"), BLOCK_NORMS),
    "gpt2": ("ln_1", "ln_2"),
    "qwen3": (*BLOCK_NORMS, *OF_HEADS),
    "gemma2": AROUND_BOTH_PARTS,
    "gemma3_text": (*AROUND_BOTH_PARTS, *OF_HEADS),
}
"""Type -> the norms of each block, beside the last one of the model."""
ALL_LINEAR = "all-linear"
PATTERNS = "rank_pattern"
"""The option that gives layers ranks of their own by their names."""
MOST_CANDIDATES = 12


def known_layers(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """The linear layers but the head, with their sizes (outputs, inputs); none where the type is not known here.

    Args:
        config: what the model's `config.json` says; a key left out means the class's default, which is not known here.
    """
    if "text_config" in config:
        return {}
    try:
        if config.get("model_type") == "gpt2":
            return _gpt2(config)
        if config.get("model_type") in (*LLAMA_LIKE, "phi3"):
            return _llama_like(config)
    except (KeyError, TypeError):
        pass  # a size is left out, or is no number
    return {}


def other_layers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The layers beside those of `known_layers` that can have an adapter."""
    return ("transformer.wte", "transformer.wpe") if config.get("model_type") == "gpt2" else ("model.embed_tokens",)


def known_norms(config: Mapping[str, Any]) -> list[str]:
    """The norms of a model whose linear layers are known."""
    if not known_layers(config):
        return []
    kind = config["model_type"]
    if kind == "gpt2":
        place, number, last = "transformer.h", config["n_layer"], "transformer.ln_f"
    else:
        place, number, last = "model.layers", config["num_hidden_layers"], "model.norm"
    return [*(f"{place}.{block}.{norm}" for block in range(number) for norm in NORMS[kind]), last]


def targeted(options: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The layers that an adapter goes to, as PEFT reads `target_modules` and `exclude_modules`."""
    targets = options.get("target_modules") or ALL_LINEAR
    left_out = [options.get("exclude_modules"), list(options.get("modules_to_save") or ())]
    return [
        name
        for name in names
        if (targets == ALL_LINEAR or is_named(targets, name)) and not any(is_named(left, name) for left in left_out)
    ]


def unmatched_targets(options: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """What is wrong with targets of which no layer has the name, with candidates; None where some layer has.

    Args:
        options: of the method; `target_modules` is a list of names or a pattern.
        names: all modules that could be meant.
    """
    written = options.get("target_modules")
    if not written or written == ALL_LINEAR or not names or any(is_named(written, name) for name in names):
        return None
    holders = {name.rpartition(".")[0] for name in names}
    known = sorted({_leaf(name) for name in names if name not in holders})
    hint = nearest(_leaf(written if isinstance(written, str) else str(next(iter(written)))), known)
    suggestion = f" (did you mean {hint}?)" if hint else ""
    shown = ", ".join(known[:MOST_CANDIDATES]) + (", ..." if len(known) > MOST_CANDIDATES else "")
    return f"{written!r} matches no layer of this model{suggestion}; it has {shown}"


def rank_finding(
    options: Mapping[str, Any], sizes: Sizes, key: str, default: int, *, has_patterns: bool = True
) -> OptionFinding | None:
    """As `rank_fault`, of the layers that get an adapter, at the option that says the rank.

    Args:
        options: of the method, as written.
        sizes: of all layers that can have an adapter.
        key: the option that says the rank of layers without one of their own.
        default: what holds where it is left out.
        has_patterns: whether the method takes ranks by the names of layers.
    """
    whole = options.get(key) or default
    ranks = ranks_of({**options, "r": whole}, targeted(options, sizes), whole)
    fault = rank_fault(ranks, sizes, has_patterns=has_patterns)
    if fault is None:
        return None
    first = next(rank for name, rank in ranks.items() if rank > min(sizes[name]))
    return OptionFinding(key if first == whole else PATTERNS, fault)


def rank_fault(ranks: Mapping[str, int], sizes: Sizes, *, has_patterns: bool = True) -> str | None:
    """What is wrong with ranks above the smaller side of their layer, whose factors would be larger than itself.

    Args:
        ranks: of each layer with an adapter, by name.
        sizes: of the same layers at least.
        has_patterns: whether the method takes ranks by the names of layers.
    """
    above = {name: rank for name, rank in ranks.items() if rank > min(sizes[name])}
    if not above:
        return None
    name, rank = next(iter(above.items()))
    outputs, inputs = sizes[name]
    fits = min(min(sizes[layer]) for layer in ranks)
    text = f"{rank}, above the size of layer {name}, {outputs} x {inputs} (outputs x inputs)"
    text = f"{text}; the largest rank for all is {fits}"
    if not has_patterns:
        return text
    leaves = "|".join(sorted({re.escape(_leaf(layer)) for layer in above}))
    most = min(min(sizes[layer]) for layer in above)
    return f"{text}, or write rank_pattern: {{'{leaves}': {most}}}"


def token_fault(ids: Iterable[int], rows: int) -> str | None:
    """What is wrong with ids of tokens that an embedding of so many rows does not have."""
    beyond = next((index for index in ids if not 0 <= index < rows), None)
    return (
        None if beyond is None else f"{beyond} is no token of this model, whose embedding has the rows 0 to {rows - 1}"
    )


def ranks_of(options: Mapping[str, Any], names: Iterable[str], default: int) -> dict[str, int]:
    """The rank of each layer, as PEFT reads `r` and `rank_pattern`."""
    patterns = options.get(PATTERNS) or {}
    whole = options.get("r") or default
    return {
        name: next((rank for key, rank in patterns.items() if re.match(rf"(?:.*\.)?({key})$", name)), whole)
        for name in names
    }


def _llama_like(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    kind, hidden, inner = config["model_type"], config["hidden_size"], config["intermediate_size"]
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    width = config.get("head_dim") or (hidden // heads if kind in HEADS_SHARE_THE_WIDTH else config["head_dim"])
    queries, keys = heads * width, groups * width
    sizes = {"self_attn.o_proj": (hidden, queries), "mlp.down_proj": (hidden, inner)}
    if kind == "phi3":
        sizes |= {"self_attn.qkv_proj": (queries + 2 * keys, hidden), "mlp.gate_up_proj": (2 * inner, hidden)}
    else:
        sizes |= {"self_attn.q_proj": (queries, hidden)}
        sizes |= {f"self_attn.{name}": (keys, hidden) for name in ("k_proj", "v_proj")}
        sizes |= {f"mlp.{name}": (inner, hidden) for name in ("gate_proj", "up_proj")}
    return _repeated("model.layers", sizes, config["num_hidden_layers"])


def _gpt2(config: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    hidden = config["n_embd"]
    inner = config.get("n_inner") or 4 * hidden
    sizes = {
        "attn.c_attn": (3 * hidden, hidden),
        "attn.c_proj": (hidden, hidden),
        "mlp.c_fc": (inner, hidden),
        "mlp.c_proj": (hidden, inner),
    }
    return _repeated("transformer.h", sizes, config["n_layer"])


def _repeated(place: str, sizes: Sizes, number: int) -> dict[str, tuple[int, int]]:
    return {f"{place}.{block}.{name}": size for block in range(number) for name, size in sizes.items()}


def is_named(written: Any, name: str) -> bool:
    """Whether a list of names, or a pattern, means a layer, as PEFT reads it."""
    if isinstance(written, str):
        return re.fullmatch(written, name) is not None
    return any(name == target or name.endswith(f".{target}") for target in written or ())


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]
