"""Slurm as a cluster for chains of jobs: one batch job for each chain, one question for the states of all."""

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from sft.exceptions import MachineError, UserError
from sft.experiments.executors.chains.cluster import NoAnswer, Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.chains.options import options_of
from sft.experiments.executors.protocol import ExecutorOptions, Request, to_stderr
from sft.experiments.executors.slurm.commands import answer, batch_command, script_of, seen_of
from sft.experiments.executors.slurm.options import SlurmOptions
from sft.registry import nearest


class Slurm:
    """The cluster whose commands are on this machine."""

    name = "slurm"
    look_seconds = 30.0
    outlives_runner = True

    def __init__(self, options: SlurmOptions, jobs: int | None) -> None:
        """Nothing is asked yet.

        Args:
            options: what the user chose.
            jobs: how many may run at the same time, where the user says.
        """
        self._options = options
        self.gpus = options.gpus
        self.threads = options.cpus_per_task
        self.at_once = options.at_once(jobs)

    def check(self, requests: Collection[Request]) -> None:
        """Ask for the partitions; what a job asks for is checked by Slurm when the first of its kind is submitted."""
        try:
            told = answer(["sinfo", "--noheader", "--format", "%R"])
        except NoAnswer as error:
            raise MachineError(f"slurm does not answer: {error}; run the same command when it does") from None
        known = sorted({line.strip() for line in told.splitlines() if line.strip()})
        for name in (self._options.partition or "").split(","):
            if name and name not in known:
                hint = nearest(name, known)
                meant = f" (did you mean {hint}?)" if hint else ""
                raise UserError(
                    f"--executor-option partition={name}: no such partition{meant}; there are {', '.join(known)}"
                )
        if requests:
            self._test(max(requests, key=lambda request: request.gpus))

    def submit(self, name: str, command: Sequence[str], log: Path, request: Request, grace: float) -> str:
        """Have `sbatch` take it."""
        words = batch_command(name, log, self._options, request.gpus, request.seconds, grace)
        told = answer(words, script_of(command, self._options))
        return told.strip().splitlines()[-1].partition(";")[0]

    def find(self, name: str) -> str | None:
        """Ask the queue, which knows those that ended lately too, then the accounts."""
        told = answer(["squeue", "--noheader", "--states=all", f"--name={name}", "--format=%i"])
        found = [line.strip() for line in told.splitlines() if line.strip()]
        if not found:
            with contextlib.suppress(MachineError):
                told = answer(["sacct", "-X", "-n", "-P", f"--name={name}", "-o", "JobID", "-S", "now-30days"])
                found = [line.strip() for line in told.splitlines() if line.strip()]
        return found[-1] if found else None

    def look(self, ids: Collection[str]) -> Mapping[str, Seen]:
        """One question for all; those that the queue has forgotten are asked for in the accounts."""
        wanted = set(ids)
        told = answer(["squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%r"])
        parts = (line.split("|") for line in told.splitlines() if line.count("|") == 3)
        found = {job: seen_of(state, reason, host or None) for job, state, host, reason in parts if job in wanted}
        for job in sorted(wanted - found.keys()):
            seen = _accounted(job) or _shown(job)
            if seen is not None:
                found[job] = seen
        return found

    def cancel(self, ids: Collection[str]) -> None:
        """Have Slurm end them: SIGTERM to all their processes, SIGKILL after its own wait."""
        if ids:
            with contextlib.suppress(MachineError):  # some may have ended
                answer(["scancel", *ids])

    def close(self) -> None:
        """Nothing: a job of Slurm needs nobody."""

    def _test(self, request: Request) -> None:
        words = batch_command("sft-test", Path("/dev/null"), self._options, request.gpus, None, 1.0)
        try:
            answer([*words, "--test-only"], script_of(["true"], self._options))
        except NoAnswer:
            return
        except MachineError as error:
            raise MachineError(f"{error}; --executor-option sets what a job asks for") from None


def _accounted(job: str) -> Seen | None:
    """As the accounts have it; None where there are none, or not this job."""
    try:
        told = answer(["sacct", "-X", "-n", "-P", "-j", job, "-o", "State"])
    except MachineError:
        return None
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return seen_of(lines[-1]) if lines else None


def _shown(job: str) -> Seen | None:
    try:
        told = answer(["scontrol", "show", "job", "-o", job])
    except MachineError:
        return None
    fields = dict(part.split("=", 1) for part in told.split() if "=" in part)
    return seen_of(fields["JobState"], fields.get("Reason", "")) if "JobState" in fields else None


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
        super().__init__(Slurm(options_of(SlurmOptions, chosen.executor_options), chosen.jobs), chosen, say)
