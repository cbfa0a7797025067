"""Frames of the live table: what stands in them, and that they fit."""

from collections.abc import Callable, Sequence

import pytest
from rich.cells import cell_len

from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import workload
from sft.experiments.running.stage_costs import StageCosts
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from sft.runs.progress import ProgressRecord
from sft.runs.records import ErrorRecord, JobRecord, State, StatusRecord
from sft.terminal.live.progress import GridProgress, failure_line
from sft.terminal.live.table import cut_middle, frame, gpus_text

Chain = Callable[..., list[PlannedJob]]
UUID = "GPU-8f3a0000-1111-2222-3333-444444444444"


class Played:
    """A grid whose jobs go as a test says."""

    def __init__(self, *experiments: list[PlannedJob], beside: Sequence[PlannedJob] = ()) -> None:
        self.progress = GridProgress(StageCosts())
        self.progress.began(workload({jobs[-1].record.name: jobs for jobs in experiments}, beside=beside))

    def run(self, job: PlannedJob, gpus: tuple[str, ...] = (), step: int = 0, loss: float | None = None) -> None:
        status = StatusRecord("running", job.record.stage, gpus=gpus)
        self.progress.started(job, status)
        told = ProgressRecord(job.record.stage, step, 100 if step else 0, loss, 0.0)
        self.progress.ticked([RunningJob(job, status, told, 7.0)])

    def end(self, job: PlannedJob, state: State = "done", seconds: float = 2.0) -> None:
        self.run(job)
        error = ErrorRecord("oom_gpu", "out of memory") if state == "failed" else None
        status = StatusRecord(state, job.record.stage, seconds=seconds, error=error)
        self.progress.costs.learn(job, status)
        self.progress.ended(job, status)

    def lines(self, width: int = 100, height: int = 24, elapsed: float = 61.0) -> list[str]:
        return [line.plain for line in frame(self.progress, width, height, elapsed)]


def test_a_small_grid_is_shown_whole_in_its_order(chain: Chain) -> None:
    a, b, c, d = (chain(name) for name in "abcd")
    played = Played(a, b, c, d)
    for job in b:
        played.end(job)
    played.end(c[0], "failed", 75.0)
    played.run(a[0], (UUID,), step=30, loss=0.43217)
    for job in c[1:]:
        played.progress.ended(job, StatusRecord("failed", "train"))
    assert played.lines() == [
        "1 of 4 done, 1 failed, 1 running, 1 waiting; 1 min 1 s so far, about 10 s left",
        "experiment  state    stage    step    loss  seconds   ETA  GPU",
        "a           running  train  30/100  0.4322      7.0  0:00  8f3a",
        "b           done                                6.0",
        "c           failed   train                     1:15",
        "d           waiting",
    ]


@pytest.mark.parametrize(
    ("queued", "shown"), [("2020-01-01T00:00:00.000Z", True), ("yesterday", False), (None, False)]
)
def test_a_queued_stage_shows_how_long_it_waits(chain: Chain, queued: str | None, shown: bool) -> None:
    jobs = chain("a")
    grid = Played(jobs)
    grid.progress.started(jobs[0], StatusRecord("queued", "train", 1, queued=queued))
    (row,) = [line for line in grid.lines() if line.startswith("a ")]
    assert "queued" in row
    assert ("0.0" not in row) == shown, row


def test_columns_without_content_take_no_room(chain: Chain) -> None:
    a = chain("a")
    played = Played(a)
    assert played.lines()[1:] == ["experiment  state    stage", "a           waiting"]
    played.run(a[1], step=50)
    assert played.lines()[1] == "experiment  state    stage    step  seconds"


def test_of_a_big_grid_what_runs_and_what_ended_last(chain: Chain) -> None:
    experiments = [chain(f"e{number:02d}") for number in range(30)]
    played = Played(*experiments)
    for jobs in experiments[:12]:
        played.end(jobs[0], "failed")
    for jobs in experiments[12:14]:
        played.run(jobs[0])
    lines = played.lines(height=20)
    assert lines[0].startswith("0 of 30 done, 12 failed, 2 running, 16 waiting; ")
    assert [line.split()[0] for line in lines[2:]] == [
        *("e12", "e13"),
        *("e11", "e10", "e09", "e08", "e07", "e06", "e05", "e04"),
    ]
    assert [line.split()[0] for line in played.lines(height=6)[2:]] == ["e12", "e13", "e11", "e10"]


