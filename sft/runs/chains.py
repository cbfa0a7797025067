"""The files by which a runner and a chain of jobs on a cluster tell each other what they want and what happened.

A chain is one or more jobs that run one after the other in one place, so that a queue is waited for once. The files
lie in the folders of the tries.
"""

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sft.exceptions import ErrorKind
from sft.runs.atomic import write_json
from sft.runs.files import AttemptFolder, JobFolder
from sft.runs.records import MAX_BYTES, ErrorRecord, read_json_or_none, refuse_newer

SCHEMA = 1
Record = TypeVar("Record", bound="Submission | Begun | Ended | Orders")


class SubmittedTry(AttemptFolder):
    """The folder of a try that was submitted to a cluster."""

    @property
    def chain(self) -> Path:
        """The jobs that run one after the other in one place, in the folder of the first."""
        return self.path / "chain.json"

    @property
    def taken(self) -> Path:
        """Which submission of the chain runs it, in the folder of the first."""
        return self.path / "chain.taken"

    @property
    def submission(self) -> Path:
        """The cluster that it was submitted to, its name there, and the id that the cluster gave it."""
        return self.path / "submission.json"

    @property
    def begun(self) -> Path:
        """Where its process was started."""
        return self.path / "begun.json"

    @property
    def ended(self) -> Path:
        """How its process ended."""
        return self.path / "exit.json"

    @property
    def orders(self) -> Path:
        """What the runner asks of it."""
        return self.path / "stop.json"

    @property
    def output(self) -> Path:
        """What the chain printed around its jobs, in the folder of the first."""
        return self.path / "chain.log"


@dataclass(frozen=True)
class Link:
    """A job of a chain."""

    folder: Path
    """Of the job."""
    attempt: str
    """Name of the folder of its try."""
    needs: tuple[int, ...] = ()
    """The places in the chain of the jobs that it needs."""
    outside: tuple[Path, ...] = ()
    """The folders of jobs beside the chain that it needs, of which some may not have ended."""

    @property
    def job(self) -> JobFolder:
        """Its folder."""
        return JobFolder(self.folder)

    @property
    def tried(self) -> SubmittedTry:
        """The folder of its try."""
        return SubmittedTry(self.job.attempts_path / self.attempt)


@dataclass(frozen=True)
class Chain:
    """Jobs that run one after the other, each in a process of its own."""

    links: tuple[Link, ...]
    start: str = "auto"
    """How their processes start, as in the options of a run."""
    start_timeout: float | None = None
    fork_timeout: float | None = None
    threads: int = 1
    """How many threads each of them computes with."""
    grace: float = 30.0
    """Seconds in which a job may save its work when the chain is asked to end."""
    folder: str = ""
    """Where the runner was started: relative paths in environment variables start there."""


@dataclass(frozen=True)
class Submission:
    """A try as it was handed to a cluster; written before that is done, and again when its id is known."""

    executor: str
    name: str
    """Unique: by it a submission is found that the cluster took, while its answer was lost."""
    chain: str
    """The file of the chain, relative to the folder of the try."""
    id: str | None = None
    """The cluster's id of it; None while it is not known whether the cluster has it."""
    outlives_runner: bool = False
    """Whether the executor's jobs go on when the runner has ended."""
    submitted: float | None = None
    """Seconds since the epoch, by the clock of the runner's machine; None where an older version wrote the file."""
    schema: int = SCHEMA


@dataclass(frozen=True)
class Begun:
    """The process of a try."""

    host: str
    pid: int | None
    start: str
    threads: int | None
    gpus: tuple[str, ...] | None
    """As the environment shows them; None where it says nothing."""
    began: float | None = None
    """Seconds since the epoch, by the clock of its machine; None where an older version wrote the file."""
    schema: int = SCHEMA


@dataclass(frozen=True)
class Ended:
    """The end of a try, as seen where it ran."""

    code: int
    """The exit code of its process, negative for a signal."""
    error_kind: ErrorKind | None = None
    error: str | None = None
    """Why it was ended or lost there; None where the worker's own files and code tell."""
    peak_bytes: int | None = None
    limit_bytes: int | None = None
    oom_kills: int = 0
    was_begun: bool = True
    """Whether it counts as begun; False where the chain passed it over."""
    stopped_by: str | None = None
    """The signal by which the cluster, not the runner, asked the chain to end."""
    seconds: float | None = None
    """How long its process lived."""
    schema: int = SCHEMA

    @property
    def reason(self) -> ErrorRecord | None:
        """The error as a record."""
        return None if self.error is None else ErrorRecord(self.error_kind or "crash", self.error)


