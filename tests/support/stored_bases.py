"""Adapters on bases that packages outside of `.venv` store, held to what they promise; run in `.venv-storages`.

python -m tests.support.stored_bases FOLDER    # prints, as the last line, JSON: check -> what is wrong with it
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.adapters.support import refusal
from sft.config.model import QuantizationConfig
from sft.deployment.exporting.merging import merged_model
from sft.exceptions import UserError
from sft.initialization.utils import dequantize
from sft.models.answering.heads import head_names
from sft.models.loading import ModelSource, load_model
from sft.models.storages import gradient_stop, known_storage
from sft.objectives import objective_named
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD
from tests.support import method_checks
from tests.support.method_checks import Cell, check_method, off
from tests.support.packing import write_packed
from tests.support.tiny_models import MAKERS, bert_head, llama, tiny_logits

OBJECTIVE = "causal_lm"
PLAIN_MODULES = ("torch.nn.", "transformers.models.")
INT4 = {
    "_type": "IntxWeightOnlyConfig",
    "_version": 2,
    "_data": {
        "weight_dtype": {"_type": "torch.dtype", "_data": "int4"},
        "granularity": {"_type": "PerGroup", "_version": 1, "_data": {"group_size": 32}},
    },
}
QUANTIZED = {
    "torchao-8": ("TorchAoConfig", {"quant_type": "Int8WeightOnlyConfig"}),
    "torchao-4": ("TorchAoConfig", {"quant_type": INT4}),
    "torchao-fp8": ("TorchAoConfig", {"quant_type": "Float8WeightOnlyConfig"}),
    "quanto": ("QuantoConfig", {"weights": "int8"}),
}
PACKED = ("gptq", "awq")
STOPPING = ("Int8DynamicActivationInt8WeightConfig", "Int8DynamicActivationIntxWeightConfig")
CELLS = [
    *(Cell(method, "torchao-8") for method in ("lora", "dora", "ssf", "oft")),
    *(Cell(method, "torchao-8", rate=5e-2) for method in ("ia3", "vera", "ln_tuning", "loha", "gralora")),
    *(Cell(method, "torchao-4") for method in ("lora", "dora", "bottleneck")),
    Cell("lora", "torchao-fp8"),
    Cell("lora", "quanto"),
    *(Cell(method, "gptq") for method in ("lora", "ssf", "bottleneck")),
    Cell("prompt_tuning", "gptq", {"num_virtual_tokens": 4}, start_shift=None),
    *(Cell(method, "awq") for method in ("lora", "ssf")),
    Cell("ln_tuning", "awq", rate=5e-2),
    *(
        Cell(method, f"{kind}_{base}_head")
        for method in ("lora", "ssf")
        for kind in PACKED
        for base in ("llama", "bert")
    ),
]
"""Cells of the support matrix that are promised for these kinds, as far as time allows."""
KERNELS = 5e-3
"""How far the kernels of gptqmodel, which compute in 16 bits, may be off, relative to the largest."""


def write_encoder(folder: Path, kind: str) -> None:
    """An encoder without a head or a pooler, of which the config says, as GPTQ wants it, where its blocks are."""
    from transformers import BertForMaskedLM

    write_packed(BertForMaskedLM(bert_head().config), folder, kind)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["block_name_to_quantize"] = "bert.encoder.layer"
    (folder / "config.json").write_text(json.dumps(config))


def with_head(folder: Path, name: str) -> Any:
    """A stored base with a new head, which is plain."""
    model = load_model(ModelSource(name, folder, labels=("a", "b", "c"), head_seed=3), SEQUENCE_HEAD)
    model.config.pad_token_id = 0
    assert all(type(model.get_submodule(part)).__module__.startswith(PLAIN_MODULES) for part in head_names(model))
    return model


def loaded(folder: Path, name: str, section: tuple[str, dict[str, Any]] | None = None) -> Any:
    asked = None if section is None else QuantizationConfig(config_class=section[0], args=section[1])
    return load_model(ModelSource(name, folder, quantization=asked), objective_named(OBJECTIVE))


def check_reading(kind: str, stands_for: Any | None) -> None:
    """The matrix that is read, the outputs and the gradient of the inputs are those of the same weights."""
    model = MAKERS[kind]()
    layer = model.model.layers[1].mlp.up_proj
    assert known_storage(layer) is not None
    weights = dequantize(layer)
    if stands_for is not None:
        expected = stands_for.model.layers[1].mlp.up_proj.weight
        assert torch.equal(weights, expected), "the weights that are read are not those that were packed"
        assert off(tiny_logits(stands_for), tiny_logits(model)) < KERNELS
    torch.manual_seed(0)
    inputs, gradient = torch.randn(5, layer.in_features, requires_grad=True), torch.randn(5, layer.out_features)
    outputs = layer(inputs)
    outputs.backward(gradient)
    assert off(inputs.detach() @ weights.T, outputs.detach()) < KERNELS
    assert inputs.grad is not None
    assert off(gradient @ weights, inputs.grad) < KERNELS, "another gradient than that of the weights"


def check_initial(kind: str, init: str) -> None:
    """An initialiser sees the weights that the layer computes with, and leaves what the model computes."""
    model = MAKERS[kind]()
    before = tiny_logits(model)
    weights = dequantize(model.model.layers[0].self_attn.q_proj)
    attached = attach_adapter(model, "lora", {"init_lora_weights": init, "r": 4}, Path(), 1)
    a = attached.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    directions = torch.linalg.svd(weights).Vh[:4]
    assert (torch.nn.functional.normalize(a) @ directions.T).abs().diag().min() > 0.99
    assert off(before, tiny_logits(attached)) < 1e-4


def check_export(kind: str, folder: Path) -> None:
    """A trained adapter becomes part of the plain weights that the stored ones stand for."""
    model = attach_adapter(MAKERS[kind](), "lora", {"r": 4}, Path(), 1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    save_adapter(model, "lora", folder)
    merged, measured = merged_model(MAKERS[kind], folder, [list(range(2, 12))], lambda: None)
    assert measured.distances.merged < 1e-4 < measured.distances.base
    assert not hasattr(merged.config, "quantization_config")
    assert type(merged.model.layers[0].mlp.up_proj) is torch.nn.Linear


def check_stopped(folder: Path, quant_type: str) -> None:
    """Outputs come without a gradient, and the trainer as well as the plan refuse."""
    model = loaded(folder, "plain", ("TorchAoConfig", {"quant_type": quant_type}))
    inputs = torch.randn(5, 64, requires_grad=True)
    assert not model.model.layers[0].mlp.up_proj(inputs).requires_grad, "a gradient passes now: this type can be taken"
    assert quant_type in str(gradient_stop(model))
    assert refusal("lora", {}, f"torchao {quant_type}", objective_named(OBJECTIVE))


def check_left_plain(folder: Path) -> None:
    """What torchao leaves as it is, with a line in a log, is an error."""
    with pytest.raises(UserError, match=r"leaves layers as they are: model\.layers\.0\.self_attn\.q_proj"):
        loaded(folder, "plain", ("TorchAoConfig", {"quant_type": "Int4WeightOnlyConfig"}))


def checks(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    plain = llama()
    plain.save_pretrained(folder / "plain")
    stands_for = {kind: write_packed(plain, folder / kind, kind) for kind in PACKED}
    for kind in PACKED:
        MAKERS[kind] = lambda kind=kind: loaded(folder, kind)
        write_encoder(folder / f"{kind}_bert", kind)
        for name, base in ((f"{kind}_llama_head", kind), (f"{kind}_bert_head", f"{kind}_bert")):
            MAKERS[name] = lambda base=base: with_head(folder, base)
            method_checks.STORAGES[name] = kind
    for kind, section in QUANTIZED.items():
        MAKERS[kind] = lambda section=section: loaded(folder, "plain", section)
        method_checks.STORAGES[kind] = kind.partition("-")[0]
    for kind in ("torchao-8", "torchao-4", "torchao-fp8", *PACKED):
        yield f"reading {kind}", lambda kind=kind: check_reading(kind, stands_for.get(kind))
    for kind, init in (("gptq", "pissa"), ("awq", "pca"), ("torchao-4", "pissa")):
        yield f"{init} on {kind}", lambda kind=kind, init=init: check_initial(kind, init)
    for kind in ("torchao-8", *PACKED):
        yield f"export from {kind}", lambda kind=kind: check_export(kind, Path(tempfile.mkdtemp(dir=folder)) / "made")
    for quant_type in STOPPING:
        yield quant_type, lambda quant_type=quant_type: check_stopped(folder, quant_type)
    yield "left plain", lambda: check_left_plain(folder)
    for cell in CELLS:
        yield str(cell), lambda cell=cell: check_method(cell, Path(tempfile.mkdtemp(dir=folder)))


def here(kind: str, adapter: Path) -> torch.Tensor:
    """The logits of a saved adapter on a base that is loaded anew: a fork does not bear the threads of gptqmodel."""
    return tiny_logits(load_adapter(MAKERS[kind](), adapter))


def main(folder: Path) -> None:
    wrong = {}
    with (
        mock.patch.object(method_checks, "logits_in_new_process", here),
        mock.patch.object(method_checks, "start_preloading"),
    ):
        for name, check in checks(folder):
            try:
                check()
            except Exception as error:  # noqa: BLE001  what it was is what is printed
                wrong[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
