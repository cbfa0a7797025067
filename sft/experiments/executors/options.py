"""What a user says of where and how stages run, on the command line or in a grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from sft.exceptions import UserError
from sft.registry import unknown_name

StartChoice = Literal["auto", "warm", "fresh"]
LOCAL = "local"
"""The executor of this machine."""
Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class ExecutorOptions:
    """What a user says of the machine and of how processes start on it."""

    executor: str | None = None
    """Where stages run, a name of `executor_registry`; default as the grid says, else this machine."""

    executor_options: Mapping[str, str] = field(default_factory=dict)
    """Options of that executor, by name."""

    detach: bool = False
    """Submit what is to be done and leave; the same run again collects it."""

    grace: float = 30.0
    """Seconds between the request to stop and SIGKILL."""

    jobs: int | None = None
    """Stages that run at the same time, with GPUs those that use some; default one per GPU slot, 1 on a CPU."""

    gpus: str = "all"
    """`all`, `none`, or indices such as `0,1` among those that CUDA_VISIBLE_DEVICES allows."""

    jobs_per_gpu: int = 1
    """Stages that share a GPU."""

    start: StartChoice = "auto"
    """How processes start: forked from a preloaded server, fresh, or warm where that is safe."""

    start_timeout: float | None = None
    """Seconds that the imports of a stage's process, or of the server of warm starts, may take; default 1200 for the
    first process of each stage, then five times what that took, at least 120."""

    fork_timeout: float | None = None
    """Seconds that a process forked by the server may take to its first line; default five times what the server or
    the first fork of the stage took, at least 20."""


def options_of(kind: type[Options], written: Mapping[str, str], place: str = "--executor-option") -> Options:
    """The options of an executor.

    Args:
        kind: their class.
        written: name -> value as text.
        place: where, for error texts.

    Raises:
        UserError: there is no such option, or its value is none.
    """
    for name in written:
        if name not in kind.model_fields:
            raise UserError(f"{place} {unknown_name('option', name, kind.model_fields)}")
    try:
        return kind.model_validate(dict(written))
    except ValidationError as error:
        first = error.errors()[0]
        name, told = str(first["loc"][0]), first["msg"].removeprefix("Value error, ")
        raise UserError(f"{place} {name}={written[name]}: {told}") from None
