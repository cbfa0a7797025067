"""Which type is in force: weights, products of a forward pass, products and trained tensors of a training."""

from typing import Any

import torch

from tests.gpu.bench import Bench
from tests.gpu.in_process import adapted, dtypes_of, loaded, random_ids, train
from tests.gpu.report import Findings


def run(bench: Bench, found: Findings) -> None:
    """On a GPU everything but what is trained must be bf16, computed by the GPU itself and not emulated."""
    expected = bench.expected_dtype
    if bench.on_gpu:
        real = torch.cuda.is_bf16_supported(including_emulation=False)
        found.same("bf16 in the GPU's own units, as torch tells", real, expected == "bfloat16")
    model = loaded(bench)
    found.figure("parameters", sum(tensor.numel() for tensor in model.parameters()) / 1e6, "M")
    found.same("device of the weights", next(model.parameters()).device.type, bench.device)
    found.same("type of the weights", dtypes_of(model.parameters()), expected)
    with torch.inference_mode():
        found.same("type of the logits", dtypes_of([model(input_ids=random_ids(bench)).logits]), expected)
    _in_training(bench, adapted(bench, model), expected, found)


def _in_training(bench: Bench, model: Any, expected: str, found: Findings) -> None:
    seen: list[torch.Tensor] = []
    layers = [module for name, module in model.named_modules() if name.endswith("q_proj.base_layer")]
    hooks = [
        layer.register_forward_hook(lambda _layer, _given, made: seen.append(made.detach()[:0])) for layer in layers
    ]
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters() if tensor.requires_grad}
    train(bench, model, {"max_steps": 2, "per_device_train_batch_size": 2})
    for hook in hooks:
        hook.remove()
    trained = {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}
    found.same("type of the products in a training", dtypes_of(seen), expected)
    found.same("type of what is trained", dtypes_of(trained.values()), "float32")
    moved = min(float((tensor != before[name]).float().mean()) for name, tensor in trained.items())
    found.figure("share of each trained tensor that moved", moved, "", "> 0.5")
    found.require(moved > 0.5, f"a trained tensor hardly moves: {moved:.2g} of its elements")
