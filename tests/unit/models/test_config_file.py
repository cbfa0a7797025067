"""What a model's files tell without torch: decoders pass, others do not; ids beyond the embedding are found."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError, UserError
from sft.models.config_file import (
    context_tokens,
    decoder_fault,
    embedding_rows,
    has_other_layers,
    hidden_size,
    hub_config,
    require_kind,
    require_rows,
)
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

DECODERS: list[dict[str, Any]] = [
    *(
        {"model_type": kind}
        for kind in ("llama", "gpt2", "gpt_neox", "gemma2", "qwen3", "opt", "bloom", "mamba", "phi3")
    ),
    {"model_type": "gemma3", "text_config": {"vocab_size": 9}, "vision_config": {}},
    {"model_type": "bert", "is_decoder": True},
    {"model_type": "big_bird", "is_decoder": True},
    {"model_type": "bart", "is_decoder": True, "is_encoder_decoder": False},
    {"model_type": "xlm", "causal": True},
    {"model_type": "gemma3_text", "use_bidirectional_attention": False},
    {"model_type": "newer-than-the-library"},
    {},
]
OTHERS: list[tuple[dict[str, Any], str]] = [
    *(({"model_type": kind}, "is_decoder false, an encoder") for kind in ("bert", "roberta", "electra", "camembert")),
    *(({"model_type": kind}, "is_decoder false, an encoder") for kind in ("big_bird", "rembert", "xlm-roberta")),
    *(
        ({"model_type": kind}, "an encoder with a decoder")
        for kind in ("t5", "bart", "prophetnet", "mbart", "whisper")
    ),
    *(({"model_type": kind}, "no decoder") for kind in ("distilbert", "deberta-v2", "albert", "vit", "xlnet")),
    *(({"model_type": kind}, f"of type {kind}, a model of images and text") for kind in ("qwen2_5_vl", "llava")),
    ({"model_type": "xlm"}, "not causal"),
    ({"model_type": "qwen2", "is_causal": False}, "not causal"),
    ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "use_bidirectional_attention"),
]


@pytest.mark.parametrize("config", DECODERS)
def test_decoders(config: dict[str, Any]):
    assert decoder_fault(config, CAUSAL_LM, False) is None


@pytest.mark.parametrize(("config", "told"), OTHERS)
def test_what_is_no_decoder_is_told_in_one_line(config: dict[str, Any], told: str):
    with pytest.raises(UserError, match=told) as caught:
        require_kind("name", config, CAUSAL_LM, {})
    assert len(str(caught.value)) < 220
    assert "\n" not in str(caught.value)


def test_the_classes_and_the_name_of_own_code_are_those_of_the_objective():
    other = replace(CAUSAL_LM, auto_class="AutoModelOfOurs", classes="MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES")
    assert decoder_fault({"model_type": "llama"}, other, False) == "of type llama, no decoder"
    own = {"model_type": "llama", "auto_map": {"AutoModelOfOurs": "modeling.Own"}}
    assert decoder_fault(own, other, True) is None
    assert has_other_layers({"model_type": "gemma3"}, CAUSAL_LM)
    assert not has_other_layers({"model_type": "gemma3"}, other)


def test_the_context_is_the_places_that_hold_tokens():
    assert context_tokens({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}) == 512
    assert context_tokens({"model_type": "gpt2", "n_positions": 1024}) == 1024
    assert context_tokens({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}) == 512
    assert context_tokens({"model_type": "xlm-roberta", "max_position_embeddings": 514}) == 512
    assert context_tokens({"model_type": "roberta"}) is None


def test_the_hidden_size_goes_by_several_names():
    assert hidden_size({"hidden_size": 64}) == 64
    assert hidden_size({"n_embd": 768}) == 768
    assert hidden_size({"text_config": {"hidden_size": 2048}, "hidden_size": 64}) == 2048
    assert hidden_size({}) is None
    assert hidden_size(None) is None


def test_what_is_set_over_the_configuration_counts():
    require_kind("name", {"model_type": "bert"}, CAUSAL_LM, {"is_decoder": True})
    own = {"model_type": "bert", "auto_map": {"AutoModelForCausalLM": "modeling.Own"}}
    require_kind("name", own, CAUSAL_LM, {"trust_remote_code": True})
    with pytest.raises(UserError):
        require_kind("name", own, CAUSAL_LM, {})


def written(folder: Path, tensors: dict[str, list[int]]) -> Path:
    header = json.dumps(
        {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in tensors.items()}
    )
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode())
    return folder


@pytest.mark.parametrize(
    ("config", "tensors", "rows"),
    [
        ({"model_type": "llama", "vocab_size": 90}, {}, 90),
        ({"model_type": "gpt2"}, {}, 50257),
        ({"model_type": "gemma3", "text_config": {"vocab_size": 80}}, {}, 80),
        ({"model_type": "llama", "vocab_size": 90}, {"model.embed_tokens.weight": [70, 4]}, 70),
        ({"model_type": "gpt2", "vocab_size": 60}, {"wte.weight": [60, 4], "wpe.weight": [9, 4]}, 60),
        ({"model_type": "gpt_neox", "vocab_size": 60}, {"gpt_neox.embed_in.weight": [64, 4]}, 60),
        ({"model_type": "strange"}, {}, None),
    ],
)
def test_rows_of_the_embedding(config: dict[str, Any], tensors: dict[str, list[int]], rows: int, tmp_path: Path):
    assert embedding_rows(config, written(tmp_path, tensors)) == rows


def test_the_first_id_beyond_is_named():
    require_rows("name", 5, {4: "a"})
    require_rows("name", None, {4: "a"})
    with pytest.raises(UserError, match=r"gives the id 5 \('<a>'\), but the model's embedding has 5 rows"):
        require_rows("name", 5, {6: "b", 5: "<a>"})


def test_the_config_of_a_hub_model_is_that_of_the_commit(tmp_path, monkeypatch):
    commit = "0" * 40
    snapshot = tmp_path / "models--some--encoder" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text('{"model_type": "bert"}')
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert hub_config("some/encoder", commit) == {"model_type": "bert"}
    with pytest.raises(MachineError, match='model "some/other" not found locally and the network is off') as told:
        hub_config("some/other", commit)
    assert told.value.kind == "network"
    (snapshot / "config.json").unlink()
    with pytest.raises(MachineError):
        hub_config("some/encoder", commit)
    (snapshot / "model.gguf").touch()
    assert hub_config("some/encoder", commit) == {}, "weights that need no config beside them"
