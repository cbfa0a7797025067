"""What is recorded of the device."""

import pytest
import torch

from sft.processes.environment import device_record


def test_the_peak_of_gpu_memory_is_that_of_all_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = [3, 40, 500]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(peaks))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "pretended")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=0: peaks[device])
    assert device_record()["peak_gpu_bytes"] == 543
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_record()["peak_gpu_bytes"] is None
