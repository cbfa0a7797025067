"""Whether a trained LoRA adapter can be trained on under given options; nothing heavy is imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.adapters.method import OptionFinding
from sft.adapters.saving import adapter_config

DEFAULT_RANK = 8
FREELY_CHANGED = ("lora_dropout",)


def disagreements(options: Mapping[str, Any], adapter: Path) -> list[OptionFinding]:
    """The options that say otherwise than the adapter; it keeps its own shape.

    Args:
        options: of the new training, as written.
        adapter: folder of the trained adapter.

    Raises:
        UserError: the folder holds no adapter.
    """
    saved = adapter_config(adapter)
    if saved.get("peft_type") != "LORA":
        return [OptionFinding("", f"model.adapter: {adapter} is a {saved.get('peft_type')} adapter, not lora")]
    found = []
    for key, value in {"r": DEFAULT_RANK, **options}.items():
        if value is not None and key not in FREELY_CHANGED and not _agrees(key, value, saved):
            name, known = ("exported_rank" if key == "r" else key), saved.get(key)
            message = f"{value!r}, but model.adapter has {name} {known!r}; write {key}: {known!r}"
            found.append(OptionFinding(key, message))
    return found


def _agrees(key: str, value: Any, saved: Mapping[str, Any]) -> bool:
    if key == "init_lora_weights":
        return value is True
    if key == "target_modules" and value == "all-linear":
        return True
    found = saved.get(key)
    if isinstance(value, list) and isinstance(found, list):
        return sorted(map(str, value)) == sorted(map(str, found))
    return bool(value == found)
