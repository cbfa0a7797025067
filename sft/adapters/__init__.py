"""Adapter methods: what is trained on top of the base model.

To add one: a file with a `METHOD` (see `method.py`) and its line here.
"""

from sft.registry import Registry

adapter_registry: Registry = {
    "none": "sft.adapters.none:METHOD",
    "lora": "sft.adapters.lora.method:METHOD",
    "dora": "sft.adapters.lora.dora:METHOD",
    "ssf": "sft.adapters.ssf.method:METHOD",
    "full": "sft.adapters.base_weights.full:METHOD",
    "last_layer": "sft.adapters.base_weights.last_layer:METHOD",
}
