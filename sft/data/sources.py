"""Where the rows of each split lie: which files, saved folder or hub data set a `dataset` section means."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.config.dataset import DatasetConfig
from sft.errors import DataError, UserError

FORMATS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet"}
BUILDERS = ("csv", "json", "parquet")
SHARD = re.compile(r"^(?P<split>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})$")
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


def names_file(name: str) -> bool:
    """Whether a name of `splits` or `path` means a data file, by its ending."""
    return Path(name).suffix.lower() in FORMATS


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
    if path.is_dir() and (path / "dataset_dict.json").is_file():
        names = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return {name: SavedSplit(path / name) for name in names}
    if path.is_dir() and (path / "state.json").is_file():
        return {"train": SavedSplit(path)}
    if dataset.args:
        raise _unknown_args(dataset.args)
    if path.is_dir():
        return _split_files(path)
    return {"train": file_split(path)}


def file_split(path: Path) -> FileSplit:
    """A split that is one file.

    Raises:
        UserError: there is no such file, or its ending is of no known format.
    """
    if not path.is_file():
        raise UserError(f"no file {path}", kind="data")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: unknown format {path.suffix!r}; known: {', '.join(FORMATS)}", kind="data")
    return FileSplit((path,), kind)


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


def _split_files(folder: Path) -> dict[str, SplitSource]:
    """Files named by split, in the folder itself or, as on the hub, in its `data` folder."""
    files = _data_files_in(folder) or _data_files_in(folder / "data")
    if not files:
        raise DataError(f"{folder}: no data files; a folder holds train and test files ({', '.join(FORMATS)})")
    by_name: dict[str, list[Path]] = {}
    for path in files:
        shard = SHARD.match(path.stem)
        by_name.setdefault(shard["split"] if shard else path.stem, []).append(path)
    return {name: _one_split(name, paths) for name, paths in by_name.items()}


def _data_files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and names_file(path.name))


def _one_split(name: str, paths: Sequence[Path]) -> FileSplit:
    names = ", ".join(path.name for path in paths)
    shards = [SHARD.match(path.stem) for path in paths]
    if len(paths) > 1 and (not all(shards) or len({path.suffix for path in paths}) > 1):
        raise DataError(f'split "{name}" is in several files ({names}); keep one, or name it in dataset.splits')
    if shards[0] is not None:
        expected = [f"{name}-{part:05d}-of-{shards[0]['parts']}" for part in range(int(shards[0]["parts"]))]
        if [path.stem for path in paths] != expected:
            raise DataError(f'split "{name}" lacks parts: {shards[0]["parts"]} files are needed, there are {names}')
    return file_split(paths[0]) if len(paths) == 1 else FileSplit(tuple(paths), FORMATS[paths[0].suffix.lower()])


def _unknown_args(args: Mapping[str, Any]) -> UserError:
    return UserError(
        f"dataset.args: {', '.join(sorted(args))} cannot be given for local files; "
        "use dataset.read (encoding, sep) for how they are read and dataset.splits for which file is which split"
    )
