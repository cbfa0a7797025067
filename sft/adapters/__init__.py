"""Adapter methods: what is trained on top of the base model.

To add one: a file with a `METHOD` (see `method.py`) and its line here.
"""

from sft.registry import Registry

adapter_registry: Registry = {
    "none": "sft.adapters.none:METHOD",
    "lora": "sft.adapters.lora.method:METHOD",
    "dora": "sft.adapters.lora.dora:METHOD",
    "ssf": "sft.adapters.ssf.method:METHOD",
    "bottleneck": "sft.adapters.bottleneck.method:METHOD",
    "full": "sft.adapters.base_weights.full:METHOD",
    "last_layer": "sft.adapters.base_weights.last_layer:METHOD",
    "ia3": "sft.adapters.peft.methods:IA3",
    "vera": "sft.adapters.peft.methods:VERA",
    "oft": "sft.adapters.peft.methods:OFT",
    "ln_tuning": "sft.adapters.peft.methods:LN_TUNING",
    "prompt_tuning": "sft.adapters.peft.methods:PROMPT_TUNING",
}
