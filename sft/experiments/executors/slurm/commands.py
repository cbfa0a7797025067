"""Slurm's own commands, and what they print as what it means here."""

import dataclasses
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sft.exceptions import MachineError
from sft.experiments.executors.chains.cluster import Full, NoAnswer, Seen
from sft.experiments.executors.protocol import EndedAs
from sft.experiments.executors.slurm.options import SlurmOptions
from sft.processes.signals import STOPPED_EXIT_CODE
from sft.runs.records import ErrorRecord

ANSWER_SECONDS = 60.0
PASSING = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Slurm controller not responding",
    "Connection refused",
    "Slurm temporarily unable to accept job",
    "Transport endpoint is not connected",
    "Zero Bytes were transmitted or received",
    "slurm_load_jobs error: Unable",
    "Resource temporarily unavailable",
)
"""Parts of messages after which the same command may do a moment later."""

LIMITS = re.compile(r"(QOS|Assoc)\w*Submit\w*|MaxSubmit\w*|job submit limit|MaxJobCount", re.IGNORECASE)
"""In messages about jobs that are refused because too many of the user's wait or run."""

OWN = ("SLURM_CONF", "SLURM_JWT", "SLURM_CLUSTERS", "SLURM_CONF_SERVER", "SLURM_DEBUG_FLAGS")
FOREIGN = ("SLURM_", "SLURMD_", "SQUEUE_", "SACCT_", "SCONTROL_", "SBATCH_WAIT", "SBATCH_ARRAY_INX", "SBATCH_EXPORT")
"""Beginnings of variables that tell of the job in which a run was started, or change what the commands print."""
VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
"""Variables that tell of the GPUs of the machine where a run was started; a node has its own."""

BY_CODE = ("NonZeroExitCode", "RaisedSignal", "JobLaunchFailure")
"""Beginnings of reasons that say no more than the exit code does."""
SIGTERM_TOLD = 128 + signal.SIGTERM
"""Exit code of a shell or container whose command died of it."""
NO_LOG_SIGNAL = 53
"""That a job seems to have died of whose log could not be opened on its node."""
_LONGER = "write a longer limit (--executor-option time=MINUTES)"
LIMIT_PASSED = ErrorRecord("timeout", f"Slurm's time limit passed before its stage had begun; {_LONGER}")
ASKED_EARLY = ErrorRecord(
    "timeout",
    "Slurm asked it to end (SIGTERM) before its stage had begun, as it does --grace seconds before the time limit "
    f"or up to a minute earlier; {_LONGER}",
)
"""Of a job that was neither cancelled nor preempted, which Slurm calls by other names."""
HELD = (
    *("PartitionTimeLimit", "PartitionNodeLimit", "PartitionDown", "PartitionInactive", "BadConstraints"),
    *("JobHeld", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "launch failed", "user env retrieval"),
    *("QOSMaxCpuPerJob", "QOSMaxGRESPerJob", "QOSMaxMemoryPerJob", "QOSMaxWallDurationPerJob", "AccountNotAllowed"),
    *("AssocMaxCpuPerJob", "AssocMaxGRESPerJob", "AssocMaxMemPerJob", "AssocMaxWallDurationPerJob", "QOSNotAllowed"),
)
"""Beginnings of reasons for which a job waits until somebody changes it, or the cluster."""
HOPELESS = "DependencyNeverSatisfied"
"""Why a job was cancelled that waited for one which did not end well."""
MOST_GRACE = 65_535
"""Seconds before the end of a job at which Slurm sends a signal, at most."""

