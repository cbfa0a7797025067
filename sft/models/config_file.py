"""What a model's files tell before a weight is read: whether it is a decoder, how many ids it knows; without torch."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sft.exceptions import UserError
from sft.models.answering.kinds import ALWAYS_CAUSAL, NEVER_CAUSAL
from sft.models.model_args import runs_remote_code
from sft.models.objective import ModelKind, Objective
from sft.models.reading import read_header
from sft.models.references import hub_file

KNOWN = "such as those of type llama, qwen3, mistral or gpt2"
# fmt: off
WEIGHING_LAYERS = frozenset((
    "afmoe", "beam", "cohere2_moe", "dbrx", "deepseek_v2", "deepseek_v3", "deepseek_v32", "doge", "dots1",
    "ernie4_5_moe", "exaone_moe", "flex_olmo", "glm4_moe", "glm4_moe_lite", "glm_moe_dsa", "hunyuan_v1_moe",
    "jamba", "jetmoe", "longcat_flash", "mellum", "minimax", "minimax_m2", "mixtral", "olmoe", "qwen2_moe",
    "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_moe", "qwen3_next", "solar_open", "zaya",
))
# fmt: on
"""Model types of which PEFT's `all-linear` takes layers that weigh experts, or that text goes past (Jamba)."""

EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings|embeddings?)\.weight")
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
"""What configurations call the number of tokens that a model is made for."""
# fmt: off
AFTER_PADDING = frozenset((
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
))
# fmt: on
"""Model types that count the places of tokens from after the id of padding, so that those up to it hold none."""
MIXING_PADDING = frozenset(("convbert", "fnet", "mobilebert", "nystromformer", "xlnet"))
"""Model types that were seen to mix padding into what they give for tokens, or to read the last place of a batch."""
NUMBERS_OF_BLOCKS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
"""What they call the number of its blocks."""


