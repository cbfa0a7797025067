"""Chains on a cluster that is played, run by the runner: what is handed over, and what becomes of it."""

import os
import signal
import sys
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import JobAttempt, Request
from sft.experiments.running.attempts.attempt import prepare
from sft.experiments.running.runner import Runner
from sft.experiments.running.schedule import workload
from sft.experiments.running.settings import RunSettings, Surroundings
from sft.experiments.running.summary import RunSummary
from sft.pipeline.jobs import PlannedJob
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Ended, Submission, SubmittedTry, read
from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, StatusRecord, read_status, write_record
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_executor import Shown, chain, fail, fail_times, job, run_on, succeed

PATIENCE = 0.05


def run(
    results: ResultsFolder, experiments: Any, cluster: FakeCluster, display: Shown | None = None, **settings: Any
) -> RunSummary:
    work = workload(experiments if isinstance(experiments, dict) else {"a": experiments})
    executor = ChainExecutor(cluster, ExecutorOptions(), (display or Shown()).say, PATIENCE)
    executor.expect(list(work.needed.values()))
    around = Surroundings(backoff_seconds=0.0, tick_seconds=0.01, board_seconds=0.0, mask=str)
    shown = display or Shown()
    return Runner(results, executor, shown, lambda: None, RunSettings(**settings), around).run(work)


def states(jobs: list[PlannedJob]) -> list[str | None]:
    found = [read_status(planned.folder.status) for planned in jobs]
    return [status and status.state for status in found]


def status_of(planned: PlannedJob) -> StatusRecord:
    found = read_status(planned.folder.status)
    assert found is not None
    return found


def submitted(cluster: FakeCluster) -> list[list[str]]:
    """The jobs of each chain, by their folders' names."""
    return [[link.folder.name for link in found.links] for found in cluster.chains]


