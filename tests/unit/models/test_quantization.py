"""Quantisation sections: what is wrong with them, and what the loading of a model makes of them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sft.config.model import QuantizationConfig
from sft.exceptions import PackageMissing, UserError
from sft.models.quantization import build_quantization, check_quantization, loading_quantization
from sft.models.storages import gradient_stop

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}
CPU_ONLY = pytest.mark.skipif(torch.cuda.is_available(), reason="of machines without a GPU")


def section(name: str, **args: Any) -> QuantizationConfig:
    return QuantizationConfig(config_class=name, args=args)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("GPTQConfig", {"backend": "gptq_torch"}, "args.bits is missing; GPTQConfig needs it"),
        ("TorchAoConfig", {}, "args.quant_type is missing"),
        ("BitsAndBytesConfig", {}, "neither load_in_4bit nor load_in_8bit is true; write one of them, or leave"),
        ("BitsAndBytesConfig", {"load_in_4bit": False}, "neither load_in_4bit nor load_in_8bit is true"),
        (
            "BitsAndBytesConfig",
            {"load_in_4bit": True, "load_in_8bit": True},
            "both load_in_4bit and load_in_8bit are true",
        ),
        (
            "HqqConfig",
            {"nbits": 4},
            "HqqConfig: transformers does not quantise with HQQ at present; BitsAndBytesConfig",
        ),
        (
            "BitsAndBytesConfig",
            {"load_in_4bit": True, "bnb_4bit_compute_dtype": "bf16"},
            "is 'bf16'; allowed: float32",
        ),
        (
            "BitsAndBytesConfig",
            {"load_in_4bit": True, "bnb_4bit_quant_type": "nf5"},
            "args.bnb_4bit_quant_type is 'nf5'; allowed: fp4, nf4",
        ),
    ],
)
def test_a_section_that_cannot_work_is_told_in_one_line(name: str, args: dict[str, Any], message: str):
    (found,) = check_quantization(section(name, **args))
    assert message in found
    assert "\n" not in found


@CPU_ONLY
def test_kernels_for_a_gpu_are_refused_without_one():
    with pytest.raises(
        UserError, match="FineGrainedFP8Config: its kernels need a GPU, and there is none; bitsandbytes"
    ):
        build_quantization(section("FineGrainedFP8Config"))


def test_a_plain_model_is_loaded_as_written():
    assert loading_quantization(None, {}) is None
    made = loading_quantization(section("BitsAndBytesConfig", load_in_8bit=True), {})
    assert made.load_in_8bit


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (section("GPTQConfig", bits=8), "args.bits is 8, but the model is stored with 4; leave it out"),
        (
            section("GPTQConfig", bits=4, sym=False),
            "args.sym is False, but the model is stored with True; leave it out",
        ),
        (section("AwqConfig"), "AwqConfig, but the model is stored as gptq; leave it out"),
    ],
)
def test_what_disagrees_with_the_stored_model_is_told(written: QuantizationConfig, message: str):
    with pytest.raises(UserError, match=message):
        loading_quantization(written, GPTQ)


@pytest.fixture
def packages_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sft.models.quantization.require_package", lambda name: None)
    monkeypatch.setenv("GPTQMODEL_CPU_WORKERS", "2")


@CPU_ONLY
@pytest.mark.usefixtures("packages_there")
def test_packed_models_get_kernels_that_pass_gradients_on():
    assert loading_quantization(None, GPTQ).backend == "gptq_torch"
    assert loading_quantization(None, {"quant_method": "awq", "bits": 4}).backend == "torch_awq"
    chosen = section("GPTQConfig", bits=4, backend="gptq_torch_aten")
    assert loading_quantization(chosen, GPTQ).backend == "gptq_torch_aten"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GPTQMODEL_CPU_WORKERS", "2")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        PackageMissing, match="needs the package gptqmodel, which is not installed; install it with: pip"
    ):
        loading_quantization(None, GPTQ)


def model_of(method: str, is_trainable: bool, layer: nn.Module | None = None, quant_type: Any = None) -> Any:
    model = nn.Sequential(layer or nn.Linear(2, 2))
    asked = SimpleNamespace(quant_method=method, quant_type=quant_type)
    vars(model)["hf_quantizer"] = SimpleNamespace(is_trainable=is_trainable, quantization_config=asked)
    return model


def test_weights_that_stop_gradients_are_known():
    only_infers = type("FastLinear", (nn.Linear,), {"SUPPORTS_TRAINING": False})(2, 2)
    dynamic, weights = (
        type(name, (), {})() for name in ("Int8DynamicActivationInt8WeightConfig", "IntxWeightOnlyConfig")
    )
    assert gradient_stop(nn.Linear(2, 2)) is None
    assert gradient_stop(model_of("gptq", True)) is None
    assert gradient_stop(model_of("torchao", False, quant_type=weights)) is None
    assert gradient_stop(model_of("gptq", True, only_infers)) == (
        "the kernels FastLinear only infer; leave backend out of model.quantization"
    )
    assert "no gradient passes weights stored as mxfp4" in str(gradient_stop(model_of("mxfp4", False)))
    said = str(gradient_stop(model_of("torchao", True, quant_type=dynamic)))
    assert said.startswith("no gradient passes Int8DynamicActivationInt8WeightConfig of torchao; it does with Int8W")
