"""What is found out about GPUs, by a `pynvml` and an `nvidia-smi` that are played."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sft.processes.gpu_query import answer

FAKE = Path(__file__).resolve().parents[2] / "fake_nvml"
LIBRARY = [{"uuid": "GPU-a", "free": 100.0, "capability": [7, 5]}, {"uuid": "GPU-b", "parts": ["MIG-1", "MIG-2"]}]


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Says what the library tells; no other program is on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(FAKE))

    def say(**said: Any) -> None:
        (tmp_path / "said.json").write_text(json.dumps(said))
        monkeypatch.setenv("FAKE_NVML", str(tmp_path / "said.json"))
        sys.modules.pop("pynvml", None)

    yield say
    sys.modules.pop("pynvml", None)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what `nvidia-smi` writes, and what it ends with."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def say(text: str, code: int = 0) -> None:
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\nprintf '%s' '{text}'\nexit {code}\n")
        path.chmod(0o755)

    return say


def test_gpus_and_their_parts(nvml: Callable[..., None]) -> None:
    nvml(gpus=LIBRARY)
    whole, divided = answer("list", "/nowhere")["gpus"]
    assert whole == {
        "index": "0",
        "uuid": "GPU-a",
        "free": 100.0,
        "total": 80_000.0,
        "users": [],
        "capability": [7, 5],
        "parts": [],
        "error": "",
    }
    assert (divided["index"], divided["parts"], divided["free"]) == ("1", ["MIG-1", "MIG-2"], None)


def test_who_computes_on_a_gpu_is_told_where_it_is_seen(nvml: Callable[..., None]) -> None:
    nvml(gpus=[{"uuid": "GPU-a", "free": 100.0, "total": 16_000.0, "users": [42, 7, 42]}, {"uuid": "GPU-b"}])
    told = [(gpu["total"], gpu["free"], gpu["users"]) for gpu in answer("list", "/nowhere")["gpus"]]
    assert told == [(16_000.0, 100.0, [7, 42]), (None, None, [])]


def test_one_that_is_lost_is_told_beside_the_others(nvml: Callable[..., None]) -> None:
    nvml(gpus=[{"error": 15}, LIBRARY[0], {"uuid": "GPU-c", "parts": []}])
    lost, sound, undivided = answer("list", "/nowhere")["gpus"]
    assert (lost["index"], lost["error"], sound["error"]) == ("0", "NVML says: error 15", "")
    assert undivided["error"] == "it is to be divided (MIG) and has no parts"


def test_what_no_run_depends_on_stops_none(nvml: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(gpus=[{"error": 4}, LIBRARY[0]])
    import pynvml

    def older(_handle: Any) -> None:
        raise RuntimeError("an unversioned function was called and no matching version could be found")

    def strange(_handle: Any) -> None:
        raise pynvml.NVMLError(999)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", older)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", strange)
    (allowed,) = answer("list", "/nowhere")["gpus"]
    assert (allowed["uuid"], allowed["users"], allowed["free"], allowed["error"]) == ("GPU-a", [], None, "")


@pytest.mark.parametrize(
    ("code", "kind"), [(12, "absent"), (9, "why"), *((code, "broken") for code in (1, 4, 15, 18, 28, 999))]
)
def test_a_broken_library_is_told_from_one_that_is_not_there(
    nvml: Callable[..., None], tmp_path: Path, code: int, kind: str
) -> None:
    nvml(init=code)
    assert answer("list", "/nowhere")[kind] == f"NVML says: error {code}"
    (tmp_path / "nvidia0").touch()
    told = answer("list", f"{tmp_path}/nvidia[0-9]*")
    assert set(told) == {"broken"}
    assert f"error {code}" in told["broken"]


def test_no_gpu_for_a_driver_that_works_is_none(nvml: Callable[..., None], tmp_path: Path) -> None:
    """A scheduler may show the device files of GPUs that it did not allot."""
    nvml(gpus=[])
    (tmp_path / "nvidia0").touch()
    assert answer("list", f"{tmp_path}/nvidia[0-9]*") == {"gpus": [], "knows_parts": True}


def test_the_program_is_asked_only_where_there_is_no_library(
    nvml: Callable[..., None], program: Callable[..., None]
) -> None:
    program("broken", 15)
    nvml(gpus=LIBRARY)
    assert len(answer("list", "/nowhere")["gpus"]) == 2
    nvml(init=12)
    assert answer("list", "/nowhere") == {"broken": "nvidia-smi ends with code 15: broken"}
    program("0, GPU-a\n1, GPU-b\n")
    found = answer("list", "/nowhere")
    assert [(gpu["index"], gpu["uuid"]) for gpu in found["gpus"]] == [("0", "GPU-a"), ("1", "GPU-b")]
    assert found["knows_parts"] is False
    program("GPU-a, 900\nGPU-b, [N/A]\n")
    assert [gpu["free"] for gpu in answer("memory", "/nowhere")["gpus"]] == [900.0, None]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (6, {"gpus": [], "knows_parts": False}),
        (9, {"gpus": [], "knows_parts": False, "why": "nvidia-smi ends with code 9: said"}),
        (12, {"absent": "nvidia-smi ends with code 12: said"}),
        (255, {"broken": "nvidia-smi ends with code 255: said"}),
    ],
)
def test_what_the_program_ends_with_counts(
    nvml: Callable[..., None], program: Callable[..., None], code: int, told: dict[str, Any]
) -> None:
    nvml(init=12)
    program("\nsaid\nmore", code)
    assert answer("list", "/nowhere") == told


def test_without_the_package_the_program_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", "/nowhere")
    assert answer("list", "/nowhere") == {"absent": "the package nvidia-ml-py is not installed"}
    (tmp_path / "nvidia3").touch()
    told = answer("list", f"{tmp_path}/nvidia[0-9]*")["broken"]
    assert told == f"there is {tmp_path}/nvidia3, but the package nvidia-ml-py is not installed"
