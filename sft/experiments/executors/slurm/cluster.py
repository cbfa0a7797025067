"""Slurm as a cluster for chains of jobs: one batch job for each chain, one question for the states of all."""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.chains.cluster import NoAnswer, Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.options import ExecutorOptions, options_of
from sft.experiments.executors.protocol import Request, to_stderr
from sft.experiments.executors.slurm.commands import (
    answer,
    batch_command,
    job_id,
    minutes_of,
    question,
    script_of,
    seen_by_code,
    seen_in_accounts,
    seen_of,
    waiting_words,
)
from sft.experiments.executors.slurm.options import SlurmOptions, seconds_of
from sft.registry import nearest

QUEUE = ("squeue", "--noheader", "--all", "--states=all")
"""Asks for the jobs of all partitions, those that ended lately too."""
ACCOUNTED = "JobID,State,ExitCode,NodeList,Reason"
ACCOUNTS_QUIET_SECONDS = 120.0
"""For which the accounts are not asked after they did not answer: their database may take most of a minute to fail."""
AT_ONCE = 200
"""Jobs in one command: each costs the controller a while, and words of a command have a limit."""


class Slurm:
    """The cluster whose commands are on this machine."""

    name = "slurm"
    look_seconds = 30.0
    outlives_runner = True

    def __init__(self, options: SlurmOptions, jobs: int | None, *, detach: bool = False) -> None:
        """Nothing is asked yet.

        Args:
            options: what the user chose.
            jobs: how many may run at the same time, where the user says.
            detach: whether nobody stays to submit more.
        """
        self._options = options
        self.places: Mapping[str, str] | None = options.places
        self.gpus = options.gpus
        self.threads = options.cpus_per_task
        self.at_once = options.at_once(jobs, detach=detach)
        self._most_seconds: float | None = None
        """The time limit of the partition; None where there is none."""
        self._ended: dict[str, Seen] = {}
        """Of jobs whose end was asked for apart."""
        self._accounts_from = 0.0
        """When the accounts may be asked again."""

    def check(self, requests: Collection[Request]) -> None:
        """Ask for the partitions; what a job asks for is checked by Slurm when the first of its kind is submitted."""
        try:
            told = answer(["sinfo", "--noheader", "--format", "%P|%l"])
        except NoAnswer as error:
            raise MachineError(f"slurm does not answer: {error}; run the same command when it does") from None
        limits = {name.strip(): limit for name, _, limit in (line.partition("|") for line in told.splitlines())}
        known = sorted({name.rstrip("*") for name in limits if name})
        chosen = [name for name in (self._options.partition or "").split(",") if name]
        for name in chosen:
            if name not in known:
                hint = nearest(name, known)
                meant = f" (did you mean {hint}?)" if hint else ""
                raise UserError(
                    f"executor option partition={name}: no such partition{meant}; there are {', '.join(known)}"
                )
        own = [seconds_of(limit) for name, limit in limits.items() if _is_meant(name, chosen)]
        self._most_seconds = None if not own or None in own else max(limit for limit in own if limit is not None)
        if requests:
            self._test(max(requests, key=lambda request: request.gpus))

    def submit(self, name: str, command: Sequence[str], log: Path, request: Request, grace: float) -> str:
        """Have `sbatch` take it."""
        options = self._options
        if options.time is None and request.seconds is not None and self._most_seconds is not None:
            minutes = min(int(minutes_of(request.seconds, grace)), int(self._most_seconds // 60))
            options = options.model_copy(update={"time": str(max(1, minutes))})
        words = batch_command(name, log, options, request.gpus, request.seconds, grace)
        words += waiting_words(request.after)
        return job_id(answer(words, script_of(command, self._options)))

    def find(self, name: str) -> str | None:
        """Ask the queue, which knows those that ended lately too, then the accounts."""
        told = question([*QUEUE, f"--user={os.getuid()}", f"--name={name}", "--format=%i"])
        found = told.split()
        if not found:
            with contextlib.suppress(NoAnswer):  # there need be no accounts
                told = question(["sacct", "-X", "-n", "-P", f"--name={name}", "-o", "JobID", "-S", "now-30days"])
                found = told.split()
        return found[-1] if found else None

    def look(self, ids: Collection[str]) -> Mapping[str, Seen]:
        """One question for all; those that the queue has forgotten are asked for in the accounts, once."""
        wanted = set(ids)
        told = question([*QUEUE, f"--user={os.getuid()}", "--format=%i|%T|%N|%r"])
        parts = (line.split("|", 3) for line in told.splitlines() if line.count("|") >= 3)
        found = {job: seen_of(state, reason, host or None) for job, state, host, reason in parts if job in wanted}
        self._ended |= self._accounted(sorted(wanted - found.keys() - self._ended.keys()))
        for job, seen in found.items():
            if seen.standing == "ended" and seen.error is None and seen.code is None and job not in self._ended:
                self._ended[job] = seen_by_code(seen, _exit_code(job))
        return {**found, **{job: self._ended[job] for job in wanted & self._ended.keys()}}

    def cancel(self, ids: Collection[str]) -> None:
        """Have Slurm end them: SIGTERM to all their processes, SIGKILL after its own wait."""
        for part in _parts(list(ids)):
            with contextlib.suppress(MachineError):  # some may have ended
                answer(["scancel", *part])

    def close(self) -> None:
        """Nothing: a job of Slurm needs nobody."""

    def _accounted(self, jobs: Sequence[str]) -> dict[str, Seen]:
        """Ends as the accounts have them; they may say of a job that is gone that it runs, and there need be none."""
        found: dict[str, Seen] = {}
        for part in _parts(jobs) if time.monotonic() >= self._accounts_from else ():
            try:
                told = question(["sacct", "-X", "-n", "-P", "-j", ",".join(part), "-o", ACCOUNTED])
            except NoAnswer:
                self._accounts_from = time.monotonic() + ACCOUNTS_QUIET_SECONDS
                break
            rows = (line.split("|", 4) for line in told.splitlines() if line.count("|") >= 4)
            found |= {job: seen_in_accounts(*row) for job, *row in rows if job in part}
        return {job: seen for job, seen in found.items() if seen.standing == "ended"}

    def _test(self, request: Request) -> None:
        words = batch_command("sft-test", Path("/dev/null"), self._options, request.gpus, None, 1.0)
        try:
            answer([*words, "--test-only"], script_of(["true"], self._options))
        except NoAnswer:
            return
        except MachineError as error:
            raise MachineError(f"{error}; the executor's options set what a job asks for") from None


def _is_meant(partition: str, chosen: Collection[str]) -> bool:
    """Whether jobs may go to a partition as sinfo names it, with a star where it is the cluster's default."""
    return partition in chosen or partition.rstrip("*") in chosen or (not chosen and partition.endswith("*"))


def _parts(jobs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (jobs[start : start + AT_ONCE] for start in range(0, len(jobs), AT_ONCE))


def _exit_code(job: str) -> str:
    """Of a job that has ended; empty where it is not told."""
    try:
        told = question(["scontrol", "show", "job", "-o", job])
    except NoAnswer:
        return ""
    return dict(part.split("=", 1) for part in told.split() if "=" in part).get("ExitCode", "")


class SlurmExecutor(ChainExecutor):
    """Runs jobs as chains in the queue of Slurm."""

    def __init__(self, options: ExecutorOptions | None = None, say: Callable[[str], None] = to_stderr) -> None:
        """Nothing is asked yet.

        Args:
            options: what the user chose.
            say: called with a line for the user.

        Raises:
            UserError: an option of Slurm is none.
        """
        chosen = options or ExecutorOptions()
        of_slurm = options_of(SlurmOptions, chosen.executor_options)
        limit = None if of_slurm.time is None else seconds_of(of_slurm.time)
        if limit is not None and limit <= chosen.grace:
            raise UserError(
                f"executor option time={of_slurm.time}: is no longer than --grace {chosen.grace:g} s, so that jobs "
                "would be asked to end as soon as they begin"
            )
        super().__init__(Slurm(of_slurm, chosen.jobs, detach=chosen.detach), chosen, say)
