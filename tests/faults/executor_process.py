"""An executor in a process of its own, so that a test can kill it: START JOB_FOLDER ATTEMPT_FOLDER."""

import sys
from pathlib import Path

from sft.experiments.executors.local.executor import LocalExecutor
from sft.experiments.executors.protocol import Submission
from sft.runs.files import AttemptFolder, JobFolder

if __name__ == "__main__":
    start, folder, attempt = sys.argv[1:]
    executor = LocalExecutor(start)
    handle = executor.submit(Submission(JobFolder(Path(folder)), AttemptFolder(Path(attempt))))
    while handle.exit_code() is None:
        executor.ended(60.0)
