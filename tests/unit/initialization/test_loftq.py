"""LoftQ starts from what quantisation lost, beside the base as it is, whatever way the model's files are laid out."""

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import save_adapter
from sft.exceptions import UserError
from sft.initialization.factors import initial_factors
from sft.initialization.layers import adapter_layers
from sft.initialization.utils import dequantize
from sft.models.layers.bitsandbytes_layers import keep_weights_readable
from tests.support.tiny_models import gpt2, llama

BITS = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.float32},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_compute_dtype": torch.float32},
    "int8": {"load_in_8bit": True},
}
OPTIONS = {"r": 4, "init_lora_weights": "loftq", "lora_alpha": 16}


def loaded(folder, kind="nf4"):
    given = {"quantization_config": BitsAndBytesConfig(**BITS[kind])} if kind in BITS else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **given).eval()
    keep_weights_readable(model)
    return model


def attached(model, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="loftq adds its factors to an untouched base")
        return attach_adapter(model, "lora", {**OPTIONS, **options}, Path(), seed=1)


def weights_of(model):
    """Name -> (out, in) of every linear layer but the head."""
    return {
        name: dequantize(module)
        for name, module in model.named_modules()
        if hasattr(module, "weight")
        and module.weight.dim() == 2
        and not name.endswith(("lm_head", "wte", "wpe", "embed_tokens"))
    }


@pytest.fixture
def files(tmp_path):
    llama().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", BITS)
def test_the_start_is_the_best_correction_of_its_rank_and_the_base_stays(kind, files):
    original, before = weights_of(llama()), weights_of(loaded(files, kind))
    layers = adapter_layers(attached(loaded(files, kind), rank_pattern={"v_proj": 6}, use_rslora=True))
    assert len(layers) == 14
    for layer in layers:
        name = layer.name.removeprefix("base_model.model.")
        a, b = layer.weights()
        quantised = dequantize(layer.base)
        assert torch.equal(quantised, before[name])
        left = torch.linalg.svdvals((original[name] - quantised).double())[layer.rank :].norm()
        distance = (original[name] - quantised - layer.scaling * b @ a).norm()
        assert distance == pytest.approx(float(left), rel=1e-4)
        assert distance < 0.99 * (original[name] - quantised).norm()


def test_plain_peft_on_the_base_quantised_as_ever_is_the_trained_model(files, logits, train_steps, tmp_path):
    model = attached(loaded(files))
    assert not initial_factors(model)
    losses = train_steps(model)
    assert losses[-1] < losses[0]
    save_adapter(model, "lora", tmp_path / "adapter")
    plain = PeftModel.from_pretrained(loaded(files), tmp_path / "adapter")
    assert plain.peft_config["default"].r == 4
    assert (logits(plain) - logits(model)).abs().max() < 1e-5


def test_the_change_of_the_model_is_told(files):
    with pytest.warns(
        UserWarning, match="loftq adds its factors to an untouched base: the model starts nearer to its"
    ):
        attach_adapter(loaded(files), "lora", OPTIONS, Path(), seed=1)


@pytest.mark.parametrize("make", [llama, gpt2])
def test_weights_in_several_files_and_of_turned_layers_are_found(make, tmp_path):
    make().save_pretrained(tmp_path, max_shard_size="60KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    original = weights_of(make())
    for layer in adapter_layers(attached(loaded(tmp_path))):
        wanted = original[layer.name.removeprefix("base_model.model.")]
        a, b = layer.weights()
        lost = wanted - dequantize(layer.base)
        assert (lost - layer.scaling * b @ a).norm() < 0.99 * lost.norm()


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("plain", r"initialiser loftq, layer .*q_proj: the weights are not quantised"),
        ("memory", "was not loaded from files"),
        ("stored", r"no safetensors file of .* holds model.layers.0.self_attn.q_proj.weight in floats"),
        ("gone", r"no safetensors file of .* holds"),
        ("other", "the model's files hold another matrix under its name"),
    ],
)
def test_what_it_cannot_start_from_is_refused_by_name(case, told, files, make_model, tmp_path):
    model = make_model("nf4") if case == "memory" else loaded(files, "none" if case == "plain" else "nf4")
    if case == "stored":
        model.save_pretrained(tmp_path / "packed")
        model = loaded(tmp_path / "packed", "none")
    if case == "gone":
        (files / "model.safetensors").unlink()
    if case == "other":
        llama(seed=1).save_pretrained(files)
    with pytest.raises(UserError, match=told) as refused:
        attached(model)
    assert refused.value.kind == "model"
