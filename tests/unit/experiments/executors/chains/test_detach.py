"""Runs that submit everything to a cluster that is played, leave, and are run again to collect it."""

import dataclasses
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.chains.cluster import Full
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.running.recovery import sweep
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.summary import Detached, RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.chains import Submission, SubmittedTry, read
from sft.runs.fence import TakenOver, holding_claim
from sft.runs.files import ResultsFolder
from sft.runs.records import read_status, write_record
from sft.runs.states import standing_of
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_executor import Shown, fail, fail_times, job

PATIENCE = 0.05


@pytest.fixture
def jobs(results: ResultsFolder) -> list[PlannedJob]:
    """Two inferences, and an evaluation of both."""
    first, second = job(results, "infer", "first"), job(results, "infer", "second")
    return [first, second, job(results, "evaluate", "both", first, second)]


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster(waits=True)
    made.at_once = float("inf")
    return made


def run(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster, *, detach: bool = True, **settings: Any
) -> RunSummary:
    work = workload({"a": jobs})
    sweep(results, [planned.folder for planned in work.needed.values()], print)
    executor = ChainExecutor(cluster, ExecutorOptions(detach=detach), Shown().say, PATIENCE)
    executor.expect(list(work.needed.values()))
    around = Surroundings(backoff_seconds=0.0, tick_seconds=0.01, board_seconds=0.0, mask=str)
    chosen = RunSettings(executor="fake", detach=detach, **settings)
    return Runner(results, executor, Shown(), lambda: None, chosen, around).run(work)


def states(jobs: list[PlannedJob]) -> list[str | None]:
    found = [read_status(planned.folder.status) for planned in jobs]
    return [status and status.state for status in found]


def submitted(cluster: FakeCluster) -> list[tuple[list[str], tuple[str, ...]]]:
    """The jobs of each chain, and which chains it waits for."""
    names = [[link.folder.name for link in found.links] for found in cluster.chains]
    return list(zip(names, [request.after for request in cluster.requests], strict=True))


ALL = [(["first"], ()), (["second"], ()), (["both"], ("0", "1"))]