def read_config(name: str, local: Path | None, revision: str | None) -> dict[str, Any] | None:
    """The `config.json` of a model, or None where it cannot be read, which loading tells better.

    Args:
        name: hub id; used where `local` is None.
        local: folder of a local model.
        revision: the pinned commit of a hub id.
    """
    from transformers import PreTrainedConfig

    try:
        found: Any = PreTrainedConfig.get_config_dict(str(local or name), revision=revision)[0]
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def local_config(local: Path) -> dict[str, Any]:
    """What the `config.json` of a local model says of its language part; empty where it cannot be read."""
    try:
        told = json.loads((local / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict):
        return {}
    text = told.get("text_config")
    return told | text if isinstance(text, dict) else told


def hub_config(name: str, commit: str) -> dict[str, Any]:
    """What the `config.json` of a hub model says, as `local_config`; empty where the model has none.

    Args:
        name: the hub id.
        commit: of the model; a file that the local cache holds is not asked for.

    Raises:
        UserError: the hub refuses it.
        MachineError: the cache lacks it, and the hub does not answer.
    """
    file = hub_file(name, "config.json", commit)
    return {} if file is None else local_config(file.parent)


def written_number(config: Mapping[str, Any], names: Iterable[str]) -> int | None:
    """The first of these numbers above 0 that a model's `config.json` has; None where it has none of them."""
    found = (config.get(name) for name in names)
    return next((number for number in found if type(number) is int and number > 0), None)


def context_tokens(config: Mapping[str, Any]) -> int | None:
    """The most tokens of a text that a model is made for, by its `config.json`; None where that does not say."""
    places = written_number(config, CONTEXT_NAMES)
    if places is None or config.get("model_type") not in AFTER_PADDING:
        return places
    padding = config.get("pad_token_id")
    return places - 1 - (1 if padding is None else int(padding))  # 1 is what these types have by default


def decoder_fault(config: Mapping[str, Any], objective: Objective, runs_own_code: bool) -> str | None:
    """Why a model is no decoder, in which every token sees only those before it; None where it is one.

    Only then do label scores and training losses mean what they say: an encoder looks at the label that it scores.

    Args:
        config: its `config.json`, under what `model_args` sets over it.
        objective: one whose classes are decoders.
        runs_own_code: whether Python code that comes with the model runs, so that it may be of a type of its own.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    kind = config.get("model_type")
    if kind is None or (runs_own_code and objective.auto_class in (config.get("auto_map") or {})):
        return None
    if kind not in CONFIG_MAPPING:
        return None  # newer than the library, or with code of its own: loading says which
    own = CONFIG_MAPPING[kind]

    def value(key: str) -> Any:
        return config.get(key, getattr(own, key, None))

    text = config.get("text_config") if isinstance(config.get("text_config"), Mapping) else {}
    if value("is_encoder_decoder"):
        return f"of type {kind}, an encoder with a decoder"
    has_class = objective.class_of(kind) is not None
    if not has_class and kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return f"of type {kind}, a model of images and text"
    if not has_class or kind in NEVER_CAUSAL:
        return f"of type {kind}, no decoder"
    if value("is_decoder") is False and kind not in ALWAYS_CAUSAL:
        return f"of type {kind} with is_decoder false, an encoder"
    if True in (config.get("use_bidirectional_attention"), (text or {}).get("use_bidirectional_attention")):
        return f"of type {kind} with use_bidirectional_attention true, an encoder"
    if False in (value("is_causal"), value("causal")):
        return f"of type {kind} with attention that is not causal, an encoder"
    return None


def encoder_fault(config: Mapping[str, Any], objective: Objective, runs_own_code: bool) -> str | None:
    """Why a model is no encoder that the objective's class loads; None where it is one, as `decoder_fault`."""
    kind = config.get("model_type")
    if kind is None or (runs_own_code and objective.auto_class in (config.get("auto_map") or {})):
        return None
    if config.get("is_encoder_decoder"):
        return f"of type {kind}, an encoder with a decoder"
    return None if objective.class_of(kind) else f"of type {kind}, which {objective.auto_class} does not load"


def encoder_decoder_fault(config: Mapping[str, Any], objective: Objective, runs_own_code: bool) -> str | None:
    """Why a model is no encoder-decoder that the objective's class loads; None where it is one, as `decoder_fault`."""
    kind = config.get("model_type")
    if kind is None or (runs_own_code and objective.auto_class in (config.get("auto_map") or {})):
        return None
    return None if objective.class_of(kind) else f"of type {kind}, which {objective.auto_class} does not load"


FAULTS: Mapping[ModelKind, Callable[[Mapping[str, Any], Objective, bool], str | None]] = {
    "decoder": decoder_fault,
    "encoder": encoder_fault,
    "encoder_decoder": encoder_decoder_fault,
}
"""Kind of model -> why a model is not of it."""
KINDS: Mapping[ModelKind, str] = {
    "decoder": "decoders (causal language models)",
    "encoder": "encoders",
    "encoder_decoder": "encoders with a decoder",
}
"""Kind of model -> its name in messages."""


def has_other_layers(config: Mapping[str, Any] | None, objective: Objective) -> bool:
    """Whether PEFT's `all-linear` finds layers in a decoder that text does not pass, or that weigh experts.

    Args:
        config: its `config.json`; None where it could not be read.
        objective: for which it is loaded.
    """
    kind = (config or {}).get("model_type")
    is_of_images = (objective.class_of(kind) or "").endswith("ForConditionalGeneration")
    return is_of_images or kind in WEIGHING_LAYERS


def mixes_padding(config: Mapping[str, Any] | None) -> bool:
    """Whether a model is of a type whose outputs for a row move with the padding beside it."""
    return (config or {}).get("model_type") in MIXING_PADDING


def hidden_size(config: Mapping[str, Any] | None) -> int | None:
    """Features of each token between the blocks of a model; None where its `config.json` does not tell."""
    text = (config or {}).get("text_config") or config or {}
    return written_number(text, ("hidden_size", "n_embd", "d_model"))


def require_kind(
    name: str, config: Mapping[str, Any] | None, objective: Objective, model_args: Mapping[str, Any]
) -> None:
    """Refuse a model that is known to be of no kind that the objective takes.

    Args:
        name: as the user wrote it.
        config: its `config.json`; None where it could not be read.
        objective: for which it is loaded.
        model_args: what is set over the configuration, and whether code of the model's own may run.

    Raises:
        UserError: the model is of none.
    """
    if config is None:
        return
    known, runs_own_code = {**config, **model_args}, runs_remote_code(model_args)
    faults = [FAULTS[kind](known, objective, runs_own_code) for kind in objective.model_kinds]
    if None not in faults:
        kinds = " and ".join(KINDS[kind] for kind in objective.model_kinds)
        example = f", {KNOWN}" if objective.model_kinds == ("decoder",) else f" by {objective.auto_class}"
        text = f"model {name!r} is {faults[0]}; {objective.name} takes {kinds}"
        raise UserError(f"{text}{example}", kind="model")


def embedding_rows(config: Mapping[str, Any] | None, local: Path | None) -> int | None:
    """How many token ids a model has an embedding for; None where its files do not tell.

    Args:
        config: its `config.json`.
        local: folder of a local model, whose weights are looked at as well: the two may disagree.
    """
    found = [] if local is None else list(_stored_rows(local))
    written = None if config is None else _vocabulary(config)
    return min([*found, *([] if written is None else [written])], default=None)


def require_rows(name: str, rows: int | None, ids: Mapping[int, str]) -> None:
    """Refuse a tokenizer that outgrew its model, where ids are in use that the model has no embedding for.

    A larger embedding is fine, as is a longer vocabulary of which the rest is in no prompt.

    Args:
        name: of the model.
        rows: of its embedding; None where nobody knows.
        ids: those that prompts can hold, with their texts.

    Raises:
        UserError: names the first id without a row.
    """
    first = min((index for index in ids if rows is not None and index >= rows), default=None)
    if first is not None:
        raise UserError(
            f"model {name!r}: its tokenizer gives the id {first} ({ids[first]!r}), but the model's embedding has "
            f"{rows} rows; "
            "take the tokenizer that belongs to it, or a model whose embeddings were resized with the tokenizer",
            kind="tokenizer",
        )


def _vocabulary(config: Mapping[str, Any]) -> int | None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = config.get("model_type")
    own = CONFIG_MAPPING[kind] if kind in CONFIG_MAPPING else None  # noqa: SIM401  a lazy mapping, whose get is empty
    text = config.get("text_config")
    nested = text.get("vocab_size") if isinstance(text, Mapping) else None
    written = nested or config.get("vocab_size") or getattr(own, "vocab_size", None)
    return written if isinstance(written, int) else None


def _stored_rows(folder: Path) -> Iterable[int]:
    """The rows of each token embedding in the headers of the safetensors files of a folder."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            header = read_header(path)
        except ValueError:
            continue  # a damaged file, which is told elsewhere
        for name, tensor in header.items():
            if EMBEDDING.search(name) and len(tensor["shape"]) == 2:
                yield int(tensor["shape"][0])
