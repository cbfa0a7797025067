"""The manifest: written last, it lists every result file with size and sha256, and makes a job done."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from sft.runs.atomic import write_json
from sft.runs.files import JobFolder

SCHEMA = 1
_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_manifest(job: JobFolder, results: Iterable[Path]) -> None:
    """List the result files (folders with all that is in them) of a finished job."""
    files = sorted(path for result in results for path in _files_of(result))
    entries = {
        path.relative_to(job.path).as_posix(): {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in files
    }
    write_json(job.manifest, {"schema": SCHEMA, "files": entries})


def finished_files(job: JobFolder) -> frozenset[str]:
    """Names of the files of a valid manifest, empty when the job is not done.

    Valid means: readable, and every file it lists is there with its size. Content is compared by `verify` alone.
    """
    try:
        record = json.loads(job.manifest.read_text("utf-8"))
        files = record["files"]
        sizes = {name: entry["size"] for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
    for name, size in sizes.items():
        path = job.path / name
        if not path.is_file() or path.stat().st_size != size:
            return frozenset()
    return frozenset(sizes)


def is_done(job: JobFolder) -> bool:
    """Whether the job's manifest is valid."""
    return bool(finished_files(job))


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return [item for item in path.rglob("*") if item.is_file()]
    return [path]
