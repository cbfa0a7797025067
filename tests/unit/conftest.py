import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, StageName

IDS = torch.arange(2, 22).reshape(2, 10)


def _llama(seed: int = 0, **changes: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, num_key_value_heads=2, vocab_size=99, initializer_range=0.2, **changes)
    return LlamaForCausalLM(config).eval()


def _gpt2(seed: int = 0) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=99, n_positions=32, initializer_range=0.2)
    return GPT2LMHeadModel(config).eval()


def _quantized(kind: str) -> Any:
    """A tiny Llama whose linear layers are bitsandbytes layers, as loading leaves them."""
    import bitsandbytes as bnb

    model = _llama()
    for block in model.model.layers:
        for parent in (block.self_attn, block.mlp):
            for name, layer in list(parent.named_children()):
                if isinstance(layer, torch.nn.Linear):
                    setattr(parent, name, _quantized_layer(bnb, layer, kind))
    model.is_loaded_in_8bit, model.is_loaded_in_4bit = kind == "int8", kind == "nf4"
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model.requires_grad_(False)


def _quantized_layer(bnb: Any, layer: torch.nn.Linear, kind: str) -> Any:
    shape = (layer.in_features, layer.out_features)
    if kind == "nf4":
        made = bnb.nn.Linear4bit(*shape, bias=False, quant_type="nf4", compute_dtype=torch.float32)
        made.weight = bnb.nn.Params4bit(layer.weight.data.clone(), requires_grad=False, quant_type="nf4", module=made)
    else:
        made = bnb.nn.Linear8bitLt(*shape, bias=False, has_fp16_weights=False)
        made.weight = bnb.nn.Int8Params(layer.weight.data.clone(), requires_grad=False, has_fp16_weights=False)
    return made.to("cpu")


MAKERS: dict[str, Callable[[], Any]] = {
    "fp32": _llama,
    "bf16": lambda: _llama().to(torch.bfloat16),
    "gpt2": _gpt2,
    "nf4": lambda: _quantized("nf4"),
    "int8": lambda: _quantized("int8"),
}


@pytest.fixture(scope="session")
def _made() -> dict[str, Any]:
    return {}


@pytest.fixture
def make_model(_made: dict[str, Any]) -> Callable[[str], Any]:
    """A new tiny model of the kind fp32, bf16, gpt2, nf4 or int8; two of a kind are equal."""

    def make(kind: str) -> Any:
        if kind in ("nf4", "int8"):
            return MAKERS[kind]()
        if kind not in _made:
            _made[kind] = MAKERS[kind]()
        return copy.deepcopy(_made[kind])

    return make


@pytest.fixture
def logits() -> Callable[[Any], torch.Tensor]:
    """The logits of a model on fixed ids, as fp32."""

    def run(model: Any) -> torch.Tensor:
        with torch.no_grad():
            return model.eval()(IDS).logits.float()

    return run


@pytest.fixture
def train_steps() -> Callable[..., Any]:
    """Takes some optimiser steps on fixed ids; returns the losses."""

    def run(model: Any, steps: int = 3, rate: float = 0.01) -> list[float]:
        model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer, losses = torch.optim.AdamW(trained, lr=rate), []
        for _ in range(steps):
            loss = model(IDS, labels=IDS).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss))
        return losses

    return run


Chain = Callable[..., list[PlannedJob]]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFolder:
    """The folder `results` of the working directory."""
    monkeypatch.chdir(tmp_path)
    return ResultsFolder(tmp_path / "results")


@pytest.fixture
def chain(results: ResultsFolder) -> Chain:
    """Makes the jobs of an experiment; `train` names the training, so that several can share it."""

    def make(name: str, train: str | None = None, config: Mapping[str, Any] | None = None) -> list[PlannedJob]:
        prints = {"model": "m", "labels": [["a", "a"], ["b", "b"]], "data": {"test": "x"}}

        def job(stage: StageName, folder: JobFolder, key: str, needs: Sequence[PlannedJob]) -> PlannedJob:
            record = JobRecord(stage, key, name, dict(config or {}), "/", prints)
            return PlannedJob(folder, record, tuple(need.folder.path for need in needs))

        key = name.ljust(16, "0")
        trained = job("train", results.stage("train", train or name), train or name, [])
        inferred = job("infer", results.stage("infer", name), name, [trained])
        folder = JobFolder(results.experiments / f"{name}-{key[:8]}")
        return [trained, inferred, job("evaluate", folder, key, [inferred, trained])]

    return make
