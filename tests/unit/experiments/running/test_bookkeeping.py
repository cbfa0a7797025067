"""What the ledger writes of earlier runs before the first job, and what is learnt of jobs that end."""

from sft.experiments.running.bookkeeping import Ledger
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.stage_costs import StageCosts
from sft.experiments.running.summary import RunFacts
from sft.runs.files import ResultsFolder
from sft.runs.records import StatusRecord, read_status, write_record
from sft.runs.states import LOST
from sft.terminal.run_summary import opening_line
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


def test_the_opening_tells_what_is_taken_over_from_what_is_lost(results: ResultsFolder) -> None:
    there, gone = job(results, "infer", "there"), job(results, "infer", "gone")
    for planned in (there, gone):
        write_record(planned.folder.status, StatusRecord("queued", "infer", attempt=1))
    told: list[str] = []

    class Opened(Shown):
        def opened(self, found: RunFacts) -> None:
            told.append(opening_line(found))

    ledger = Ledger(results, Opened(), RunSettings(), Surroundings(), lambda: None)
    takes = {there.folder.path: lambda: told.append("taken over")}
    earlier = ledger.begin(workload({"a": [there], "b": [gone]}), lambda planned: takes.get(planned.folder.path))
    assert told == ["done 0, submitted before 1, retry 1 (lost 1), new 0", "taken over"]
    assert earlier.lost == [gone]


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
