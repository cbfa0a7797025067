"""What the ledger writes of earlier runs before the first job."""

from fake_executor import Shown, job

from sft.experiments.ledger import Ledger
from sft.experiments.settings import RunSettings
from sft.experiments.surroundings import Surroundings
from sft.runs.files import ResultsFolder
from sft.runs.records import StatusRecord, read_status, write_record
from sft.runs.states import LOST


def test_what_an_earlier_runner_left_running_runs_no_more(results: ResultsFolder) -> None:
    planned = job(results, "train", "t")
    write_record(planned.folder.status, StatusRecord("running", "train", attempt=2, memory_step=1))
    shown = Shown()
    earlier = Ledger(results, shown, RunSettings(), Surroundings(oom_counter=None), lambda: None).begin(
        {"a": [planned]}
    )
    assert earlier.lost == [planned]
    status = read_status(planned.folder.status)
    assert status is not None
    assert (status.state, status.error, status.attempt, status.memory_step) == ("interrupted", LOST, 2, 1)
