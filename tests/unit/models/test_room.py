"""Memory that runs out while a model is loaded is told as that, whatever the library raised."""

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import LoadingOutOfMemory, MachineError, UserError
from sft.models.loading import ModelSource, load_model
from sft.models.room import loading_room
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.worker.failures import error_record

GPU = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\n" + "GPU 0 has a total capacity. " * 20)
HOST = OSError(errno.ENOMEM, "Cannot allocate memory")
ALLOCATOR = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


def raising(error: Exception) -> Any:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    return refuse


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            GPU,
            "oom_gpu",
            r"GPU memory ran out while model .* was loaded \(CUDA out of memory.*quantize it .*parallelize",
        ),
        (HOST, "oom_host", r"^memory ran out while model .* was loaded .*a smaller batch does not help: .*--jobs"),
        (ALLOCATOR, "oom_host", "take a smaller model"),
        (MemoryError(), "oom_host", "was loaded; a smaller batch"),
    ],
)
def test_a_model_that_finds_no_room(
    error: Exception, kind: str, says: str, make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    make_model("fp32").save_pretrained(tmp_path)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", raising(error))
    with pytest.raises(LoadingOutOfMemory, match=says) as told:
        load_model(ModelSource(str(tmp_path), tmp_path), CAUSAL_LM)
    record = error_record(told.value)
    assert (record.kind, record.at_loading, record.message) == (kind, True, str(told.value))
    assert "\n" not in record.message
    assert len(record.message) < 700


def test_an_adapter_that_finds_none(make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import peft

    save_adapter(attach_adapter(make_model("fp32"), "lora", {"r": 2}, Path(), 1), "lora", tmp_path / "adapter")
    monkeypatch.setattr(peft.PeftModel, "from_pretrained", raising(GPU))
    with pytest.raises(LoadingOutOfMemory, match=r"ran out while the adapter .* was loaded"):
        load_adapter(make_model("fp32"), tmp_path / "adapter")


@pytest.mark.parametrize("error", [UserError("no"), MachineError("no network", kind="network"), ValueError("no")])
def test_any_other_error_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as told, loading_room("it was loaded"):
        raise error
    assert told.value is error
    assert not error_record(error).at_loading


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA driver error: unknown error",
        "No CUDA GPUs are available",
        "Found no NVIDIA driver on your system.",
        "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    ],
)
def test_a_gpu_that_failed_is_no_bad_model(
    make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    import transformers

    make_model("fp32").save_pretrained(tmp_path)
    failed = RuntimeError(said)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", raising(failed))
    with pytest.raises(RuntimeError) as told:
        load_model(ModelSource(str(tmp_path), tmp_path), CAUSAL_LM)
    assert told.value is failed
