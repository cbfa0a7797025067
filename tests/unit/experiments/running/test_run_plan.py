"""Which jobs of a plan have nothing to do in a results folder."""

from pathlib import Path
from typing import Any

import pytest

from sft.experiments.running.run_plan import done_in
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import JobFolder
from sft.runs.records import JOB_STAGES, StageName


def folder_of(made: Any, stage: StageName, key: str) -> JobFolder:
    return made.experiment("one", key) if stage == "evaluate" else made.stage(stage, key)


@pytest.mark.parametrize("stage", JOB_STAGES)
def test_a_job_is_done_whose_results_are_there(made: Any, stage: StageName, tmp_path: Path) -> None:
    begun, missing = (folder_of(made, stage, key * 16) for key in "bc")
    done = made.finish(folder_of(made, stage, "a" * 16), stage)
    jobs = [PlannedJob(folder, made.job(folder, stage), ()) for folder in (done, begun)]
    jobs.append(PlannedJob(missing, jobs[0].record, ()))
    assert [done_in(made.results)(job) for job in jobs] == [True, False, False] == [job.is_done for job in jobs]
    done.path.rename(tmp_path / "elsewhere")
    done.path.symlink_to(tmp_path / "elsewhere")
    assert done_in(made.results)(jobs[0]), "it lies behind a link"
