"""Plays NVIDIA's `pynvml` for a process that finds it on its path; `FAKE_NVML` is a JSON file that says how.

`{"init": error, "hangs": true, "crashes": true, "asked": file, "gpus": [...]}`, a GPU as `{"uuid", "free",
"total" (MiB), "users", "capability", "parts", "error"}`.
"""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SAID: dict[str, Any] = json.loads(Path(os.environ["FAKE_NVML"]).read_text())
NOT_SUPPORTED, NOT_FOUND = 3, 6


class NVMLError(Exception):
    """Only its number is read."""

    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


def nvmlInit() -> None:
    if "asked" in SAID:
        with open(SAID["asked"], "a") as file:
            file.write("asked\n")
    if SAID.get("hangs"):
        time.sleep(600)
    if SAID.get("crashes"):
        os.abort()
    if "init" in SAID:
        raise NVMLError(SAID["init"])


def nvmlDeviceGetCount() -> int:
    return len(SAID["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> Any:
    gpu = SAID["gpus"][index]
    if "error" in gpu:
        raise NVMLError(gpu["error"])
    return gpu


def nvmlDeviceGetUUID(handle: Any) -> str:
    return handle["uuid"]


def nvmlDeviceGetMemoryInfo(handle: Any) -> Any:
    if "free" not in handle:
        raise NVMLError(NOT_SUPPORTED)
    return SimpleNamespace(free=int(handle["free"] * 2**20), total=int(handle.get("total", 80_000) * 2**20))


def nvmlDeviceGetComputeRunningProcesses(handle: Any) -> list[Any]:
    if "users" not in handle:
        raise NVMLError(NOT_SUPPORTED)
    return [SimpleNamespace(pid=pid) for pid in handle["users"]]


def nvmlDeviceGetCudaComputeCapability(handle: Any) -> tuple[int, ...]:
    return tuple(handle.get("capability", (9, 0)))


def nvmlDeviceGetMigMode(handle: Any) -> list[int]:
    if "parts" not in handle:
        raise NVMLError(NOT_SUPPORTED)
    return [1, 1]


def nvmlDeviceGetMaxMigDeviceCount(handle: Any) -> int:
    return 7


def nvmlDeviceGetMigDeviceHandleByIndex(handle: Any, index: int) -> Any:
    if index >= len(handle["parts"]):
        raise NVMLError(NOT_FOUND)
    return {"uuid": handle["parts"][index]}