WAITS = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
RUNS = ("RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING")
ENDS: Mapping[str, tuple[EndedAs, ErrorRecord | None]] = {
    "COMPLETED": ("failed", None),
    "FAILED": ("failed", None),
    "TIMEOUT": (
        "timeout",
        ErrorRecord("timeout", "Slurm's time limit was reached (executor option time)"),
    ),
    "DEADLINE": ("timeout", ErrorRecord("timeout", "Slurm's deadline was reached")),
    "OUT_OF_MEMORY": ("failed", ErrorRecord("oom_host", "Slurm ended it for its memory (executor option mem)")),
    "NODE_FAIL": ("failed", ErrorRecord("node_lost", "its node failed")),
    "BOOT_FAIL": ("failed", ErrorRecord("node_lost", "its node did not start")),
    "PREEMPTED": ("preempted", ErrorRecord("killed", "Slurm gave its place to another job")),
    "REVOKED": ("preempted", ErrorRecord("killed", "Slurm moved it to another cluster")),
    "CANCELLED": ("interrupted", ErrorRecord("killed", "it was cancelled in Slurm (scancel)")),
}


def seen_of(state: str, reason: str = "", host: str | None = None) -> Seen:
    """What a state of Slurm means; it may be cut, have `+` at its end, or say by whom.

    Args:
        state: as squeue, sacct or scontrol prints it.
        reason: why it waits.
        host: where it runs.
    """
    word = state.split()[0].rstrip("+") if state.split() else ""
    if word in WAITS:
        return Seen("queued", waits_for=reason or None, needs_person=reason.startswith(HELD))
    if word in RUNS:
        return Seen("running", host=host)
    if word == "CANCELLED" and HOPELESS in reason:
        return Seen("ended", is_hopeless=True)
    if word not in ENDS:
        return Seen("running", host=host)  # of a version to come; taken for ended it would run a second time
    ended_as, error = ENDS[word]
    if word == "FAILED" and not reason.startswith(BY_CODE) and reason not in ("", "None"):
        error = ErrorRecord("node_lost", f"Slurm could not run it{f' on {host}' if host else ''}: {reason}")
    elif error is not None and error.kind == "node_lost" and host:
        error = dataclasses.replace(error, message=f"{error.message} ({host})")
    unbegun = LIMIT_PASSED if word == "TIMEOUT" else None
    return Seen("ended", error, ended_as, host, code=0 if word == "COMPLETED" else None, unbegun=unbegun)


def seen_by_code(seen: Seen, exit_code: str) -> Seen:
    """The end of a job that failed, with what its exit code says.

    Args:
        seen: without it.
        exit_code: as scontrol prints it: the code, and the signal that it died of.
    """
    code, _, number = exit_code.partition(":")
    if not code.isdecimal() or not number.isdecimal():
        return seen
    on = f" on {seen.host}" if seen.host else ""
    if int(number) == NO_LOG_SIGNAL:
        told = f"Slurm could not open its log{on}, as where the results folder is missing or not writable"
        return dataclasses.replace(seen, error=ErrorRecord("refused", told))
    was_asked = int(number) == signal.SIGTERM or int(code) in (STOPPED_EXIT_CODE, SIGTERM_TOLD)
    seen = dataclasses.replace(seen, unbegun=ASKED_EARLY if was_asked else None)
    if int(number) > 0 or int(code) == SIGTERM_TOLD:
        told = f"its chain was ended by signal {int(number) or signal.SIGTERM.value}{on}"
        return dataclasses.replace(seen, error=ErrorRecord("killed", told))
    return dataclasses.replace(seen, code=int(code))


def seen_in_accounts(state: str, exit_code: str, host: str, reason: str) -> Seen:
    """What the accounts tell of a job.

    Args:
        state: as sacct prints it.
        exit_code: the code, and the signal that it died of.
        host: where it ran; words where that was nowhere.
        reason: why it waited at last, also where it ran after that.
    """
    if state.strip() == "CANCELLED" and reason.startswith("Dependency"):  # by nobody: there it says by whom
        return Seen("ended", is_hopeless=True)
    seen = seen_of(state, host=None if " " in host else host or None)
    is_unexplained = seen.standing == "ended" and seen.error is None and seen.code is None
    return seen_by_code(seen, exit_code) if is_unexplained else seen


