"""The records that processes exchange through a job folder."""

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from sft.exceptions import ErrorKind, MachineError
from sft.runs.atomic import write_json

if TYPE_CHECKING:
    from sft.config.experiment import ExperimentConfig

SCHEMA = 1
MAX_BYTES = 1 << 20
"""A status, an error or a progress that is longer is none."""

StageName = Literal["train", "infer", "evaluate", "baseline", "export"]
_INPUT = re.compile(r"(?P<stage>train|infer)(?::(?!fold\d)(?P<row_set>.+?))?(?::fold(?P<fold>\d+))?")
MODEL_STAGES: tuple[StageName, ...] = ("train", "infer")
"""The stages that run a model, in their order; experiments share their folders."""
STAGES: tuple[StageName, ...] = (*MODEL_STAGES, "evaluate")
"""The stages of an experiment in their order."""
JOB_STAGES: tuple[StageName, ...] = (*STAGES, "baseline", "export")
"""All stages that are jobs: beside those of experiments the baselines and exports, which no experiment waits for."""
LOADING_STAGES: tuple[StageName, ...] = (*MODEL_STAGES, "export")
"""The stages that load a model."""
EVAL = "eval"
"""The row set of the evaluated rows."""
StartMode = Literal["warm", "fresh"]
UnderWay = Literal["queued", "starting", "running"]
"""Of a job that was submitted: it waits for a place, it has one and no process yet, it runs."""
State = Literal[UnderWay, "pending", "predicted", "done", "failed", "timeout", "interrupted", "preempted", "pruned"]


@dataclass(frozen=True)
class ErrorRecord:
    """Why a stage failed, in one line, and what stands in its log."""

    kind: ErrorKind
    message: str
    at_loading: bool = False
    """Whether memory ran out while a model was loaded, where smaller batches do not help."""


@dataclass(frozen=True)
class JobRecord:
    """What one worker has to run, complete: the worker reads nothing else of the grid."""

    stage: StageName
    key: str
    name: str
    """First name of the first experiment that needs this stage, for people."""
    config: dict[str, Any]
    """Canonical resolved config of that experiment."""
    config_folder: str
    """Folder that the local paths of the config are relative to."""
    fingerprints: dict[str, Any]
    """What the planner found the inputs to contain; the worker compares what it reads."""
    inputs: dict[str, str] = field(default_factory=dict)
    """`train`, `infer` or another name of a `StageInput` -> folder of a finished stage this one reads, relative to
    the job folder.
    """
    row_set: str = EVAL
    """Which rows an infer stage runs."""
    fold: int | None = None
    """The fold that a train, infer or export stage works for, from 0; None without folds, and for the rows of all."""
    with_metrics: bool = True
    """Whether an evaluate stage computes metrics, or writes predictions only."""
    memory_step: int = 0
    """How often the stage ran out of memory before: each step makes it need less (`sft.pipeline.jobs`)."""
    key_fields: dict[str, Any] = field(default_factory=dict)
    """What the key was made of, so that `plan --why` can say what differs."""
    code: dict[str, str] = field(default_factory=dict)
    """Own code as written, of those in files -> its source at the time of the plan, which is what runs."""
    folder: str = ""
    """The job folder as the runner names it: with the links that it follows there, not resolved."""
    schema: int = SCHEMA

    @cached_property
    def experiment(self) -> "ExperimentConfig":
        """The config as an object, read once.

        Raises:
            ValidationError: another version of this program wrote a config that this one does not take.
        """
        from sft.config.experiment import ExperimentConfig  # views of results read records and need no pydantic

        return ExperimentConfig.model_validate(self.config)

    def input_folder(self, name: str, job_folder: Path) -> Path | None:
        """The folder of the finished stage that this job reads under a name (`inputs`), or None."""
        relative = self.inputs.get(name)
        return None if relative is None else self._beside(relative, job_folder)

    def infer_folders(self, job_folder: Path, fold: int | None = None) -> dict[str, Path]:
        """Row set -> folder of its finished infer stage, of those that this job reads.

        Args:
            job_folder: of this job.
            fold: whose stages are meant; those that serve all folds are everybody's.
        """
        found = {name: StageInput.parse(name) for name in self.inputs if stage_of(name) == "infer"}
        own = {item.row_set: name for name, item in found.items() if item.fold in (None, fold)}
        return {row_set: self._beside(self.inputs[name], job_folder) for row_set, name in own.items()}

    @property
    def folds(self) -> tuple[int | None, ...]:
        """The folds of which this job reads stages of their own; a single None where it reads none."""
        found = {StageInput.parse(name).fold for name in self.inputs} - {None}
        return tuple(sorted(fold for fold in found if fold is not None)) or (None,)

    def _beside(self, relative: str, job_folder: Path) -> Path:
        """A path relative to the job folder, where links among its parents may lead to other disks.

        `..` means the parent in the path as written, not that of the place a link leads to.
        """
        with contextlib.suppress(OSError):
            if self.folder and os.path.samefile(self.folder, job_folder):
                job_folder = Path(self.folder)
        return Path(os.path.abspath(job_folder / relative))


