"""Jobs that start as a new interpreter."""

import os
from collections.abc import Mapping

from sft.experiments.executors.executor import Submission
from sft.experiments.executors.guarded import Command, GuardedProcess
from sft.processes.child import module_command
from sft.processes.working_folder import is_imported_from


def worker_command(*arguments: str) -> list[str]:
    """The command of a worker; where it runs must not decide what it imports."""
    places = [os.getcwd()] if is_imported_from() else []
    return module_command("sft.worker", *arguments, places=places)


def start_fresh(job: Submission, environment: Mapping[str, str]) -> GuardedProcess:
    """Start `python -m sft.worker JOB_FOLDER` under a guard, in the attempt's work folder, its output in files."""
    command = Command(
        words=worker_command(str(job.folder.path.absolute())),
        environment=environment,
        folder=job.attempt.work,
        cores=job.lease.cores,
    )
    with job.attempt.stdout.open("ab") as stdout, job.attempt.stderr.open("ab") as stderr:
        return GuardedProcess(command, stdout, stderr)
