"""Hub data sets and saved data set folders; the heavy libraries are imported when one is read."""

import importlib
import re
from pathlib import Path
from typing import Any

from sft.config.dataset import DatasetConfig
from sft.data.files.arrow_tables import from_arrow
from sft.data.tables import Table
from sft.exceptions import DataError, MachineError, PackageMissing, machine_error
from sft.runs.hub_contact import is_silent, note_silence, tell_silence

DEFAULT_REVISION = "main"
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_TIMEOUT_SECONDS = 15.0
REFUSED_ARGS = {
    "split": "splits are named in dataset.splits",
    "streaming": "a data set is read as a whole; cap it with max_n_train and max_n_test",
    "trust_remote_code": "code of a data set is never run",
}


def hub_commit(dataset: DatasetConfig) -> str:
    """The commit that `args.revision` (default `main`) of a hub data set stands for today, or did when it was cached.

    Raises:
        DataError: the hub has no such data set or revision, or does not let this user read it.
        MachineError: kind network: the hub cannot be reached and nothing is cached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    revision = str(dataset.args.get("revision") or DEFAULT_REVISION)
    if COMMIT.fullmatch(revision):
        return revision
    try:
        commit = HfApi().dataset_info(dataset.path, revision=revision, timeout=HUB_TIMEOUT_SECONDS).sha
    except GatedRepoError:
        raise DataError(
            f'dataset "{dataset.path}" is gated; accept its terms on the hub and set HF_TOKEN in the environment'
        ) from None
    except RevisionNotFoundError:
        raise DataError(f'dataset "{dataset.path}" has no revision {revision!r} on the hub') from None
    except (RepositoryNotFoundError, HFValidationError):
        raise DataError(_not_found(dataset.path)) from None
    except (_http_error(), OSError) as error:
        note_silence(error)
        commit = _cached_commit(dataset.path, revision, error)
        tell_silence()
    return str(commit)


def load_hub(dataset: DatasetConfig, revision: str | None) -> dict[str, Any]:
    """The splits of a hub data set by name, as `datasets.Dataset`.

    Args:
        dataset: its config.
        revision: the pinned commit; None = `args.revision`.

    Raises:
        DataError: not found, or `datasets` refuses the arguments.
        MachineError: kind network.
    """
    _check_args(dataset)
    library = _datasets()
    arguments = {key: value for key, value in dataset.args.items() if key != "revision"}
    pinned = revision or dataset.args.get("revision")
    try:
        loaded = library.load_dataset(dataset.path, revision=pinned, **arguments)
    except library.exceptions.DatasetNotFoundError:
        raise DataError(_not_found(dataset.path)) from None
    except (ValueError, library.exceptions.DatasetsError) as error:
        raise machine_error(_whose(dataset.path), error) or DataError(
            f'dataset "{dataset.path}" cannot be loaded: {_first_line(error)}'
        ) from error
    except (_http_error(), OSError) as error:
        raise machine_error(_whose(dataset.path), error) or _unreachable(dataset.path, error) from error
    return dict(loaded)


def read_saved(folder: Path, dataset: DatasetConfig) -> Table:
    """The rows of one split that `save_to_disk` wrote."""
    _check_args(dataset)
    library = _datasets()
    try:
        loaded = library.load_from_disk(str(folder), **dataset.args)
    except (TypeError, ValueError, KeyError, AttributeError) as error:  # of a damaged schema or description
        raise DataError(f"{folder}: the saved data set cannot be loaded: {_first_line(error)}") from error
    except OSError as error:
        damaged = DataError(f"{folder}: the saved data set is damaged: {_first_line(error)}")
        raise machine_error(f"{folder}: the saved data set cannot be read", error) or damaged from error
    return read_loaded(loaded)


def read_loaded(loaded: Any) -> Table:
    """The rows of a `datasets.Dataset`, read from its Arrow table so that nothing is decoded."""
    whole = loaded if loaded._indices is None else loaded.flatten_indices()
    names = {column: feature.names for column, feature in whole.features.items() if hasattr(feature, "names")}
    return from_arrow(whole.data.table, names)


def _datasets() -> Any:
    try:
        import datasets
    except ImportError:
        raise PackageMissing("datasets", "a hub or saved data set", "pip install datasets") from None
    return datasets


def _http_error() -> type[Exception]:
    """The base of every error of the hub's HTTP client, whichever library that is in the installed version."""
    error: type[Exception] = importlib.import_module("huggingface_hub.errors").HTTPError
    return error


def _check_args(dataset: DatasetConfig) -> None:
    for key, reason in REFUSED_ARGS.items():
        if key in dataset.args:
            raise DataError(f"dataset.args.{key} is refused: {reason}")


def _cached_commit(path: str, revision: str, error: Exception) -> str:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=path, repo_type="dataset")
    reference = folder / "refs" / revision
    if reference.is_file():
        return reference.read_text("utf-8").strip()
    snapshots = sorted((folder / "snapshots").glob("*"), key=lambda snapshot: snapshot.stat().st_mtime)
    if snapshots and revision == DEFAULT_REVISION:
        return snapshots[-1].name
    raise _unreachable(path, error) from error


def _unreachable(path: str, error: Exception) -> MachineError:
    from huggingface_hub import constants

    if constants.is_offline_mode() and not is_silent():
        reason = "the network is off (HF_HUB_OFFLINE=1)"
    else:
        reason = f"the hub cannot be reached ({_first_line(error)})"
    message = f'dataset "{path}" not found locally and {reason}; download it first, or go online'
    return MachineError(message, kind="network")


def _whose(path: str) -> str:
    return f'dataset "{path}" cannot be read'


def _not_found(path: str) -> str:
    return f'dataset "{path}" is neither a file or folder beside the config nor a data set on the hub'


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
