"""Loading: dtype, placement, quantisation, and what is refused."""

import sys
from dataclasses import replace

import pytest
import torch

from sft.config.model import QuantizationConfig
from sft.exceptions import MachineError, PackageMissing, UserError
from sft.models import quantization
from sft.models.config_file import AFTER_PADDING
from sft.models.loading import ModelSource, context_length, load_model
from sft.models.model_args import check_model_args
from sft.models.quantization import build_quantization, check_quantization
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

CPU_ONLY = pytest.mark.skipif(torch.cuda.is_available(), reason="of the CPU")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a tiny Llama in `model`, one of 4-bit block width."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved")
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=64, num_key_value_heads=2, max_position_embeddings=77, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    return folder


def load(saved, **changes):
    return load_model(ModelSource("model", saved, **changes), CAUSAL_LM)


@CPU_ONLY
def test_the_default_is_fp32_in_eval_mode_on_the_cpu(saved):
    model = load(saved)
    assert (model.dtype, model.training, model.device.type) == (torch.float32, False, "cpu")
    assert context_length(model) == context_length(model.config) == 77


@pytest.mark.parametrize("kind", sorted(AFTER_PADDING - {"longformer", "luke", "xmod"}))
def test_places_up_to_the_padding_hold_no_token(kind):
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    places = {"vocab_size": 40, "max_position_embeddings": 14, "pad_token_id": 1}
    model = AutoModel.from_config(AutoConfig.for_model(kind, **sizes, **places)).eval()
    length = context_length(model)
    assert length == 12
    model(input_ids=torch.full((1, length), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, length + 1), 5))


@pytest.mark.parametrize(
    ("args", "dtype"),
    [
        ({"dtype": "bfloat16"}, torch.bfloat16),
        ({"torch_dtype": "torch.float16"}, torch.float16),
        ({"dtype": "auto"}, torch.float32),
        ({"parallelize": True, "dtype": "float32"}, torch.float32),
    ],
    ids=str,
)
def test_the_dtype_is_as_written(saved, args, dtype):
    assert load(saved, model_args=args).dtype == dtype


def test_modules_that_must_not_be_split_stay_whole(saved, monkeypatch):
    import accelerate

    seen = []
    real = accelerate.infer_auto_device_map
    monkeypatch.setattr(accelerate, "infer_auto_device_map", lambda *args: seen.append(args[2]) or real(*args))
    model = load(saved, model_args={"parallelize": True, "no_split_module_classes": ["LlamaDecoderLayer"]})
    assert seen == [["LlamaDecoderLayer"]]
    assert all(parameter.device.type != "meta" for parameter in model.parameters())


@CPU_ONLY
def test_four_bit_weights_keep_their_form_in_a_forward_pass(saved):
    from sft.initialization.utils import dequantize

    args = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "torch.float32"}
    model = load(saved, quantization=QuantizationConfig(config_class="BitsAndBytesConfig", args=args))
    layers = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    assert len(layers) == 14
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    before = dequantize(layers[0])
    with torch.no_grad():
        model(torch.tensor([[1, 2, 3]]))
    assert torch.equal(dequantize(layers[0]), before)


def test_what_is_no_model_is_told(saved, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    (tmp_path / "text.gguf").write_text("no weights")
    for name, message in [
        ("adapter", "is the folder of a trained adapter; name it in model.adapter"),
        ("folder", "holds no model: it has no config.json"),
        ("pickled", "only safetensors are read"),
        ("./nowhere", "no file or folder"),
    ]:
        with pytest.raises(UserError, match=message) as told:
            load_model(ModelSource(name, tmp_path), CAUSAL_LM)
        assert told.value.kind == "model"


def test_a_hub_model_that_is_not_cached_is_a_machine_error_offline(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MachineError, match='model "org/nam" not found locally') as told:
        load_model(ModelSource("org/nam", tmp_path), CAUSAL_LM)
    assert (told.value.kind, told.value.exit_code) == ("network", 5)


def test_an_argument_that_the_model_does_not_take_is_told(saved):
    with pytest.raises(UserError, match="model 'model' cannot be loaded"):
        load(saved, model_args={"no_such_argument": 1})


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"dtype": "bf16"}, ("dtype", "'bf16'; allowed: auto, float32, bfloat16, float16, float64")),
        ({"dtype": "float32", "torch_dtype": "float32"}, ("torch_dtype", "dtype is there too; write one of them")),
        ({"load_in_4bit": True}, ("load_in_4bit", "refused: write it in model.quantization")),
        ({"no_split_module_classes": ["X"]}, ("no_split_module_classes", "has an effect only with parallelize: true")),
        ({"trust_remote_code": "false"}, ("trust_remote_code", "'false'; allowed: true, false")),
        ({"parallelize": "yes"}, ("parallelize", "'yes'; allowed: true, false")),
        ({"parallelize": True, "device_map": "auto"}, ("device_map", "parallelize places the model itself")),
        ({"parallelize": True, "no_split_module_classes": "X"}, ("no_split_module_classes", "'X'; it is a list")),
    ],
    ids=str,
)
def test_model_args_that_cannot_work_are_told(args, expected, saved):
    ((key, message),) = check_model_args(args)
    assert key == expected[0]
    assert message.startswith(expected[1])
    with pytest.raises(UserError, match=f"model.model_args.{key}"):
        load(saved, model_args=args)


def test_quantization_is_checked_by_name_and_argument():
    good = QuantizationConfig(config_class="BitsAndBytesConfig", args={"load_in_8bit": True})
    assert check_quantization(good) == []
    (unknown,) = check_quantization(QuantizationConfig(config_class="BitsAndByteConfig"))
    assert "did you mean BitsAndBytesConfig?" in unknown
    assert check_quantization(QuantizationConfig(config_class="PreTrainedModel"))
    wrong = {"load_in_4bits": True, "bnb_4bit_compute_dtype": "bf16"}
    key, dtype = check_quantization(QuantizationConfig(config_class="BitsAndBytesConfig", args=wrong))
    assert "did you mean load_in_4bit?" in key
    assert "args.bnb_4bit_compute_dtype is 'bf16'" in dtype


def test_a_quantization_is_built_with_text_dtypes_or_says_what_is_missing(monkeypatch):
    args = {"load_in_4bit": True, "bnb_4bit_compute_dtype": "torch.bfloat16"}
    built = build_quantization(QuantizationConfig(config_class="BitsAndBytesConfig", args=args))
    assert built.bnb_4bit_compute_dtype == torch.bfloat16
    with pytest.raises(UserError, match="BitsAndBytesConfig refuses its args"):
        build_quantization(QuantizationConfig(config_class="BitsAndBytesConfig", args={"load_in_4bit": "yes"}))
    monkeypatch.setitem(quantization.PACKAGES, "BitsAndBytesConfig", ("no_such_package", "pip install it"))
    with pytest.raises(PackageMissing, match=r"needs the package no_such_package.*install it with: pip install it"):
        build_quantization(QuantizationConfig(config_class="BitsAndBytesConfig", args=args))
    assert "no_such_package" not in sys.modules


def test_the_class_is_that_of_the_objective(saved):
    objective = replace(CAUSAL_LM, auto_class="AutoModel")
    with pytest.raises(UserError, match=r"weights that LlamaModel has no place for: lm_head\.weight"):
        load_model(ModelSource("model", saved), objective)
