"""What the server of warm starts loads before the first job."""

import importlib
from types import ModuleType

import pytest

from sft.experiments.executors.warm import Preload
from sft.worker.server import load_beforehand


def test_what_each_training_of_lora_needs_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import conversion_mapping

    cache = "_checkpoint_conversion_mapping_cache"
    imported: list[str] = []
    real = importlib.import_module

    def recorded(name: str, package: str | None = None) -> ModuleType:
        imported.append(name)
        return real(name, package)

    monkeypatch.setattr(conversion_mapping, cache, None)
    monkeypatch.setattr(importlib, "import_module", recorded)
    load_beforehand(Preload(("train",), ("llama",)))
    assert getattr(conversion_mapping, cache) is not None
    assert "sft.adapters.lora.attach" in imported
