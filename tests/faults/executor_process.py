"""An executor in a process of its own, so that a test can kill it: START JOB_FOLDER ATTEMPT_FOLDER."""

import sys
from pathlib import Path

from sft.experiments.executors.handle import Submission
from sft.experiments.executors.local.processes import JobProcesses
from sft.experiments.executors.protocol import Lease
from sft.runs.files import AttemptFolder, JobFolder

if __name__ == "__main__":
    start, folder, attempt = sys.argv[1:]
    executor = JobProcesses(start)
    handle = executor.submit(Submission(JobFolder(Path(folder)), AttemptFolder(Path(attempt)), Lease()))
    while handle.exit_code() is None:
        executor.ended(60.0)
