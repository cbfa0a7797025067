"""The manifest: written last, it lists every result file with size and sha256, and makes a job done."""

import hashlib
import json
import shutil
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sft.runs.atomic import flush, write_json
from sft.runs.fence import require_in_place
from sft.runs.file_systems import make_folder
from sft.runs.files import JobFolder
from sft.runs.records import read_json_or_none, refuse_newer

SCHEMA = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ListedFile:
    """A result file as the manifest lists it."""

    size: int
    sha256: str


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_manifest(job: JobFolder, results: Iterable[Path]) -> None:
    """Publish the result files of a finished job (folders with all that is in them), and list them.

    What it lists is flushed to the disk first, so that a manifest that survives a power loss tells the truth.

    Raises:
        MachineError: another try of the job is in force, or its folder is not in its place.
    """
    results = [_published(job, result) for result in results]
    files = sorted(path for result in results for path in _files_of(result))
    entries = {
        path.relative_to(job.path).as_posix(): {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in files
    }
    for path in files:
        flush(path)
    parents = {folder for path in files for folder in path.parents if folder.is_relative_to(job.path)}
    for folder in parents:
        flush(folder)
    write_json(job.manifest, {"schema": SCHEMA, "files": entries})


def _published(job: JobFolder, result: Path) -> Path:
    """The place of a result in the job's folder, to which it is moved from where it grew."""
    if job.out is None or not result.is_relative_to(job.out):
        return result
    place = job.path / result.relative_to(job.out)
    require_in_place(place)
    make_folder(place.parent)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    result.replace(place)
    return place


def listed_files(job: JobFolder) -> dict[str, ListedFile] | None:
    """What the manifest lists, whether it is there or not; None without a manifest that can be read.

    Raises:
        MachineError: a newer version wrote it.
    """
    record = read_json_or_none(job.manifest)
    refuse_newer(job.manifest, record, SCHEMA)
    try:
        listed = {
            name: ListedFile(int(entry["size"]), str(entry["sha256"])) for name, entry in record["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return listed if all(map(_is_inside, listed)) else None


def finished_files(job: JobFolder) -> Mapping[str, ListedFile]:
    """The files of a valid manifest by name, empty when the job is not done.

    Valid means: readable, and every file it lists is there with its size. Content is compared by `verify` alone.
    """
    listed = listed_files(job) or {}
    for name, file in listed.items():
        if size_of(job.path / name) != file.size:
            return {}
    return listed


def adapter_bytes(job: JobFolder) -> int | None:
    """The bytes of all files of the adapter that a train stage left, also where it was removed since; None without."""
    folder = f"{job.adapter.name}/"
    sizes = [file.size for name, file in (listed_files(job) or {}).items() if name.startswith(folder)]
    return sum(sizes) if sizes else None


def listed_json(job: JobFolder, path: Path, files: Mapping[str, ListedFile]) -> Any:
    """What a result file of a finished job holds; None where that is not JSON, or not what its stage wrote.

    Args:
        job: the job.
        path: of the file, as the job's folder names it.
        files: what its manifest lists.
    """
    listed = files.get(path.relative_to(job.path).as_posix())
    try:
        content = path.read_bytes()
        is_own = listed is not None and hashlib.sha256(content).hexdigest() == listed.sha256
        return json.loads(content) if is_own else None
    except (OSError, ValueError, RecursionError):
        return None


def is_done(job: JobFolder) -> bool:
    """Whether the job's manifest is valid."""
    return bool(finished_files(job))


def difference(path: Path, listed: ListedFile) -> str | None:
    """What is wrong with a result file, None where it has the size and content that the manifest lists."""
    size = size_of(path)
    if size is None:
        return "is missing"
    if size != listed.size:
        return f"has {size:,} bytes, {listed.size:,} are listed"
    try:
        same = sha256_of(path) == listed.sha256
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None if same else "has another content than was written (sha256 differs)"


def size_of(path: Path) -> int | None:
    """The size of a regular file, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _is_inside(name: str) -> bool:
    """Whether a listed name stays inside its job's folder."""
    return not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


def _files_of(path: Path) -> list[Path]:
    """A result is one file, which must be there, or a folder with any number of them."""
    if path.is_dir():
        return [item for item in path.rglob("*") if item.is_file()]
    return [path]
