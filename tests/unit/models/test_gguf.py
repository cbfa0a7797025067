"""A GGUF file is converted once, to a model that is equal to it and can be trained and saved."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sft.exceptions import MachineError, UserError
from sft.models import gguf as gguf_files
from sft.models.gguf import convert_gguf, converted_gguf
from sft.models.loading import ModelSource, load_model
from sft.models.tokenizers import load_tokenizer
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

LAYER = {
    "attn_q": (64, 64),
    "attn_k": (32, 64),
    "attn_v": (32, 64),
    "attn_output": (64, 64),
    "ffn_gate": (96, 64),
    "ffn_up": (96, 64),
    "ffn_down": (64, 96),
}
TOKENS = ["<unk>", "<s>", "</s>", *"abcdefghij", "ab"]


@pytest.fixture
def gguf_file(tmp_path, monkeypatch):
    import gguf
    import numpy as np

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_context_length(50)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(16)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 3, *[1] * (len(TOKENS) - 3)])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    shapes = {f"blk.0.{name}.weight": shape for name, shape in LAYER.items()}
    shapes |= {"token_embd.weight": (len(TOKENS), 64), "output.weight": (len(TOKENS), 64)}
    shapes |= dict.fromkeys(("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"), (64,))
    for name, shape in shapes.items():
        writer.add_tensor(name, random.standard_normal(shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "tiny.gguf"


@pytest.mark.slow
def test_the_converted_model_is_equal_and_plain(gguf_file, tmp_path):
    from transformers import AutoModelForCausalLM

    convert_gguf(gguf_file, tmp_path / "model")
    direct = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="tiny.gguf", dtype=torch.float32)
    loaded = load_model(ModelSource("model", tmp_path), CAUSAL_LM)
    assert "quantization_config" not in loaded.config.to_dict()
    expected = direct.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()}
    convert_gguf(gguf_file, tmp_path / "model")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "model").iterdir()} == before
    assert not list(tmp_path.glob(".tmp-*"))


def test_two_that_convert_at_once_leave_one_whole_model(tmp_path, monkeypatch):
    both_began = threading.Barrier(2, timeout=30)

    def save(_gguf, folder):
        both_began.wait()
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        both_began.wait()

    monkeypatch.setattr(gguf_files, "_save_plain", save)
    with ThreadPoolExecutor(2) as pool:
        for converted in [pool.submit(convert_gguf, tmp_path / "a.gguf", tmp_path / "model") for _ in range(2)]:
            converted.result()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["config.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_two_processes_that_convert_at_once_leave_one_whole_model(gguf_file, tmp_path):
    command = [sys.executable, "-m", "sft.models.gguf", str(gguf_file), str(tmp_path / "made" / "model")]
    assert [child.wait() for child in [subprocess.Popen(command) for _ in range(2)]] == [0, 0]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["model"]
    assert load_model(ModelSource("made/model", tmp_path), CAUSAL_LM).config.hidden_size == 64


def test_another_file_is_told_and_leaves_nothing(tmp_path):
    (tmp_path / "text.gguf").write_text("no weights")
    with pytest.raises(UserError, match="not a GGUF file"):
        convert_gguf(tmp_path / "text.gguf", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["text.gguf"]


@pytest.mark.slow
def test_a_gguf_name_loads_model_and_tokenizer_through_the_users_cache(gguf_file, tmp_path, monkeypatch):
    folder = converted_gguf(gguf_file)
    assert folder.is_relative_to(tmp_path / "cache")
    assert converted_gguf(gguf_file) == folder
    monkeypatch.setattr("sft.models.gguf.subprocess.run", None)
    assert load_model(ModelSource("tiny.gguf", tmp_path), CAUSAL_LM).config.hidden_size == 64
    assert load_tokenizer("tiny.gguf", tmp_path).pad_token is not None


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_the_machine_s(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(MachineError, match="cannot be written: Not a directory; set XDG_CACHE_HOME"):
        convert_gguf(tmp_path / "any.gguf", tmp_path / "file" / "cache" / "model")


def test_a_conversion_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "text.gguf").write_text("no weights")
    with pytest.raises(UserError, match=r"cannot be converted to safetensors: model .*: not a GGUF file"):
        converted_gguf(tmp_path / "text.gguf")
