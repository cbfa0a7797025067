"""Folders of data files, as people make them and as the hub has them: which files are which split.

What `datasets` reads of such a folder is read here: the files that the head of `README.md` names, shards with or
without a hash in their names, a `data` folder, a folder for each configuration.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sft.exceptions import DataError
from sft.wording import listed, quoted

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "xlsx",
}
"""By a file's ending; the content decides where it is plainly of another format."""
SPREADSHEETS = (".xlsx",)
"""Endings that count in a folder only where it has no other data, since people keep notes in such files as well."""
SHARD = re.compile(r"^(?P<split>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})(-[0-9a-f]+)?$")
"""`train-00000-of-00002`; `push_to_hub` used to add a hash of the content."""
NO_DATA = frozenset({"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"})
"""What `datasets` writes about data (its `data_files.FILES_TO_IGNORE`)."""
SPLIT_NAMES = (
    frozenset({"train", "training"}),
    frozenset({"dev", "validation", "valid", "val"}),
    frozenset({"test", "testing", "eval", "evaluation"}),
)
"""Names that mean the same split, for `datasets` as well (its `data_files.SPLIT_KEYWORDS`)."""
SPLIT_FOLDERS = frozenset().union(*SPLIT_NAMES)
"""Folders that hold the files of one split each; their names are the splits'."""
OPEN_IN_EXCEL = "~$"
"""How the name begins of the file that Excel keeps beside one that is open."""
CARD = "README.md"
CONFIG_ARGUMENT = "dataset.args: {name: ...}"


class SplitFiles(NamedTuple):
    """The files of a split, in their order."""

    files: tuple[Path, ...]
    format: str


class _Described(NamedTuple):
    """A configuration as README.md describes it."""

    folder: Path
    data_dir: str
    patterns: Mapping[str, Sequence[str]]
    """By split; empty = all files of `data_dir`, by their names."""
    is_default: bool


def names_file(name: str) -> bool:
    """Whether a name of `splits` or `path` means a data file, by its ending."""
    return Path(name).suffix.lower() in FORMATS


def folder_splits(folder: Path, config: str | None) -> dict[str, SplitFiles]:
    """The splits of a folder of data files, by name.

    Args:
        folder: the files are in it, in its `data` folder, in a folder for each split or configuration, or where
            `README.md` says.
        config: `dataset.args.name`: the configuration that is read; None = the one there is, or the default one.

    Raises:
        DataError: no files, several configurations and none is named, or files that do not fit together.
    """
    described = _described(folder)
    if described:
        default = next((name for name, about in described.items() if about.is_default), None)
        return _described_splits(described[_chosen(described, config, default)])
    files = _data_files_in(folder) or _data_files_in(folder / "data")
    if files and config is None:
        return _checked(_by_file_name(files))
    if config is None and (by_folder := _split_folders(folder) or _split_folders(folder / "data")):
        return _checked(by_folder)
    inner = {path.name: path for path in _folders_in(folder) if _data_files_in(path) or _data_files_in(path / "data")}
    if not inner:
        given = "" if config is None else f", nor a folder {quoted(config)} with any (dataset.args.name)"
        formats = ", ".join(FORMATS)
        raise DataError(f"{folder}: no data files{given}; a folder holds train and test files ({formats})")
    chosen = _chosen(inner, config, None)
    return folder_splits(inner[chosen], None)


def same_split(wanted: str, names: Iterable[str]) -> str | None:
    """The one of some splits that a name means which is not among them: `dev` is `validation`, `test` is `Test`."""
    alike = next((known for known in SPLIT_NAMES if wanted.casefold() in known), {wanted.casefold()})
    found = [name for name in names if name.casefold() in alike]
    return found[0] if len(found) == 1 else None


def _split_folders(folder: Path) -> dict[str, list[Path]]:
    """The files of each folder, however deep, by its name, where one of the folders is called like a split."""
    if not folder.is_dir():
        return {}
    inner = {path.name: path for path in _folders_in(folder)}
    if SPLIT_FOLDERS.isdisjoint(map(str.casefold, inner)):
        return {}
    found = {name: _data_files_below(path) for name, path in inner.items()}
    return {name: files for name, files in found.items() if files}


def _described(folder: Path) -> dict[str, _Described]:
    """The configurations that the head of the folder's README.md lists, by name."""
    card = folder / CARD
    if not card.is_file() or b"configs:" not in card.read_bytes():
        return {}
    from huggingface_hub import metadata_load

    try:
        configs = (metadata_load(card) or {}).get("configs") or []
        return {str(config["config_name"]): _read_config(folder, config) for config in configs}
    except Exception as error:  # YAML's errors share no base with those of a list that is none
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{card}: its `configs` cannot be read ({first}); mend them or take them out") from error


