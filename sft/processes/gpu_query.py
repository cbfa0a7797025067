"""`gpu_query list|memory`: writes a line of JSON about the GPUs of this machine, as a driver may hang or crash.

`{"gpus": [{"index", "uuid", "free", "total" (MiB), "users" (process ids), "capability", "parts" (of MIG), "error"}],
"knows_parts", "why" (there are none)}`, or `{"absent": why}` where nobody can be asked, or `{"broken": why}` where
what is there does not work. NVML is asked, and where its library is out of reach `nvidia-smi`, which is not asked for
total and users. Numbers are those of the order of the PCI bus.
"""

import glob
import json
import shutil
import subprocess
import sys
import tempfile
from typing import Any

DEVICE_FILES = "/dev/nvidia[0-9]*"
MIB = 1 << 20
NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, FUNCTION_NOT_FOUND = 3, 4, 6, 9, 12, 13
GPU_IS_LOST = 15
"""Errors of NVML; `nvidia-smi` ends with these codes."""
COLUMNS = {"list": ("index", "uuid"), "memory": ("uuid", "free")}
QUERIES = {"index": "index", "uuid": "uuid", "free": "memory.free"}

Answer = dict[str, Any]


def answer(question: str, device_files: str = DEVICE_FILES) -> Answer:
    """What is known of the GPUs.

    Args:
        question: `list` or `memory`; only `nvidia-smi` needs to know.
        device_files: a pattern of files that a loaded driver makes, one for each GPU.
    """
    told = _by_library()
    program = shutil.which("nvidia-smi")
    if "absent" in told and program is not None:
        told = _by_program(program, question)
    there = glob.glob(device_files)
    why = told.get("absent") or told.get("why")
    return {"broken": f"there is {min(there)}, but {why}"} if why and there else told


def _by_library() -> Answer:
    try:
        import pynvml
    except ImportError:
        return {"absent": "the package nvidia-ml-py is not installed"}
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        gpus = [_gpu(pynvml, index) for index in range(count)]
        return {"gpus": [gpu for gpu in gpus if gpu is not None], "knows_parts": True}
    except pynvml.NVMLError as error:
        return _without_gpus(error.value, _reason(error), knows_parts=True)


def _without_gpus(code: int, why: str, *, knows_parts: bool) -> Answer:
    if code == LIBRARY_NOT_FOUND:
        return {"absent": why}
    if code == DRIVER_NOT_LOADED:
        return {"gpus": [], "knows_parts": knows_parts, "why": why}
    return {"broken": why}


def _gpu(nvml: Any, index: int) -> Answer | None:
    """One that does not answer is told as such: others may be used. None where this user may not use it."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        parts, trouble = _parts(nvml, handle)
        memory = _figure(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        users = _figure(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        return {
            "index": str(index),
            "uuid": _text(nvml.nvmlDeviceGetUUID(handle)),
            "free": None if memory is None else memory.free / MIB,
            "total": None if memory is None else memory.total / MIB,
            "users": sorted({user.pid for user in users or ()}),
            "capability": _figure(nvml, lambda: list(nvml.nvmlDeviceGetCudaComputeCapability(handle))),
            "parts": parts,
            "error": trouble,
        }
    except nvml.NVMLError as error:
        return None if error.value == NO_PERMISSION else {"index": str(index), "uuid": "", "error": _reason(error)}


def _parts(nvml: Any, handle: Any) -> tuple[list[str], str]:
    """The UUIDs of the parts (MIG) that a GPU is divided into, and what is wrong where it is divided into none."""
    mode = _if_told(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    if mode is None or not mode[0]:
        return [], ""
    parts = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        part = _if_told(nvml, lambda number=number: nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
        if part is not None:
            parts.append(_text(nvml.nvmlDeviceGetUUID(part)))
    return parts, "" if parts else "it is to be divided (MIG) and has no parts"


def _if_told(nvml: Any, ask: Any) -> Any:
    """What a function tells; None where the GPU or the driver does not tell it, or there is no such thing."""
    try:
        return ask()
    except nvml.NVMLError as error:
        if error.value in (NO_PERMISSION, NOT_SUPPORTED, NOT_FOUND, FUNCTION_NOT_FOUND):
            return None
        raise


def _figure(nvml: Any, ask: Any) -> Any:
    """What a function tells that no run depends on; None where it does not, unless the GPU is gone."""
    try:
        return ask()
    except Exception as error:  # of another class where the driver is older than the package
        if isinstance(error, nvml.NVMLError) and error.value == GPU_IS_LOST:
            raise
        return None


def _by_program(program: str, question: str) -> Answer:
    columns = COLUMNS[question]
    query = ",".join(QUERIES[column] for column in columns)
    with tempfile.TemporaryFile() as file:  # a child of the program may hold a pipe open
        command = [program, f"--query-gpu={query}", "--format=csv,noheader,nounits"]
        try:
            code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False).returncode
        except OSError as error:
            return {"broken": f"{program}: {error.strerror}"}
        file.seek(0)
        lines = file.read().decode("utf-8", "replace").splitlines()
    if code == NOT_FOUND:
        return {"gpus": [], "knows_parts": False}
    if code != 0:
        said = next((line.strip() for line in lines if line.strip()), "no output")
        return _without_gpus(code, f"nvidia-smi ends with code {code}: {said}", knows_parts=False)
    rows = [[cell.strip() for cell in line.split(",")] for line in lines]
    gpus: list[Answer] = [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]
    for gpu in gpus:
        free = gpu.pop("free", "")
        gpu["free"] = float(free) if free.replace(".", "", 1).isdecimal() else None
    return {"gpus": gpus, "knows_parts": False}


def _reason(error: Exception) -> str:
    return f"NVML says: {error}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(sys.argv[1])) + "\n")
