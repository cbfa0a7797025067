"""What a model name means: a local path or a hub id, and which content exactly."""

import os
import re
from pathlib import Path

from sft.exceptions import MachineError, SftError, UserError, machine_error
from sft.models.hashes import files_sha256
from sft.runs.hub_contact import is_silent, note_silence, tell_silence

COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
HUB_TIMEOUT_SECONDS = 10.0
WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt")
"""Endings of files that hold weights."""


def locate(name: str, folder: Path) -> Path | None:
    """The local path that `name` means, or None for a hub id.

    Args:
        name: an absolute path, one relative to `folder`, or a hub id; what exists in `folder` wins over the hub.
        folder: the folder of the grid or config file.

    Raises:
        UserError: the name can only be a path, and nothing is there.
    """
    path = folder / Path(name).expanduser()
    if path.exists():
        return path.resolve()
    if name.startswith((".", "~", "/")) or name.endswith(".gguf") or not HUB_ID.fullmatch(name):
        raise UserError(f"model {name!r}: no file or folder {path}, and it is no hub id", kind="model")
    return None


def model_fingerprint(name: str, folder: Path, commit: str | None) -> str:
    """Which content `name` is: the sha256 of a local path's files, or the commit of a hub model.

    Raises:
        UserError: `name` is a hub id and there is no commit for it.
    """
    path = locate(name, folder)
    if path is not None:
        return f"sha256:{files_sha256(path)}"
    if commit is None:
        raise UserError(f"model {name!r} is a hub id without a pinned commit", kind="model")
    return f"commit:{commit}"


def hub_commit(name: str, revision: str | None = None) -> str:
    """The commit of a hub model: today's when the hub answers, else that of the local cache.

    Args:
        name: the hub id.
        revision: branch, tag or commit; default `main`.

    Raises:
        UserError: the hub says that there is no such model or revision, or that it is not open to this user.
        MachineError: the hub does not answer and the cache does not hold the model.
    """
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]

    try:
        found = HfApi().model_info(name, revision=revision, timeout=HUB_TIMEOUT_SECONDS).sha
    except (HTTPError, HFValidationError, OSError) as error:
        refusal = _refusal(name, error)
        if refusal is not None:
            raise refusal from error
        note_silence(error)
        found = _cached_commit(name, revision)
    if found is None:
        raise not_reachable(name)
    tell_silence()
    return str(found)


def hub_file(name: str, file: str, commit: str) -> Path | None:
    """A file of a hub model, from the local cache or else from the hub; None where the model has none of this name.

    Args:
        name: the hub id.
        file: its path within the model.
        commit: of the model.

    Raises:
        UserError: the hub says that there is no such model or commit, or that it is not open to this user.
        MachineError: the cache lacks the file and the hub does not answer, or this machine cannot keep the file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HFValidationError,
        HTTPError,
        RemoteEntryNotFoundError,
    )

    try:
        return Path(hf_hub_download(name, file, revision=commit, etag_timeout=HUB_TIMEOUT_SECONDS))
    except RemoteEntryNotFoundError:
        return None
    except (HTTPError, HFValidationError, OSError) as error:
        told = _refusal(name, error) or machine_error(f'model "{name}": {file}', error)
        if told is not None:
            raise told from error
        note_silence(error)
        if _holds_weights(name, commit):  # such as files of GGUF alone, which have no others beside them
            return None
        raise not_reachable(name) from error


def not_reachable(name: str) -> MachineError:
    """The error for a hub model that is not cached while the hub does not answer."""
    from huggingface_hub.constants import is_offline_mode

    is_off = is_offline_mode() and not is_silent()
    why = "the network is off (HF_HUB_OFFLINE=1)" if is_off else "the hub does not answer"
    advice = "Download it first or go online; for a local model check the path, which is relative to the config."
    return MachineError(f'model "{name}" not found locally and {why}. {advice}', kind="network")


def loading_error(name: str, error: BaseException) -> SftError | None:
    """What went wrong when `from_pretrained` failed on a hub model, or None when it is not the hub's doing."""
    chain: BaseException | None = error
    while chain is not None:
        refusal = _refusal(name, chain)
        if refusal is not None:
            return refusal
        if _is_unreachable(chain):
            return not_reachable(name)
        chain = chain.__cause__ or chain.__context__
    return None


def _refusal(name: str, error: BaseException) -> UserError | None:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return UserError(f'model "{name}" is gated: accept its terms on the hub and set HF_TOKEN', kind="model")
    if isinstance(error, errors.RevisionNotFoundError):
        return UserError(f'model "{name}" has no such revision on the hub', kind="model")
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        text = f'the hub has no model "{name}" open to you; check the spelling, or set HF_TOKEN if it is private'
        return UserError(text, kind="model")
    return None


def _is_unreachable(error: BaseException) -> bool:
    from huggingface_hub import errors

    http_error = errors.HTTPError  # type: ignore[attr-defined]
    known = (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, http_error)
    return isinstance(error, (*known, ConnectionError, TimeoutError))


def _cached(name: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"


def _holds_weights(name: str, commit: str) -> bool:
    """Whether the cache has weights of a model at a commit."""
    folder = _cached(name) / "snapshots" / commit
    return any(file.suffix in WEIGHTS for file in folder.glob("*"))


def _cached_commit(name: str, revision: str | None) -> str | None:
    repository = _cached(name)
    reference = repository / "refs" / (revision or "main")
    if not reference.is_file():
        return None
    commit = reference.read_text("ascii").strip()
    return commit if os.path.isdir(repository / "snapshots" / commit) else None
