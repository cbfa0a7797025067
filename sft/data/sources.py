"""Where the rows of each split lie: which files, saved folder or hub data set a `dataset` section means."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.dataset import DatasetConfig, ReadOptions
from sft.data.files.content import known_format
from sft.data.folders import FORMATS, folder_splits, names_file
from sft.exceptions import DataError, UserError

SAVED_DICT = "dataset_dict.json"
BUILDERS = ("csv", "json", "parquet")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")


@dataclass(frozen=True)
class FileSplit:
    """A split in data files of one format, read one after the other."""

    files: tuple[Path, ...]
    format: str


@dataclass(frozen=True)
class SavedSplit:
    """A split that `Dataset.save_to_disk` wrote."""

    folder: Path


@dataclass(frozen=True, eq=False)
class HubSplit:
    """A loaded split of a hub data set (`datasets.Dataset`)."""

    data: Any


SplitSource = FileSplit | SavedSplit | HubSplit


def local_source(dataset: DatasetConfig, folder: Path) -> Path | None:
    """The file or folder that `dataset.path` means; the config's own folder for `data_files`; None = a hub id.

    Raises:
        UserError: the path can only be local, and there is nothing.
    """
    if _has_data_files(dataset):
        return folder
    path = folder / dataset.path
    if path.exists():
        return path
    if dataset.path in BUILDERS:
        raise UserError(
            f"dataset.path: {dataset.path} needs its files: dataset.args: {{data_files: ...}}", kind="data"
        )
    if names_file(dataset.path) or not HUB_ID.match(dataset.path):
        raise UserError(f"dataset.path: no file or folder {path}", kind="data")
    return None


def local_splits(dataset: DatasetConfig, folder: Path) -> dict[str, SplitSource]:
    """The splits that a local `dataset.path` offers, by name.

    Raises:
        UserError: nothing there, `args` for plain files, files of one split that do not fit together.
    """
    if _has_data_files(dataset):
        return _data_files(dataset, folder)
    path = folder / dataset.path
    if path.is_dir() and (path / SAVED_DICT).is_file():
        return {name: SavedSplit(path / name) for name in _saved_names(path / SAVED_DICT)}
    if path.is_dir() and (path / "state.json").is_file():
        return {"train": SavedSplit(path)}
    others = {key: value for key, value in dataset.args.items() if key != "name" or not path.is_dir()}
    if others:
        raise _unknown_args(others)
    if path.is_dir():
        config = dataset.args.get("name")
        found = folder_splits(path, None if config is None else str(config))
        return {name: FileSplit(*split) for name, split in found.items()}
    return {"train": file_split(path)}


def file_split(path: Path) -> FileSplit:
    """A split that is one file.

    Raises:
        UserError: there is no such file, or neither its ending nor its content is of a known format.
    """
    if not path.is_file():
        raise UserError(f"no file {path}", kind="data")
    kind = FORMATS.get(path.suffix.lower()) or known_format(path, None, ReadOptions())
    if kind is None:
        raise UserError(f"{path}: unknown format {path.suffix!r}; known: {', '.join(FORMATS)}", kind="data")
    return FileSplit((path,), kind)


def _saved_names(path: Path) -> list[str]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["splits"]
    except (ValueError, KeyError, TypeError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: not what save_to_disk writes, a JSON object with the list `splits`")
    return names


def _has_data_files(dataset: DatasetConfig) -> bool:
    return dataset.path in BUILDERS and "data_files" in dataset.args


def _data_files(dataset: DatasetConfig, folder: Path) -> dict[str, SplitSource]:
    written = dataset.args["data_files"]
    others = {key: value for key, value in dataset.args.items() if key != "data_files"}
    if others:
        raise _unknown_args(others)
    by_split = written if isinstance(written, Mapping) else {"train": written}
    return {
        str(name): FileSplit(tuple(_matching(patterns, folder)), dataset.path) for name, patterns in by_split.items()
    }


def _matching(patterns: Any, folder: Path) -> list[Path]:
    files: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        is_pattern = any(character in str(pattern) for character in "*?[")
        found = sorted(folder.glob(pattern)) if is_pattern else [folder / str(pattern)]
        if not found or not all(path.is_file() for path in found):
            raise UserError(f"dataset.args.data_files: no file {folder / str(pattern)}", kind="data")
        files += found
    return files


def _unknown_args(args: Mapping[str, Any]) -> UserError:
    return UserError(
        f"dataset.args: {', '.join(sorted(args))} cannot be given for local files; "
        "use dataset.read (encoding, sep) for how they are read and dataset.splits for which file is which split"
    )