def test_all_is_submitted_at_once_what_needs_others_after_them(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    summary = run(results, jobs, cluster)
    assert submitted(cluster) == ALL
    assert summary.detached == Detached("fake", chains=3, stages=3, before=0, left_out=0)
    assert states(jobs) == ["queued"] * 3
    assert (cluster.closed, cluster.cancelled) == (1, [])
    assert not summary.failed


@pytest.mark.parametrize("detach", [True, False])
def test_the_same_run_collects_what_has_ended(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster, *, detach: bool
) -> None:
    run(results, jobs, cluster)
    cluster.run_all()
    summary = run(results, jobs, cluster, detach=detach)
    assert submitted(cluster) == ALL, "nothing is submitted twice"
    assert states(jobs) == ["done"] * 3
    assert summary.detached is None


def test_what_still_runs_is_left_again(results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster) -> None:
    run(results, jobs, cluster)
    cluster.run("0")
    summary = run(results, jobs, cluster)
    assert submitted(cluster) == ALL
    assert summary.detached == Detached("fake", chains=0, stages=0, before=2, left_out=0)
    assert states(jobs) == ["done", "queued", "queued"]


def test_what_waited_for_a_failure_is_pending_and_submitted_with_the_retry(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.plays = {"first": fail_times(1), "second": lambda _: None}
    run(results, jobs, cluster)
    cluster.run_all()
    summary = run(results, jobs, cluster)
    assert submitted(cluster) == [*ALL, (["first"], ()), (["both"], ("3", "1"))]
    assert summary.detached == Detached("fake", chains=2, stages=2, before=1, left_out=0)
    assert states(jobs) == ["queued", "running", "queued"]
    cluster.plays = {}
    for identity in ("1", "3", "4"):
        cluster.run(identity)
    run(results, jobs, cluster)
    assert states(jobs) == ["done"] * 3


def test_who_takes_chains_over_hands_over_more_without_a_probe(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.plays = {"first": fail_times(1)}
    run(results, jobs, cluster)
    cluster.run_all()
    cluster.places, cluster.waits = {}, False
    run(results, jobs, cluster, detach=False)
    assert (states(jobs), cluster.probes) == (["done"] * 3, 0)


def test_a_failure_for_good_fails_what_needs_it(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.plays = {"first": fail()}
    run(results, jobs, cluster)
    cluster.run_all()
    summary = run(results, jobs, cluster)
    assert states(jobs) == ["failed", "done", "failed"]
    assert len(cluster.names) == 3
    assert summary.detached is None


def test_what_the_queue_has_forgotten_is_no_lost_node_where_it_waited_in_vain(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    """A queue knows those that ended for some minutes only."""
    cluster.plays = {"first": fail()}
    run(results, jobs, cluster)
    cluster.run_all()
    cluster.seen.clear()
    run(results, jobs, cluster, retries=0)
    assert states(jobs) == ["failed", "done", "failed"]
    status = read_status(jobs[2].folder.status)
    assert status is not None
    assert status.error is not None
    assert status.error.kind == "data"


def test_as_many_are_submitted_as_may_wait_and_the_next_run_submits_the_rest(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.at_once = 1
    summary = run(results, jobs, cluster)
    assert summary.detached == Detached("fake", chains=1, stages=1, before=0, left_out=2)
    cluster.run_all()
    assert run(results, jobs, cluster).detached == Detached("fake", chains=1, stages=2, before=0, left_out=0)
    cluster.run_all()
    run(results, jobs, cluster)
    assert states(jobs) == ["done"] * 3


class Killed(BaseException):
    """The runner is gone."""


@pytest.mark.parametrize("moment", ["submit", "submit!"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_run_that_is_killed_while_it_submits_is_gone_on_with(
    results: ResultsFolder,
    jobs: list[PlannedJob],
    cluster: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    number: int,
) -> None:
    answered = cluster._answer
    n_asked = 0

    def die(question: str) -> None:
        nonlocal n_asked
        answered(question)
        n_asked += question == moment
        if question == moment and n_asked == number + 1:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "_answer", die)
        patched.setattr(ChainExecutor, "close", lambda _self: None)
        with pytest.raises(Killed):
            run(results, jobs, cluster)
    assert states(jobs)[number] == "queued", "written before it was submitted"
    run(results, jobs, cluster)
    assert submitted(cluster) == ALL
    cluster.run_all()
    run(results, jobs, cluster)
    assert states(jobs) == ["done"] * 3


def test_what_the_cluster_does_not_take_is_left_out_and_submitted_by_the_next_run(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = cluster._answer

    def refuse(question: str) -> None:
        answered(question)
        if question == "submit" and cluster.names:
            raise Full("too many jobs")

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "_answer", refuse)
        summary = run(results, jobs, cluster)
    assert summary.detached == Detached("fake", chains=1, stages=1, before=0, left_out=2)
    assert not cluster.cancelled
    assert not SubmittedTry(jobs[1].folder.attempt(1).path).submission.exists()
    assert [standing_of(planned.folder, is_locked=False).state for planned in jobs] == ["queued", "pending", "pending"]
    run(results, jobs, cluster)
    assert submitted(cluster) == ALL


def test_a_first_submission_that_is_refused_leaves_no_trace(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.refusals = [MachineError("invalid account")]
    with pytest.raises(MachineError, match="invalid account"):
        run(results, jobs, cluster)
    assert not SubmittedTry(jobs[0].folder.attempt(1).path).submission.exists()
    run(results, jobs, cluster)
    assert submitted(cluster) == ALL


def test_an_answer_that_was_not_heard_is_waited_for(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.silent = ["submit!", "find"]
    run(results, jobs, cluster)
    assert sorted(submitted(cluster)) == sorted(ALL)
    told = [read(SubmittedTry(planned.folder.attempt(1).path).submission, Submission) for planned in jobs]
    assert [found and found.id for found in told] == ["0", "1", "2"]


def test_a_cluster_that_is_silent_holds_no_retry_up(results: ResultsFolder, cluster: FakeCluster) -> None:
    planned = job(results, "infer", "first")
    cluster.plays = {"first": fail_times(1)}
    run(results, [planned], cluster)
    cluster.run_all()
    cluster.silent = ["look"] * 3
    run(results, [planned], cluster)
    assert (states([planned]), len(cluster.names)) == (["queued"], 2)


def test_a_run_that_was_taken_over_leaves_its_chains_to_the_other_one(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    is_held = True

    def lose() -> None:
        nonlocal is_held
        is_held = False

    cluster.at_look = lose
    with holding_claim(results.path, lambda: is_held), pytest.raises(TakenOver):
        run(results, jobs, cluster, detach=False)
    assert (cluster.cancelled, len(cluster.names)) == ([], 2)
    cluster.at_look, cluster.waits = lambda: None, False
    cluster.run_all()
    run(results, jobs, cluster, detach=False)
    assert (states(jobs), len(cluster.names)) == (["done"] * 3, 3)


def test_views_tell_of_what_a_cluster_has_by_its_files(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    cluster.plays = {"first": lambda _: None, "second": fail(message="row 7")}
    run(results, jobs, cluster)
    cluster.run("0")
    cluster.run("1")
    told = [standing_of(planned.folder, is_locked=False) for planned in jobs]
    assert [standing.state for standing in told] == ["running", "failed", "queued"]
    assert told[1].error is not None
    assert told[1].error.message == "row 7"
    assert told[1].status is not None
    assert told[1].status.log is not None
    assert (results.path / told[1].status.log).is_file()


def test_a_cluster_whose_jobs_end_with_the_runner_has_none(
    results: ResultsFolder, jobs: list[PlannedJob], cluster: FakeCluster
) -> None:
    run(results, jobs, cluster)
    file = SubmittedTry(jobs[0].folder.attempt(1).path).submission
    record = read(file, Submission)
    assert record is not None
    write_record(file, dataclasses.replace(record, outlives_runner=False))
    assert standing_of(jobs[0].folder, is_locked=False).state == "lost"