def test_what_needs_each_other_is_handed_over_together(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster()
    summary = run(results, jobs, cluster)
    assert submitted(cluster) == [["t", "i", "e"]]
    assert [link.needs for link in cluster.chains[0].links] == [(), (0,), (1, 0)]
    assert states(jobs) == ["done"] * 3
    assert not summary.failed
    assert status_of(jobs[1]).queued is not None
    assert cluster.closed == 1


def test_nodes_are_given_the_place_at_which_they_see_the_results_folder(results: ResultsFolder) -> None:
    jobs, cluster, there = chain(results), FakeCluster(), results.path.with_name("there")
    results.path.mkdir(exist_ok=True)
    there.symlink_to(results.path)
    options = ExecutorOptions(executor_options={"results_path": str(there)})
    executor = ChainExecutor(cluster, options, Shown().say, PATIENCE)
    executor.expect(jobs)
    executor.submit([JobAttempt(item.folder, prepare(item, 0)) for item in jobs], Request())
    (given,) = cluster.commands
    assert given[-1].startswith(f"{there}/stages/train/t/attempts/01/")
    executor.close()


def test_experiments_that_share_a_training_are_one_chain(results: ResultsFolder) -> None:
    train = job(results, "train", "t")
    experiments = {
        name: [train, infer := job(results, "infer", f"i{name}", train), job(results, "evaluate", f"e{name}", infer)]
        for name in ("a", "b")
    }
    run(results, experiments, cluster := FakeCluster())
    assert submitted(cluster) == [["t", "ia", "ea", "ib", "eb"]]


def test_what_needs_a_stage_of_another_chain_waits_for_it(results: ResultsFolder) -> None:
    first, second = job(results, "infer", "first"), job(results, "infer", "second")
    both = job(results, "evaluate", "both", first, second)
    cluster = FakeCluster()
    run(results, {"a": [first, second, both]}, cluster)
    assert submitted(cluster) == [["first"], ["second"], ["both"]]


def test_a_failure_leaves_out_what_needs_it_and_says_so(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster({"t": fail()})
    summary = run(results, jobs, cluster)
    assert submitted(cluster) == [["t", "i", "e"]]
    assert states(jobs) == ["failed", "failed", "failed"]
    assert {status.error.kind for status in summary.failed.values() if status.error} == {"data"}


def test_what_can_never_start_stays_failed_until_its_chain_has_ended(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster({"t": fail()})
    later = [SubmittedTry(planned.folder.attempt(1).path).ended for planned in jobs[1:]]
    looks: list[int] = []

    def hold_back() -> None:
        """The files of those after the first appear some looks later."""
        looks.append(0)
        cluster.seen["0"] = Seen("running")
        for file in later:
            if len(looks) == 1:
                file.unlink()
            elif len(looks) == 5:
                write_record(file, Ended(75, was_begun=False))

    cluster.at_look = hold_back
    run(results, jobs, cluster)
    assert len(looks) >= 5
    assert states(jobs) == ["failed"] * 3


def test_a_passing_failure_is_tried_again_with_all_that_follows(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster({"t": fail_times(1)})
    run(results, jobs, cluster)
    assert submitted(cluster) == [["t", "i", "e"]] * 2
    assert states(jobs) == ["done"] * 3
    assert status_of(jobs[0]).attempt == 2


def test_no_answer_to_a_submission_is_asked_for_by_name_and_nothing_is_submitted_twice(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster()
    cluster.silent = ["submit!", "find"]
    display = Shown()
    run(results, jobs, cluster, display)
    assert len(cluster.names) == 1
    assert states(jobs) == ["done"] * 3
    assert sum("does not answer" in line for line in display.said) == 1


def test_a_cluster_that_does_not_answer_fails_nothing(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster()
    cluster.silent = ["submit", "look", "look"]
    run(results, jobs, cluster)
    assert len(cluster.names) == 1
    assert states(jobs) == ["done"] * 3


@pytest.mark.parametrize(
    ("seen", "expected", "tries"),
    [
        (Seen("ended"), ("failed", "node_lost"), 2),
        (Seen("ended", ErrorRecord("oom_host", "memory")), ("failed", "oom_host"), 2),
        (Seen("ended", ErrorRecord("timeout", "limit"), "timeout"), ("timeout", "timeout"), 2),
        (Seen("ended", ErrorRecord("killed", "scancel"), "interrupted"), ("interrupted", "killed"), 1),
    ],
)
def test_what_ends_without_a_word_is_what_the_cluster_says(
    results: ResultsFolder, seen: Seen, expected: tuple[str, str], tries: int
) -> None:
    jobs, cluster = chain(results), FakeCluster({"t": run_on})
    cluster.at_look = lambda: cluster.seen.update(dict.fromkeys(cluster.seen, seen))
    summary = run(results, jobs, cluster)
    assert summary.failed.keys() == {one.folder.path for one in jobs}, "or the command would end with code 0"
    status = status_of(jobs[0])
    assert (status.state, status.error and status.error.kind) == expected
    assert len(cluster.names) == tries
    assert read_status(jobs[1].folder.status) is None or states(jobs)[1] != "done"


def test_files_that_a_network_disk_shows_late_are_waited_for(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE", 60.0)
    jobs, cluster = [job(results, "infer", "i")], FakeCluster()
    tried = SubmittedTry(jobs[0].folder.attempt(1).path)
    late, looks = [jobs[0].folder.manifest, tried.begun, tried.ended], list[int]()

    def hide_and_show() -> None:
        looks.append(0)
        for file in late:
            if len(looks) == 1:
                file.rename(file.with_suffix(".hidden"))
            elif len(looks) == 5:
                file.with_suffix(".hidden").rename(file)

    cluster.at_look = hide_and_show
    run(results, jobs, cluster)
    assert (len(cluster.names), states(jobs)) == (1, ["done"])


def test_results_count_though_the_cluster_lost_the_place(results: ResultsFolder) -> None:
    def write_and_vanish(submission: Any) -> None:
        succeed(submission)

    jobs, cluster = [job(results, "infer", "i")], FakeCluster({"i": write_and_vanish})
    cluster.at_look = lambda: cluster.seen.update(dict.fromkeys(cluster.seen, Seen("ended")))
    run(results, jobs, cluster)
    assert states(jobs) == ["done"]
    assert len(cluster.names) == 1


def test_a_stop_is_written_for_what_runs_and_ends_what_waits(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster(waits=True)
    cluster.at_look = lambda: os.kill(os.getpid(), signal.SIGTERM)
    summary = run(results, jobs, cluster)
    assert summary.stopped_by == signal.SIGTERM
    assert set(cluster.cancelled) == {"0"}
    assert states(jobs)[0] == "preempted"
    assert SubmittedTry(jobs[0].folder.attempt(1).path).orders.is_file()


def submit_and_die(results: ResultsFolder, jobs: list[PlannedJob], *, identity: str | None = "0") -> list[JobAttempt]:
    """What a runner leaves that was killed when it had submitted a chain."""
    tries = [JobAttempt(planned.folder, begin_attempt(planned.folder)) for planned in jobs]
    for planned, tried in zip(jobs, tries, strict=True):
        write_record(planned.folder.job, planned.record)
        file = SubmittedTry(tries[0].attempt.path).chain
        record = Submission("fake", "sft-name", os.path.relpath(file, tried.attempt.path), identity)
        write_record(SubmittedTry(tried.attempt.path).submission, record)
        write_record(planned.folder.status, StatusRecord("queued", planned.record.stage, attempt=1))
    return tries


def finish_later(cluster: FakeCluster, tries: list[JobAttempt]) -> None:
    """Have the chain end at the first look of the next runner."""
    from sft.experiments.executors.handle import Submission as Played
    from sft.experiments.executors.protocol import Lease

    def end() -> None:
        for tried in tries:
            succeed(Played(tried.folder, tried.attempt, Lease()))
            write_record(SubmittedTry(tried.attempt.path).ended, Ended(0, seconds=123.0))
        cluster.seen["0"] = Seen("ended")

    cluster.at_look = end


@pytest.mark.parametrize("identity", ["0", None])
def test_what_an_earlier_run_submitted_is_taken_over(results: ResultsFolder, identity: str | None) -> None:
    jobs, cluster = chain(results), FakeCluster()
    tries = submit_and_die(results, jobs, identity=identity)
    cluster.names, cluster.seen["0"] = ["sft-name"], Seen("running")
    finish_later(cluster, tries)
    run(results, jobs, cluster)
    assert cluster.names == ["sft-name"], "nothing was submitted again"
    assert states(jobs) == ["done"] * 3
    assert status_of(jobs[0]).seconds == 123.0, "of its run, not since it was taken over"
    assert status_of(jobs[0]).attempt == 1


def test_what_was_never_submitted_is_submitted(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster()
    submit_and_die(results, jobs, identity=None)
    run(results, jobs, cluster)
    assert len(cluster.names) == 1
    assert states(jobs) == ["done"] * 3
    assert status_of(jobs[0]).attempt == 2


def test_nothing_starts_while_nobody_knows_what_still_runs(results: ResultsFolder) -> None:
    jobs, cluster = chain(results), FakeCluster()
    submit_and_die(results, jobs, identity=None)
    cluster.silent = ["find"]
    with pytest.raises(MachineError, match="does not answer"):
        run(results, jobs, cluster)
    assert not cluster.names


def test_submissions_at_the_same_time_are_bounded(results: ResultsFolder) -> None:
    experiments = {str(n): [job(results, "infer", f"i{n}", config={"n": n})] for n in range(5)}
    cluster = FakeCluster(waits=True)
    cluster.at_once = 2
    most: list[int] = []

    def look() -> None:
        waiting = [identity for identity, seen in cluster.seen.items() if seen.standing == "queued"]
        most.append(len(waiting))
        for identity in waiting:
            cluster.run(identity)

    cluster.at_look = look
    run(results, experiments, cluster)
    assert max(most) == 2
    assert len(cluster.names) == 5


@pytest.mark.parametrize(("name", "outlives_runner"), [("other", True), ("fake", False)])
def test_what_is_of_another_cluster_or_has_ended_with_its_runner_is_not_taken_over(
    results: ResultsFolder, name: str, outlives_runner: bool
) -> None:
    jobs = chain(results)
    (tried, *_) = submit_and_die(results, jobs)
    cluster = FakeCluster()
    cluster.name, cluster.outlives_runner = name, outlives_runner
    assert ChainExecutor(cluster, ExecutorOptions(), lambda _: None).adopt(tried) is None
    assert read(SubmittedTry(tried.attempt.path).submission, Submission) is not None
