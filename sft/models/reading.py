"""Why a library did not read the files of a model: the hub, the machine, or the files, in one line."""

import importlib.metadata
import json
import re
from collections.abc import Callable
from pathlib import Path

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
            with path.open("rb") as file:
                is_pointer = file.read(len(POINTER)) == POINTER
            return f"{path} (a pointer of Git LFS: git lfs pull brings the file)" if is_pointer else str(path)
    return None


def _open_weights(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(str(path), "pt"):
        pass
