"""What the ledger writes of earlier runs before the first job, and what is learnt of jobs that end."""

from sft.experiments.running.bookkeeping import Ledger
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.stage_costs import StageCosts
from sft.runs.files import ResultsFolder
from sft.runs.records import StatusRecord, read_status, write_record
from sft.runs.states import LOST
from tests.support.fake_executor import Shown, job


def test_what_an_earlier_runner_left_running_runs_no_more(results: ResultsFolder) -> None:
    planned = job(results, "train", "t")
    write_record(planned.folder.status, StatusRecord("running", "train", attempt=2, memory_step=1))
    shown = Shown()
    ledger = Ledger(results, shown, RunSettings(), Surroundings(), lambda: None)
    earlier = ledger.begin(workload({"a": [planned]}))
    assert earlier.lost == [planned]
    status = read_status(planned.folder.status)
    assert status is not None
    assert (status.state, status.error, status.attempt, status.memory_step) == ("interrupted", LOST, 2, 1)


def test_what_a_job_took_is_learnt_whatever_displays_do_with_it(results: ResultsFolder) -> None:
    costs, jobs = StageCosts(), [job(results, "infer", key) for key in ("first", "failed", "next")]
    around = Surroundings(cost=costs.cost, learn=costs.learn)
    ledger = Ledger(results, Shown(), RunSettings(), around, lambda: None)
    ledger.begin(workload({planned.record.key: [planned] for planned in jobs}))
    assert costs.seconds(jobs[2]) is None
    for planned, state, seconds in zip(jobs, ("done", "failed"), (40.0, 900.0), strict=False):
        ledger.started(planned, StatusRecord("running", "infer"))
        ledger.ended(planned, StatusRecord(state, "infer", seconds=seconds), None, now=0.0)
    assert costs.seconds(jobs[2]) == 40.0
