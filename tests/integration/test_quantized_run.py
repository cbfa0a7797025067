"""A quantised base model, trained and measured by the product on a CPU, and one that comes as a GGUF file."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

KINDS = {
    "four-bit": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"},
    "eight-bit": {"load_in_8bit": True},
}
GGUF_LAYER = {
    "attn_q": (64, 64),
    "attn_k": (32, 64),
    "attn_v": (32, 64),
    "attn_output": (64, 64),
    "ffn_gate": (96, 64),
    "ffn_up": (96, 64),
    "ffn_down": (64, 96),
}


def test_quantized_models_are_trained_and_measured(place: Any):
    pytest.importorskip("bitsandbytes")
    quantized = {
        name: place.trained(
            model={"quantization": {"config_class": "BitsAndBytesConfig", "args": arguments}},
            lora={"init_lora_weights": "pissa"} if name == "four-bit" else {},
        )
        for name, arguments in KINDS.items()
    }
    place.run("run-experiments", {"configs": quantized})
    scores = {name: [line["label_logprobs"] for line in place.lines(name=f"{name}-")] for name in KINDS}
    assert scores["four-bit"] != scores["eight-bit"]
    for name in KINDS:
        metrics = place.metrics(name=f"{name}-")
        assert 0 <= metrics["results"]["accuracy"] <= 1
        stages = json.loads((place.experiment(name=f"{name}-") / "config.json").read_text("utf-8"))["stages"]
        training = place.json("results", "stages", "train", stages["train"], "training.json")
        losses = [point["loss"] for point in training["loss_curve"]]
        assert all(isinstance(loss, float) for loss in losses)
        assert all(point["grad_norm"] > 0 for point in training["loss_curve"])


def test_an_argument_nobody_takes_is_refused_before_anything_starts(place: Any):
    quantization = {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bits": True}}
    said = place.run("run-experiment", place.trained(model={"quantization": quantization}), expected=2)
    assert "load_in_4bits" in said
    assert "load_in_4bit" in said.replace("load_in_4bits", "")
    assert not (place.folder / "results").exists()


def write_gguf(path: Path) -> None:
    """A random Llama of one layer that reads bytes."""
    import gguf
    import numpy as np
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<unk>", "<s>", "</s>", *sorted(ByteLevel.alphabet()), "Ġt"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(16)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3, *[1] * (len(tokens) - 3)])
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    shapes: dict[str, tuple[int, ...]] = {f"blk.0.{name}.weight": shape for name, shape in GGUF_LAYER.items()}
    shapes |= {"token_embd.weight": (len(tokens), 64), "output.weight": (len(tokens), 64)}
    shapes |= dict.fromkeys(("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"), (64,))
    random = np.random.default_rng(0)
    for name, shape in shapes.items():
        writer.add_tensor(name, random.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_converted_once_and_measured(place: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.folder / "cache"))
    write_gguf(place.folder / "tiny.gguf")
    config = place.classification(model={"name": "tiny.gguf"}, dataset={"max_n_test": 3})
    place.run("predict", config)
    assert len(list((place.folder / "cache").rglob("model.safetensors"))) == 1
    (infer,) = (place.folder / "predictions" / "stages" / "infer").iterdir()
    text = json.loads((infer / "sample.json").read_text("utf-8"))["prompts"][0]["text"]
    assert text.endswith("\nAnswer:")
    assert all(len(set(line["label_logprobs"].values())) == 3 for line in place.lines("predictions"))