@dataclass(frozen=True)
class StageInput:
    """A train or infer stage as the evaluate stage of its experiment reads it, or an export of an experiment.

    Attributes:
        stage: `train`, `infer` or `export`.
        row_set: of an infer stage; of an export `eval`.
        fold: whose stage it is, from 0; None where it serves all rows.
    """

    stage: StageName
    row_set: str = EVAL
    fold: int | None = None

    @property
    def name(self) -> str:
        """`train`, `infer`, `infer:ROW_SET`, `export`, each with `:foldN` after it where it is of a fold."""
        parts = [self.stage, *([] if self.row_set == EVAL else [self.row_set])]
        return ":".join([*parts, *([] if self.fold is None else [f"fold{self.fold}"])])

    @classmethod
    def parse(cls, name: str) -> "StageInput":
        """The stage of a name.

        Raises:
            ValueError: it is no such name.
        """
        match = _INPUT.fullmatch(name)
        if match is None:
            raise ValueError(f"no train or infer stage is called {name!r}")
        fold = None if match["fold"] is None else int(match["fold"])
        return cls("train" if match["stage"] == "train" else "infer", match["row_set"] or EVAL, fold)


def stage_of(name: str) -> str:
    """The stage that is read under a name: `infer` of `infer:train:64`."""
    return name.partition(":")[0]


@dataclass(frozen=True)
class StatusRecord:
    """How a job stands; the runner alone writes it."""

    state: State
    stage: StageName
    attempt: int = 0
    error: ErrorRecord | None = None
    log: str | None = None
    """The stderr log of the stage that failed."""
    queued: str | None = None
    """When it was submitted; None of a try that never was, and before versions that wrote it."""
    started: str | None = None
    """When it had a place to run."""
    ended: str | None = None
    seconds: float | None = None
    pid: int | None = None
    device: str | None = None
    start: StartMode | None = None
    """How its process was started."""
    gpus: tuple[str, ...] = ()
    """The GPUs it had."""
    memory_step: int = 0
    """As in its job."""
    reused_from: str | None = None
    """The folder of the same stage in another results folder, where its results come from there."""
    schema: int = SCHEMA


def write_record(path: Path, record: Any) -> None:
    """Write a record dataclass as JSON, atomically."""
    write_json(path, dataclasses.asdict(record))


def read_job(path: Path) -> JobRecord:
    """The job of a job folder.

    Raises:
        MachineError: a newer version wrote it.
    """
    record = json.loads(path.read_text("utf-8"))
    refuse_newer(path, record, SCHEMA)
    known = {item.name for item in dataclasses.fields(JobRecord)}
    return JobRecord(**{key: value for key, value in record.items() if key in known})


def read_status(path: Path) -> StatusRecord | None:
    """The status of a job folder, None when there is none or it cannot be read.

    Raises:
        MachineError: a newer version wrote it.
    """
    record = read_json_or_none(path, MAX_BYTES)
    refuse_newer(path, record, SCHEMA)
    if not isinstance(record, dict) or not _is_status(record):
        return None
    known = {key: value for key, value in record.items() if key in StatusRecord.__dataclass_fields__}
    own = {"error": _error_of(record.get("error")), "gpus": tuple(record.get("gpus", ()))}
    return StatusRecord(**{**known, **own})


def read_error(path: Path) -> ErrorRecord | None:
    """The error a worker left, None when it left none."""
    return _error_of(read_json_or_none(path, MAX_BYTES))


def read_json_or_none(path: Path, max_bytes: int | None = None) -> Any:
    """The parsed file, None when it is absent, not JSON, or longer than `max_bytes`."""
    try:
        if max_bytes is not None and path.stat().st_size > max_bytes:
            return None
        return json.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def refuse_newer(path: Path | str, record: Any, schema: int) -> None:
    """Refuse what a newer version of this program wrote; older files are read.

    Raises:
        MachineError: the record's `schema` is above the one known here.
    """
    written = record.get("schema") if isinstance(record, Mapping) else None
    if isinstance(written, int) and written > schema:
        raise MachineError(
            f"{path}: was written by a newer version of sft (schema {written}; this one reads up to {schema}); "
            "update sft, or choose another --results-path",
            kind="refused",
        )


_TEXTS = ("log", "queued", "started", "ended", "reused_from")


def _is_status(record: Mapping[str, Any]) -> bool:
    """Whether every field that a reader counts on is what it must be."""
    numbers = [record.get(name) for name in ("seconds", "pid")]
    return (
        record.get("state") in get_args(State)
        and record.get("stage") in JOB_STAGES
        and isinstance(record.get("attempt", 0), int)
        and isinstance(record.get("gpus", []), list)
        and all(number is None or isinstance(number, int | float) for number in numbers)
        and all(
            isinstance(record.get(name), str | None) for name in ("log", "queued", "started", "ended", "reused_from")
        )
    )


def _error_of(record: Any) -> ErrorRecord | None:
    if not isinstance(record, dict) or not all(isinstance(record.get(name), str) for name in ("kind", "message")):
        return None
    return ErrorRecord(record["kind"], record["message"], at_loading=record.get("at_loading") is True)
