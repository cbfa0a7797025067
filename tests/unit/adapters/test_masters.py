"""On a 16-bit base what is trained is held in fp32, and the saved adapter computes what the trained model does."""

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.saving import save_adapter
from sft.initialization.layers import adapter_layers

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
OPTIONS: list[dict[str, Any]] = [
    {"modules_to_save": ["lm_head"]},
    {"modules_to_save": ["embed_tokens", "norm"]},
    {"modules_to_save": ["embed_tokens", "lm_head"], "ensure_weight_tying": True},
    {"trainable_token_indices": [3, 4]},
    {"trainable_token_indices": {"embed_tokens": [3], "lm_head": [5]}},
    {"use_dora": True},
]


def made(make_model: Any, kind: str, is_tied: bool = False) -> Any:
    model = make_model("gpt2" if kind == "gpt2" else "fp32")
    if is_tied:
        model.config.tie_word_embeddings = True
        model.tie_weights()
    return model.to(HALF.get(kind, torch.bfloat16))


def moved(model: Any, before: dict[str, torch.Tensor]) -> list[str]:
    """Names of what is trained and has not changed, B of the first step aside."""
    own = dict(model.named_parameters())
    return [name for name, tensor in before.items() if torch.equal(own[name], tensor)]


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("autocast", "is_tied"),
    [
        (False, True),
        pytest.param(False, False, marks=SLOW),
        pytest.param(True, False, marks=SLOW),
        pytest.param(True, True, marks=SLOW),
    ],
)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_a_bf16_model_trains_fp32_masters_and_reloads_as_it_was(
    options: dict[str, Any],
    autocast: bool,
    is_tied: bool,
    make_model: Any,
    logits: Any,
    train_steps: Any,
    tmp_path: Path,
) -> None:
    if "ensure_weight_tying" in options and not is_tied:
        pytest.skip("refused where nothing is tied")
    written = copy.deepcopy(options)
    model = attach_adapter(made(make_model, "bf16", is_tied), "lora", options, Path(), 1)
    assert options == written
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    assert {tensor.dtype for tensor in before.values()} == {torch.float32}
    context = torch.autocast("cpu", torch.bfloat16) if autocast else contextlib.nullcontext()
    with context:
        train_steps(model, rate=1e-5)
    assert not [name for name in moved(model, before) if "token_adapter" not in name]
    train_steps(model)
    expected = logits(model)
    save_adapter(model, "lora", tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(made(make_model, "bf16", is_tied), tmp_path / "adapter")
    assert torch.equal(logits(loaded), expected)
    taken_up = continue_adapter(made(make_model, "bf16", is_tied), "lora", {}, tmp_path / "adapter")
    assert torch.equal(logits(taken_up), expected)
    assert {p.dtype for p in taken_up.parameters() if p.requires_grad} == {torch.float32}


@pytest.mark.parametrize("bias", ["all", "lora_only"])
def test_biases_of_a_bf16_model_train_and_reload(
    bias: str, make_model: Any, logits: Any, train_steps: Any, tmp_path: Path
) -> None:
    model = attach_adapter(made(make_model, "gpt2"), "lora", {"bias": bias}, Path(), 1)
    train_steps(model)
    expected = logits(model)
    save_adapter(model, "lora", tmp_path / "adapter")
    assert torch.equal(logits(PeftModel.from_pretrained(made(make_model, "gpt2"), tmp_path / "adapter")), expected)


def computed(model: Any) -> dict[str, torch.Tensor]:
    """The weights of each adapted layer with all its active adapters, in fp64."""
    found = {}
    for layer in adapter_layers(model):
        weight = layer.base_weight.double()
        for name in layer.module.active_adapters:
            a, b = layer.weights(name)
            product = layer.module.scaling[name] * b.double() @ a.double()
            weight = weight + (product.T if layer.module.fan_in_fan_out else product)
        found[layer.name] = weight
    return found


@pytest.mark.parametrize("kind", ["bf16", pytest.param("fp16", marks=SLOW), pytest.param("gpt2", marks=SLOW)])
@pytest.mark.parametrize("init", ["peft:pissa", "pissa_niter_4", "olora", "corda", "lora_ga", "pissa"])
def test_a_half_precision_base_rounds_nothing_of_what_is_taken_off_it(
    init: str, kind: str, make_model: Any, logits: Any, train_steps: Any, tmp_path: Path
) -> None:
    if (init, kind) == ("olora", "gpt2"):
        pytest.skip("does not know such layers")
    from tests.unit.adapters.lora.test_data_driven import token_rows

    before = logits(made(make_model, kind))
    options = {"r": 4, "init_lora_weights": init, "lora_alpha": 3}
    model = attach_adapter(made(make_model, kind), "lora", options, Path(), 1, token_rows(0))
    start = computed(made_with_lora(make_model, kind))
    for name, weight in computed(model).items():
        assert (weight - start[name]).abs().max() < 1e-6
    assert (logits(model) - before).abs().max() < 0.02 * before.abs().max()
    train_steps(model)
    save_adapter(model, "lora", tmp_path / "adapter")
    loaded = computed(PeftModel.from_pretrained(made(make_model, kind), str(tmp_path / "adapter")))
    for name, weight in computed(model).items():
        assert (weight - loaded[name]).abs().max() < 2e-5


def made_with_lora(make_model: Any, kind: str) -> Any:
    return attach_adapter(made(make_model, kind), "lora", {}, Path(), 1)
