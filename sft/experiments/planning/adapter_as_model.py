"""`model.name` that is the folder of a trained adapter: its base is meant, with that adapter on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sft.adapters.method import OF_THE_TRAINED
from sft.adapters.peft.folder import CONFIG, adapter_config
from sft.adapters.saving import method_of
from sft.config.experiment import ExperimentConfig
from sft.exceptions import UserError
from sft.models.references import locate

PATH = "model.name"


class AdapterFolders:
    """The adapters that configs of a grid name as their models; each name is looked up once."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: what local paths are relative to.
        """
        self.folder = folder
        self._known: dict[str, Path | UserError | None] = {}

    def of(self, name: str) -> Path | None:
        """The folder of an adapter that a name means; None for all other names.

        Raises:
            UserError: it is damaged.
        """
        if name not in self._known:
            try:
                self._known[name] = _adapter_folder(name, self.folder)
            except UserError as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, UserError):
            raise found
        return found


def with_base(config: ExperimentConfig, adapters: AdapterFolders) -> tuple[ExperimentConfig, str | None]:
    """The config with the adapter's base in `model.name`, and what is to be said of it; else the config as it is.

    Args:
        config: as read.
        adapters: those of its grid.

    Raises:
        UserError: the folder does not say what its base is, the base is not there, or another adapter is named too.
    """
    name, model, folder = config.model.name, config.model, adapters.folder
    adapter = adapters.of(name)
    if adapter is None:
        return config, None
    write_both = f"name its base in model.name, and write model.adapter: {name!r}"
    if model.adapter is not None:
        raise UserError(f"{name!r} is an adapter's folder, and model.adapter names one too; name its base here")
    if not (adapter / CONFIG).is_file():  # of an own method, which writes what it likes
        raise UserError(f"{name!r} is an adapter's folder: name it in model.adapter, and its base in model.name")
    saved = adapter_config(adapter)
    base = saved.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise UserError(f"{name!r} is an adapter's folder that does not say of which model; {write_both}")
    try:
        found = _place_of(base, folder)
    except UserError as error:
        raise UserError(
            f"{name!r} is an adapter's folder, and its base is not there ({error}); {write_both}"
        ) from error
    update = {"name": found, "adapter": name, "model_args": _with_revision(model.model_args, saved)}
    told = f"model.name {name!r} is an adapter's folder: read as model.name {found!r} with model.adapter {name!r}"
    return config.model_copy(update={"model": model.model_copy(update=update)}), told


def _adapter_folder(name: str, folder: Path) -> Path | None:
    """The folder of an adapter that a name means; a name that means nothing is told of by other checks.

    Raises:
        UserError: it is damaged.
    """
    try:
        path = locate(name, folder)
    except UserError:
        return None
    try:
        return path if path is not None and method_of(path) is not None else None
    except UserError as error:
        text = str(error).removeprefix(f"{OF_THE_TRAINED}: ")
        raise UserError(f"{name!r} is an adapter's folder, which belongs in model.adapter: {text}") from error


def _place_of(base: str, folder: Path) -> str:
    """The base as a config names it: PEFT writes what it was loaded by, a path relative to where that ran, say."""
    if not (folder / base).exists() and Path(base).exists():
        return str(Path(base).resolve())
    locate(base, folder)
    return base


def _with_revision(written: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the model, with the revision of the base that the adapter was trained on."""
    revision = saved.get("revision")
    return {"revision": revision, **written} if isinstance(revision, str) else dict(written)