def answer(command: Sequence[str], text: str = "") -> str:
    """What a command of Slurm prints.

    Args:
        command: its words.
        text: of its input.

    Raises:
        Full: too many jobs of the user wait or run.
        NoAnswer: the controller cannot be reached now.
        MachineError: it is not installed, or refuses.
    """
    try:
        ended = subprocess.run(
            list(command),
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=ANSWER_SECONDS,
            env=own_environment(os.environ),
            start_new_session=True,  # Ctrl-C is the run's to heed
        )
    except FileNotFoundError:
        raise MachineError(
            f"{command[0]} is not installed here; run on a login node of the cluster, or choose another --executor"
        ) from None
    except OSError as error:
        raise NoAnswer(f"{command[0]} could not be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{command[0]} printed nothing for {ANSWER_SECONDS:g} s") from None
    if ended.returncode == 0:
        return ended.stdout
    told = (ended.stderr.strip() or ended.stdout.strip() or f"exit code {ended.returncode}").splitlines()
    if ended.returncode < 0 or any(part in line for part in PASSING for line in told):
        raise NoAnswer(told[-1])
    line = f"{command[0]}: {'; '.join(line.removeprefix(f'{command[0]}: ') for line in told)}"
    if LIMITS.search(line):
        raise Full(line)
    raise MachineError(line)


def question(command: Sequence[str]) -> str:
    """What a command prints that asks after jobs: nothing follows for them from any trouble of its own.

    Raises:
        NoAnswer: it did not do.
    """
    try:
        return answer(command)
    except MachineError as error:
        raise NoAnswer(str(error)) from None


def own_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The variables for Slurm's commands, which hand them on to jobs: without those of the job and the machine where
    the run was started.
    """
    return {
        name: value for name, value in base.items() if name in OWN or not (name.startswith(FOREIGN) or name in VISIBLE)
    }


def job_id(printed: str) -> str:
    """The id that sbatch printed.

    Raises:
        NoAnswer: it printed none, and the job may be there.
    """
    found = re.findall(r"^(\d+)(?:;.*)?$", printed.strip(), re.MULTILINE)
    if not found:
        raise NoAnswer(f"sbatch printed no job id: {printed.strip()[:80]!r}")
    return str(found[-1])


def batch_command(
    name: str, log: Path, options: SlurmOptions, gpus: int, seconds: float | None, grace: float
) -> list[str]:
    """The words of sbatch for one job, whose script comes by its input."""
    words = {
        "--job-name": name,
        "--output": str(log).replace("%", "%%"),
        "--open-mode": "append",
        "--export": "ALL",
        "--signal": f"B:TERM@{min(max(1, round(grace)), MOST_GRACE)}",
        "--ntasks": "1",
        "--cpus-per-task": str(options.cpus_per_task),
        "--partition": options.partition,
        "--account": options.account,
        "--qos": options.qos,
        "--time": options.time or (None if seconds is None else minutes_of(seconds, grace)),
        "--mem": options.mem,
        "--gres": options.gres_for(gpus),
        "--constraint": options.constraint,
    }
    given = [f"{word}={value}" for word, value in words.items() if value is not None]
    return ["sbatch", "--parsable", "--no-requeue", *given]


def waiting_words(jobs: Sequence[str]) -> list[str]:
    """Further words of sbatch for a job that starts when others have ended with code 0, and is cancelled when one has
    not.
    """
    return [f"--dependency=afterok:{':'.join(jobs)}", "--kill-on-invalid-dep=yes"] if jobs else []


def minutes_of(seconds: float, grace: float) -> str:
    """A time limit for what is expected to take so long: three times that, with the grace and the start beside."""
    return str(max(10, round((3 * seconds + grace + 120) / 60)))


def script_of(command: Sequence[str], options: SlurmOptions) -> str:
    """The script of one job; the command takes the place of the shell, so that Slurm's signals reach it."""
    lines = ["#!/bin/sh", *([options.setup] if options.setup else [])]
    words = " ".join(part for part in (options.prefix, shlex.join(command)) if part)
    return "\n".join([*lines, f"exec {words}", ""])
