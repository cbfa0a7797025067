"""Why the files of a model cannot be read: the hub, the machine, or the files, in one line.

What a header of safetensors tells is found before anything is loaded. Such a file begins with the length of its header
in eight bytes, then the header, JSON that says where after it the bytes of each tensor lie (the format's own README).
"""

import importlib.metadata
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sft.exceptions import ErrorKind, SftError, UserError, machine_error
from sft.models.references import loading_error

LONGEST_REASON = 400
EXPLAINED = (OSError, ValueError, RuntimeError, ImportError)
"""What libraries raise with a text that speaks for itself."""

UNKNOWN_ARGUMENT = "unexpected keyword argument"
_OF_DEVICES = re.compile(
    r"CUDA (?:unknown |driver )?error|No CUDA GPUs are available|CUBLAS_STATUS|cuDNN error|NCCL error|no NVIDIA driver"
)
POINTER = b"version https://git-lfs"
A_POINTER = "a pointer of Git LFS: git lfs pull brings the file"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
"""The weights of a model in one file, or where there is none the list of the files that hold them."""
WEIGHTS, INDEXED = (".safetensors", ".bin", ".gguf", ".pt", ".pth", ".h5", ".msgpack"), ".index.json"
"""How the names of files with weights, or of lists of such files, may end."""
NO_WEIGHTS = f"holds no weights ({WHOLE}, or {INDEX} with its parts); copy them there"
COUNT_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""What the format allows."""


def reading_error(
    failed: str, name: str, local: Path | None, error: Exception, kind: ErrorKind = "model"
) -> SftError | None:
    """The error in the project's words; None for one of the device, or that is in these words already.

    Libraries raise whatever their code stumbles over where a file is cut, of another model, or of a newer version.

    Args:
        failed: what could not be done; begins the message.
        name: hub id or path.
        local: the folder of a local model; None for a hub id.
        error: as it was caught.
        kind: of the error where the files are the reason.
    """
    if isinstance(error, SftError) or _is_devices(error):
        return None
    known = loading_error(name, error) if local is None else None
    known = known or machine_error(failed, error)
    return known or UserError(f"{failed}: {_reason(local, error)}", kind=kind)


def model_fault(folder: Path) -> str | None:
    """Why a folder holds no whole model, as far as the headers of its weights tell; None where nothing is seen.

    Args:
        folder: of a model; its files are those that transformers reads.
    """
    if (folder / WHOLE).is_file():
        return weights_fault(folder / WHOLE)
    if not (folder / INDEX).is_file():
        is_file = not folder.is_dir()
        may_be = is_file or any(path.suffix in WEIGHTS or INDEXED in path.name for path in folder.iterdir())
        return None if may_be else f"{folder} {NO_WEIGHTS}"
    try:
        named = sorted({str(name) for name in json.loads((folder / INDEX).read_bytes())["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{folder / INDEX} is cut or damaged; copy it again"
    absent = [name for name in named if not (folder / name).is_file()]
    if absent:
        text = f"{folder} has {len(named) - len(absent)} of the {len(named)} files that {INDEX} names"
        return f"{text}; {absent[0]} is not there; copy it again"
    return next((fault for name in named if (fault := weights_fault(folder / name)) is not None), None)


def weights_fault(path: Path) -> str | None:
    """Why a file is no whole file of safetensors; its header alone is read. None where it is one."""
    there = path.stat().st_size
    try:
        ends = [tensor["data_offsets"][1] for name, tensor in read_header(path).items() if name != "__metadata__"]
        needed = COUNT_BYTES + _header_bytes(path) + max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        if _is_pointer(path):
            return f"{path} is {A_POINTER}"
        return f"{path} is cut or damaged: its {there} bytes do not begin with a whole header; copy it again"
    if there == needed:
        return None
    return f"{path} is cut or damaged: it has {there} bytes, and {needed} by its header; copy it again"


def read_header(path: Path) -> dict[str, Any]:
    """What a file of safetensors says of its tensors, by name, and of itself.

    Raises:
        ValueError: it does not begin with a whole header.
    """
    size = _header_bytes(path)
    if size > MOST_HEADER_BYTES:
        raise ValueError(f"a header of {size} bytes is more than the format allows")
    with path.open("rb") as file:
        header: dict[str, Any] = json.loads(file.read(COUNT_BYTES + size)[COUNT_BYTES:])
    return header


def shortened(text: str) -> str:
    """A text in one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


def _is_devices(error: Exception) -> bool:
    """Whether the device failed, whatever was read: then the files are not the reason."""
    return type(error).__name__ == "AcceleratorError" or _OF_DEVICES.search(str(error)) is not None


def _reason(local: Path | None, error: Exception) -> str:
    if type(error).__name__ == "SafetensorError":
        place = _first_damaged(local, "*.safetensors", _open_weights) or "a file of its weights"
        return f"{place} is cut or damaged ({shortened(str(error))}); copy it again"
    if isinstance(error, json.JSONDecodeError):
        place = _first_damaged(local, "*.json", lambda path: json.loads(path.read_bytes())) or "a JSON file of it"
        return f"{place} is cut or damaged ({shortened(str(error))}); copy it again"
    if isinstance(error, EXPLAINED) or UNKNOWN_ARGUMENT in str(error):
        return shortened(str(error))
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}" for package in ("transformers", "tokenizers")
    )
    named = str(error) if type(error) is Exception else f"{type(error).__name__}: {error}"
    return f"{shortened(named)}; one of its files is damaged, or newer than what is installed ({versions})"


def _first_damaged(folder: Path | None, pattern: str, read: Callable[[Path], object]) -> str | None:
    """The first file of a folder that cannot be read; None where all can, or the folder is not known."""
    for path in sorted(folder.glob(pattern)) if folder is not None else ():
        try:
            read(path)
        except Exception:  # noqa: BLE001  whatever a library raises, this is the file
            return f"{path} ({A_POINTER})" if _is_pointer(path) else str(path)
    return None


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        return int.from_bytes(file.read(COUNT_BYTES), "little")


def _open_weights(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(str(path), "pt"):
        pass
