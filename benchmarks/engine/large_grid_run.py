"""`python large_grid_run.py RESULTS`: a runner with two stub jobs, the second of which waits for a signal."""

import sys
import time
from pathlib import Path

from sft.experiments.executors.local.executor import LocalExecutor
from sft.experiments.running.board_refresh import UNDER_WAY, board_starter
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.pipeline.jobs import PlannedJob
from sft.processes.signals import StopRequested
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.lock import locked
from sft.runs.manifest import write_manifest
from sft.runs.progress import Progress
from sft.runs.records import JobRecord
from sft.terminal.live.lines import display_for


def stage(job: JobFolder, record: JobRecord, _progress: Progress, _started: float) -> None:
    """End at once, or wait for the request to stop and say that it came."""
    if record.key == "waiting":
        (job.path / "started").touch()
        try:
            time.sleep(3600)
        except StopRequested:
            (job.path / "signalled").touch()
            raise
    job.scores.write_text("{}")
    write_manifest(job, [job.scores])


def main(results: ResultsFolder) -> None:
    """Run both."""
    jobs = {}
    for key in ("first", "waiting"):
        record = JobRecord("infer", key, key, {}, "", {})
        jobs[key] = [PlannedJob(results.stage("infer", key), record, ())]
    with locked(results):
        around = Surroundings(board_seconds=0.0)
        start = board_starter(results, UNDER_WAY)
        settings = RunSettings(start="fresh")
        Runner(results, LocalExecutor(settings), display_for(), start, settings, around).run(workload(jobs))


if __name__ == "__main__":
    main(ResultsFolder(Path(sys.argv[1])))