@dataclass(frozen=True)
class Orders:
    """What the runner asks of a try."""

    grace: float | None = None
    """Seconds until it is killed; None: it need not end."""
    stacks: int = 0
    """How often the stacks of its threads were asked for."""
    schema: int = SCHEMA


def write_chain(chain: Chain, file: Path) -> None:
    """Write a chain, with folders relative to the file's: nodes may see the results folder under another path."""
    links = [
        {
            **dataclasses.asdict(link),
            "folder": os.path.relpath(link.folder, file.parent),
            "outside": [os.path.relpath(folder, file.parent) for folder in link.outside],
        }
        for link in chain.links
    ]
    write_json(file, {**dataclasses.asdict(chain), "links": links, "schema": SCHEMA})


def read_chain(file: Path) -> Chain:
    """Read a chain.

    Raises:
        OSError: there is none.
        ValueError: it is damaged.
        MachineError: a newer version wrote it.
    """
    record = json.loads(file.read_text("utf-8"))
    refuse_newer(file, record, SCHEMA)
    try:
        links = tuple(_link(link, file.parent) for link in record["links"])
        chain = Chain(**{**_known(Chain, record), "links": links})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: is damaged ({type(error).__name__}: {error})") from None
    if not _has_its_types(chain) or any(not 0 <= need < at for at, link in enumerate(links) for need in link.needs):
        raise ValueError(f"{file}: is damaged")
    return chain


def _link(record: dict[str, Any], folder: Path) -> Link:
    place, *outside = (
        Path(os.path.abspath(folder / written)) for written in (record["folder"], *record.get("outside", ()))
    )
    return Link(place, str(record["attempt"]), tuple(record["needs"]), tuple(outside))


def read(path: Path, kind: type[Record]) -> Record | None:
    """A record of a try, None where it is not written yet, cannot be read, or is not what it must be.

    Raises:
        MachineError: a newer version wrote it.
    """
    record = read_json_or_none(path, MAX_BYTES)
    refuse_newer(path, record, SCHEMA)
    if not isinstance(record, dict):
        return None
    written = _known(kind, record)
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in written.items()}
    try:
        found = kind(**values)
    except TypeError:
        return None
    return found if _has_its_types(found) else None


def needs_within(folders: Sequence[Path], needs: Sequence[Sequence[Path]]) -> list[tuple[int, ...]]:
    """For each job of a chain, the places in that chain of the jobs that it needs.

    Args:
        folders: the jobs.
        needs: what each needs, in the chain or not.
    """
    places = {folder: place for place, folder in enumerate(folders)}
    return [tuple(places[need] for need in needed if need in places) for needed in needs]


def queue_seconds(jobs: Iterable[JobFolder]) -> float | None:
    """How long the chains of jobs waited for a place on a cluster, each chain counted once.

    The clocks of two machines are compared, so the number informs people and decides nothing.

    Args:
        jobs: whose tries in force are looked at.

    Returns:
        The sum over the chains, in seconds; None where no job was submitted to a cluster, or the times are unknown.
    """
    waits: dict[str, float] = {}
    for job in jobs:
        with contextlib.suppress(OSError):
            tried = SubmittedTry(job.attempts_path / job.in_force.read_text("utf-8").strip())
            submission, begun = read(tried.submission, Submission), read(tried.begun, Begun)
            if submission and begun and submission.submitted is not None and begun.began is not None:
                waited = max(0.0, begun.began - submission.submitted)
                waits[submission.name] = min(waited, waits.get(submission.name, waited))
    return sum(waits.values()) if waits else None


def _known(kind: type[Any], record: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in dataclasses.fields(kind)}
    return {key: value for key, value in record.items() if key in names}


def _has_its_types(record: Any) -> bool:
    """Whether every field has a value of its type, and numbers are finite: the file may be damaged."""
    kind: Any = type(record)
    return all(_fits(getattr(record, name), hint) for name, hint in _hints(kind).items())


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return isinstance(value, hint) and _has_its_types(value)
    return hint in (str, bool, NoneType, Path) and isinstance(value, hint)