def test_a_shared_stage_of_a_big_grid_is_one_row_that_says_so(chain: Chain) -> None:
    experiments = [chain(f"e{number:02d}", train="t") for number in range(30)]
    played = Played(*experiments)
    played.run(experiments[0][0])
    assert played.lines(height=10)[2].startswith("e00 (+29)   running  train")


@pytest.mark.parametrize("width", [1, 5, 12, 20, 40, 60, 79, 119])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 12, 40])
def test_every_frame_fits(chain: Chain, width: int, height: int) -> None:
    names = ["qwen2.5-0.5b-" * 8, "日本語の実験" * 12, "a\nb\x1b[31mred", *(f"seed{number}" for number in range(20))]
    experiments = [chain(f"e{number}") for number in range(len(names))]
    progress = GridProgress(StageCosts())
    progress.began(workload(dict(zip(names, experiments, strict=True))))
    played = Played()
    played.progress = progress
    for jobs in experiments[:3]:
        played.run(jobs[0], (UUID, UUID), step=50, loss=1e-7)
    played.end(experiments[4][0], "failed")
    lines = played.lines(width, height, elapsed=360000.0)
    assert 1 <= len(lines) <= height
    assert max(map(cell_len, lines)) <= width
    assert all(line.isprintable() for line in lines)


def test_what_runs_beside_the_experiments_has_no_row(chain: Chain, results: ResultsFolder) -> None:
    record = JobRecord("baseline", "k" * 16, "a", {}, "/", {})
    beside = PlannedJob(results.stage("baseline", record.key), record, ())
    for experiments, height in (([chain("a")], 24), ([chain(f"a{number}") for number in range(30)], 8)):
        played = Played(*experiments, beside=[beside])
        before = played.lines(height=height)
        played.run(beside)
        assert played.lines(height=height)[1:] == before[1:]
        status = StatusRecord("failed", "baseline", error=ErrorRecord("data", "no rows"))
        played.progress.ended(beside, status)
        assert failure_line(played.progress, beside, status) == "FAILED a [kkkkkkkk] at baseline: no rows"


def test_narrow_terminals_keep_the_name_and_what_matters_most(chain: Chain) -> None:
    a = chain("a" * 30)
    played = Played(a)
    played.run(a[0], ("0",), step=50, loss=0.5)
    assert played.lines(50)[-2].split() == ["experiment", "state", "stage", "step", "GPU"]
    assert played.lines(30)[-2].split() == ["experiment", "state"]


def test_counts_and_times_go_on_two_lines_where_one_is_too_short(chain: Chain) -> None:
    played = Played(*(chain(f"e{number}") for number in range(3)))
    assert played.lines(30)[:2] == ["0 of 3 done, 3 waiting", "1 min 1 s so far"]


def test_states_are_coloured_where_they_stand(chain: Chain) -> None:
    a = chain("日本")
    played = Played(a)
    played.run(a[0])
    row = frame(played.progress, 80, 24, 0.0)[-1]
    assert [(row.plain[span.start : span.end], span.style) for span in row.spans] == [("running", "cyan")]


def test_names_are_cut_in_the_middle_by_cells() -> None:
    assert cut_middle("short", 5) == "short"
    assert cut_middle("model/lora/shots=16/seed=13", 15) == "model../seed=13"
    cut = cut_middle("日本語の実験のとても長い名前", 12)
    assert cell_len(cut) <= 12
    assert ".." in cut
    assert cut_middle("abcdefgh", 3) == "abc"


def test_gpus_are_indices_or_the_first_digits_of_their_uuids() -> None:
    assert gpus_text(("0", "1")) == "0,1"
    assert gpus_text((UUID, "MIG-abcdef01")) == "8f3a,abcd"
    assert gpus_text(()) == ""
