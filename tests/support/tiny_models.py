"""Random models with two layers, in memory, by the kind of their weights; two of a kind are equal."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tests.support.encoder_decoders import FAMILIES, tiny_model
from tests.support.tiny_training import EOS, PAD

OF_BLOCKS = re.compile(r"\.(layers|block)\.")
"""In names of the layers that a quantised base has packed."""
IDS = torch.arange(2, 22).reshape(2, 10)


def llama(seed: int = 0, **changes: Any) -> Any:
    """64 hidden units: the block of 4-bit quantisation is 64 wide."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, num_key_value_heads=2, vocab_size=99, initializer_range=0.2, **changes)
    return LlamaForCausalLM(config).eval()


def gpt2(seed: int = 0) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=99, n_positions=32, initializer_range=0.2)
    return GPT2LMHeadModel(config).eval()


def bert_head(seed: int = 0) -> Any:
    """An encoder with a head that has three outputs."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = BertConfig(**sizes, vocab_size=99, num_labels=3, initializer_range=0.2)
    model = BertForSequenceClassification(config).eval()
    for name, weight in model.named_parameters():
        if name.endswith(".bias"):  # at 0 some methods would give it no gradient
            torch.nn.init.normal_(weight, std=0.1)
    return model


def llama_head(seed: int = 0) -> Any:
    """A decoder with a head that has three outputs and reads the last token of a row."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape = {**sizes, "num_key_value_heads": 2, "vocab_size": 99, "num_labels": 3, "pad_token_id": 0}
    return LlamaForSequenceClassification(LlamaConfig(**shape, initializer_range=0.2)).eval()


def gpt2_head(seed: int = 0) -> Any:
    """As `llama_head`, with layers that store their weights as (in, out)."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(seed)
    sizes = {"n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 99, "n_positions": 32}
    config = GPT2Config(**sizes, num_labels=3, pad_token_id=0, initializer_range=0.2)
    return GPT2ForSequenceClassification(config).eval()


def encoder_decoder(family: str) -> Any:
    """One of the families, with the ids of the tiny rows."""
    return tiny_model(family, 99, PAD, EOS, PAD)


def quantized(kind: str, make: Callable[[], Any] = llama) -> Any:
    """A tiny model, a Llama by default, whose linear layers are bitsandbytes layers, as loading leaves them."""
    import bitsandbytes as bnb

    from sft.models.layers.bitsandbytes_layers import keep_weights_readable

    model = make()
    kept = model._keep_in_fp32_modules or ()
    for name, layer in list(model.named_modules()):
        if isinstance(layer, torch.nn.Linear) and OF_BLOCKS.search(name) and name.rpartition(".")[2] not in kept:
            model.set_submodule(name, _quantized_layer(bnb, layer, kind))
    model.is_loaded_in_8bit, model.is_loaded_in_4bit = kind == "int8", kind == "nf4"
    keep_weights_readable(model)
    return model.requires_grad_(False)


def unpacked(packed: Any, make: Callable[[], Any]) -> Any:
    """The plain model that `make` gives, with the weights that the layers of a packed one stand for."""
    from sft.models.storages import storage_of

    plain = make()
    layers = [name for name, module in packed.named_modules() if type(getattr(module, "weight", None)) in _packings()]
    assert layers, "nothing is packed"
    with torch.no_grad():
        for name in layers:
            layer = packed.get_submodule(name)
            plain.get_submodule(name).weight.copy_(storage_of(layer).dequantize(layer))
    return plain


def _packings() -> tuple[type, ...]:
    import bitsandbytes as bnb

    return (bnb.nn.Params4bit, bnb.nn.Int8Params)


def _quantized_layer(bnb: Any, layer: torch.nn.Linear, kind: str) -> Any:
    shape, has_bias = (layer.in_features, layer.out_features), layer.bias is not None
    if kind == "nf4":
        made = bnb.nn.Linear4bit(*shape, bias=has_bias, quant_type="nf4", compute_dtype=torch.float32)
        made.weight = bnb.nn.Params4bit(layer.weight.data.clone(), requires_grad=False, quant_type="nf4", module=made)
    else:
        made = bnb.nn.Linear8bitLt(*shape, bias=has_bias, has_fp16_weights=False)
        made.weight = bnb.nn.Int8Params(layer.weight.data.clone(), requires_grad=False, has_fp16_weights=False)
    if has_bias:
        made.bias = torch.nn.Parameter(layer.bias.data.clone())
    return made.to("cpu")


MAKERS: dict[str, Callable[[], Any]] = {
    "fp32": llama,
    "bf16": lambda: llama().to(torch.bfloat16),
    "gpt2": gpt2,
    "nf4": lambda: quantized("nf4"),
    "int8": lambda: quantized("int8"),
    "bert_head": bert_head,
    "bert_head_bf16": lambda: bert_head().to(torch.bfloat16),
    "llama_head": llama_head,
    "gpt2_head": gpt2_head,
    **{f"{family}_source": partial(encoder_decoder, family) for family in FAMILIES},
    "t5_source_bf16": lambda: encoder_decoder("t5").to(torch.bfloat16),
    **{
        f"{family}_source_{kind}": partial(quantized, kind, partial(encoder_decoder, family))
        for family in FAMILIES
        for kind in ("nf4", "int8")
    },
    "llama_head_nf4": lambda: quantized("nf4", llama_head),
    "llama_head_int8": lambda: quantized("int8", llama_head),
}


def tiny_logits(model: Any) -> torch.Tensor:
    """The logits of a model on fixed ids, as fp32; those of virtual tokens before the ids are left out."""
    written = {"decoder_input_ids": IDS.flip(1)} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS, attention_mask=torch.ones_like(IDS), **written).logits
    return found[:, -IDS.shape[1] :].float()