def _read_config(folder: Path, written: Mapping[str, Any]) -> _Described:
    files = written.get("data_files")
    by_split: dict[str, list[str]] = {}
    if isinstance(files, Mapping):
        by_split = {str(split): _texts(patterns) for split, patterns in files.items()}
    elif files is not None:
        for entry in [files] if isinstance(files, str) else files:
            split, patterns = (entry["split"], entry["path"]) if isinstance(entry, Mapping) else ("train", entry)
            by_split.setdefault(str(split), []).extend(_texts(patterns))
    is_default = bool(written.get("default")) or written["config_name"] == "default"
    return _Described(folder, str(written.get("data_dir", ".")), by_split, is_default)


def _texts(patterns: Any) -> list[str]:
    return [patterns] if isinstance(patterns, str) else [str(pattern) for pattern in patterns]


def _described_splits(about: _Described) -> dict[str, SplitFiles]:
    _check_inside(about.folder, about.data_dir)
    start = about.folder / about.data_dir
    if about.patterns:
        return _checked({split: _matching(about, patterns) for split, patterns in about.patterns.items()})
    return folder_splits(start, None) if start != about.folder else _checked(_by_file_name(_data_files_in(start)))


def _chosen(known: Iterable[str], wanted: str | None, default: str | None) -> str:
    names = sorted(known)
    if wanted in names:
        return str(wanted)
    if wanted is not None:
        raise DataError(f"dataset.args.name: no configuration {quoted(wanted)}; there are: {listed(names)}")
    if len(names) > 1 and default is None:
        raise DataError(f"the data have several configurations ({listed(names)}); choose with {CONFIG_ARGUMENT}")
    return default or names[0]


def _matching(about: _Described, patterns: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        _check_inside(about.folder, pattern)
        matched = (about.folder / about.data_dir).glob(pattern)
        files = sorted(path for path in matched if path.is_file() and _is_data(path))
        if not files:
            raise DataError(
                f"{about.folder / CARD}: no data file for {pattern!r}; was the data set fetched as a whole?"
            )
        found += files
    return list(dict.fromkeys(found))


def _check_inside(folder: Path, pattern: str) -> None:
    inside = PurePosixPath(pattern)
    if inside.is_absolute() or ".." in inside.parts or "://" in pattern:
        raise DataError(f"{folder / CARD}: {pattern!r} leads out of the folder; name the files in dataset.splits")


def _folders_in(folder: Path) -> list[Path]:
    """The folders that may be configurations: not those that `datasets` passes over as hidden or special."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _data_files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.is_file() and _is_data(path))
    return [path for path in found if path.suffix.lower() not in SPREADSHEETS] or found


def _data_files_below(folder: Path) -> list[Path]:
    return [*_data_files_in(folder), *chain.from_iterable(map(_data_files_below, _folders_in(folder)))]


def _is_data(path: Path) -> bool:
    return names_file(path.name) and path.name not in NO_DATA and not path.name.startswith((".", OPEN_IN_EXCEL))


def _by_file_name(paths: Iterable[Path]) -> dict[str, list[Path]]:
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        shard = SHARD.match(path.stem)
        by_name.setdefault(shard["split"] if shard else path.stem, []).append(path)
    for name, found in by_name.items():
        if len(found) > 1 and not all(SHARD.match(path.stem) for path in found):
            names = listed(path.name for path in found)
            raise DataError(f'split "{name}" is in several files ({names}); keep one, or name it in dataset.splits')
    return by_name


def _checked(by_name: Mapping[str, Sequence[Path]]) -> dict[str, SplitFiles]:
    return {name: _one_split(name, paths) for name, paths in by_name.items()}


def _one_split(name: str, paths: Sequence[Path]) -> SplitFiles:
    names = listed(path.name for path in paths)
    formats = {FORMATS[path.suffix.lower()] for path in paths}
    if len(formats) > 1:
        raise DataError(f'split "{name}" is in several files ({names}); keep one, or name it in dataset.splits')
    for folder in dict.fromkeys(path.parent for path in paths):
        _check_parts(name, [path for path in paths if path.parent == folder])
    return SplitFiles(tuple(paths), next(iter(formats)))


def _check_parts(name: str, paths: Sequence[Path]) -> None:
    shards = [shard for path in paths if (shard := SHARD.match(path.stem))]
    if not shards or len(shards) < len(paths):
        return
    parts = shards[0]["parts"]
    names = listed(path.name for path in paths)
    if [(int(shard["part"]), shard["parts"]) for shard in shards] != [(part, parts) for part in range(int(parts))]:
        fault = "lacks parts" if len(shards) < int(parts) else "has files of several versions"
        raise DataError(f'split "{name}" {fault}: {parts} files are needed, there are {names}')
