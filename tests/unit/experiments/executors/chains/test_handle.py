"""How jobs of chains end, as their files and the cluster tell of it, one sooner than the other."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.chains import handle as handle_module
from sft.experiments.executors.chains.cluster import Seen
from sft.experiments.executors.chains.executor import ChainExecutor
from sft.experiments.executors.chains.handle import ChainHandle, Submitted
from sft.experiments.executors.handle import Submission as Played
from sft.experiments.executors.options import ExecutorOptions
from sft.experiments.executors.protocol import JobAttempt, Lease, Request
from sft.pipeline.jobs import PlannedJob
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Chain, Ended, Link, Submission, SubmittedTry, write_chain
from sft.runs.exit_codes import UNSEEN
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import ErrorRecord, StatusRecord, read_status, write_record
from tests.support.fake_cluster import FakeCluster, run_chains
from tests.support.fake_executor import Shown, chain, job, run_on, succeed

PATIENT = 60.0


def status_of(planned: PlannedJob) -> StatusRecord:
    found = read_status(planned.folder.status)
    assert found is not None
    return found


def test_who_asked_a_job_to_end_is_told_by_the_cluster(results: ResultsFolder) -> None:
    """Its own word is there first: that of a job that somebody cancelled must not be taken for a preemption."""
    planned, cluster = job(results, "infer", "i"), FakeCluster({"i": run_on})
    looks: list[int] = []

    def cancelled() -> None:
        looks.append(0)
        if len(looks) == 1:
            told = SubmittedTry(planned.folder.attempt(1).path).ended
            write_record(told, Ended(75, stopped_by="SIGTERM"))
        elif len(looks) == 4:
            cluster.seen["0"] = Seen("ended", ErrorRecord("killed", "scancel"), "interrupted")

    cluster.at_look = cancelled
    run_chains(results, [planned], cluster, patience=PATIENT)
    assert (len(cluster.names), status_of(planned).state) == (1, "interrupted")


@pytest.mark.parametrize(
    ("seen", "ended_as", "said"),
    [
        (Seen("ended", code=75), "preempted", "the cluster asked it to end (SIGTERM)"),
        (Seen("ended", ErrorRecord("timeout", "its limit"), "timeout"), "timeout", "its limit"),
    ],
)
def test_a_job_that_its_cluster_asked_to_end_says_so(
    results: ResultsFolder, seen: Seen, ended_as: str, said: str
) -> None:
    attempt = begin_attempt(job(results, "infer", "i").folder)
    told = SubmittedTry(attempt.path)
    write_record(told.ended, Ended(75, stopped_by="SIGTERM"))
    submitted = Submitted("sft-i", told.chain, Request(), "0", seen, gone_since=0.0)
    handle = ChainHandle(JobAttempt(JobFolder(attempt.path.parent.parent), attempt), submitted)
    assert handle.look(1.0)
    outcome = handle.outcome()
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.ended_as, outcome.error.message[: len(said)]) == (ended_as, said)


def test_a_chain_that_was_submitted_twice_is_looked_after_where_it_runs(results: ResultsFolder) -> None:
    """The submission that is known has left it to the other one, whose results come later."""
    planned, cluster = job(results, "infer", "i"), FakeCluster(waits=True)
    looks: list[int] = []

    def leave_it_to_other() -> None:
        looks.append(0)
        tried = SubmittedTry(planned.folder.attempts()[-1].path)
        (tried.taken / "1").mkdir(parents=True, exist_ok=True)
        cluster.seen = {"0": Seen("ended", code=21), "1": Seen("running")}
        if len(looks) == 20:
            succeed(Played(planned.folder, planned.folder.attempt(1), Lease()))
            write_record(tried.ended, Ended(0))

    cluster.at_look = leave_it_to_other
    run_chains(results, [planned], cluster, patience=0.0)
    assert (status_of(planned).state, status_of(planned).attempt) == ("done", 1)


TOO_SHORT = ErrorRecord("timeout", "its time passed before it had begun")
LIMIT = Seen("ended", ErrorRecord("timeout", "its limit"), "timeout", unbegun=TOO_SHORT)
ASKED = Seen("ended", code=75, unbegun=TOO_SHORT)
KILLED = Seen("ended", ErrorRecord("killed", "its chain was ended by signal 15"), unbegun=TOO_SHORT)


@pytest.mark.parametrize(
    ("seen", "ended", "has_begun", "state", "said", "tries"),
    [
        (LIMIT, Ended(75, stopped_by="SIGTERM"), False, "timeout", TOO_SHORT.message, 4),
        (LIMIT, Ended(75, stopped_by="SIGTERM"), True, "timeout", "its limit", 2),
        (ASKED, Ended(-15, stopped_by="SIGTERM"), False, "timeout", TOO_SHORT.message, 4),
        (ASKED, Ended(75, stopped_by="SIGTERM"), True, "preempted", "the cluster asked it to end (SIGTERM)", 21),
        (ASKED, Ended(20, stopped_by="SIGTERM"), False, "failed", "worker ended with code 20", 1),
        (LIMIT, None, False, "timeout", TOO_SHORT.message, 4),
        (LIMIT, None, True, "timeout", "its limit", 2),
        (KILLED, None, False, "timeout", TOO_SHORT.message, 4),
        (KILLED, None, True, "failed", "its chain was ended by signal 15", 2),
    ],
)
def test_an_end_before_a_stage_had_begun_is_told_as_such(
    results: ResultsFolder, seen: Seen, ended: Ended | None, has_begun: bool, state: str, said: str, tries: int
) -> None:
    """By the word of the chain, or where it was ended before it could say any by that of the cluster."""
    planned, cluster = job(results, "infer", "i"), FakeCluster(waits=True)

    def end() -> None:
        if has_begun:
            planned.folder.progress.write_text("{}")
        if ended is not None:
            write_record(SubmittedTry(planned.folder.attempts()[-1].path).ended, ended)
        cluster.seen = dict.fromkeys(cluster.seen, seen)

    cluster.at_look = end
    run_chains(results, [planned], cluster)
    last = status_of(planned)
    assert last.error is not None
    assert (last.state, last.error.message[: len(said)], last.attempt) == (state, said, tries)


@pytest.mark.parametrize(
    ("code", "said"), [(75, "as before its time is over"), (-9, "could not save in time"), (-15, "(--grace)")]
)
def test_a_job_that_a_cluster_ends_before_its_limit_goes_on_and_uses_up_no_retry(
    results: ResultsFolder, code: int, said: str
) -> None:
    """The cluster calls it ended like any other: it was asked before the limit, and left in time."""
    planned, cluster = job(results, "infer", "i"), FakeCluster({"i": run_on})
    told: list[str] = []

    class Ends(Shown):
        def ended(self, job: PlannedJob, status: StatusRecord) -> None:
            told.extend([status.error.message] if status.error else [])

    def end() -> None:
        write_record(SubmittedTry(planned.folder.attempts()[-1].path).ended, Ended(code, stopped_by="SIGTERM"))
        cluster.seen[str(len(cluster.names) - 1)] = Seen("ended", code=75)
        if len(cluster.names) == 3:
            cluster.plays, cluster.at_look = {}, lambda: None

    cluster.at_look = end
    run_chains(results, [planned], cluster, display=Ends())
    assert (len(cluster.names), status_of(planned).state) == (4, "done")
    assert [said in message for message in told] == [True] * 3


def test_results_that_a_disk_shows_after_the_end_are_waited_for(results: ResultsFolder) -> None:
    planned, cluster = job(results, "infer", "i"), FakeCluster()
    hidden = planned.folder.manifest.with_suffix(".hidden")
    looks: list[int] = []

    def hide_and_show() -> None:
        looks.append(0)
        if len(looks) == 1:
            planned.folder.manifest.rename(hidden)
        elif len(looks) == 4:
            hidden.rename(planned.folder.manifest)

    cluster.at_look, cluster.look_seconds = hide_and_show, 0.01
    run_chains(results, [planned], cluster, patience=PATIENT)
    assert (len(cluster.names), status_of(planned).state) == (1, "done")


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (UNSEEN, "refused", "on node7 does not see the results folder: node7 cannot read"),
        (127, "crash", "ended on node7 with code 127 and left no word; the last line of chain.log: node7 cannot read"),
    ],
)
def test_an_end_without_a_word_is_told_by_its_code_and_is_no_loop(
    results: ResultsFolder, code: int, kind: str, said: str
) -> None:
    planned, cluster = job(results, "infer", "i"), FakeCluster({"i": run_on})

    def end() -> None:
        SubmittedTry(planned.folder.attempt(1).path).output.write_text("node7 cannot read it\n")
        cluster.seen["0"] = Seen("ended", host="node7", code=code)

    cluster.at_look = end
    run_chains(results, [planned], cluster)
    error = status_of(planned).error
    assert error is not None
    assert (len(cluster.names), error.kind) == (1, kind)
    assert said in error.message


def test_results_count_of_jobs_of_which_nobody_told_the_end(results: ResultsFolder) -> None:
    jobs = chain(results)

    def do_all_and_vanish(played: Played) -> None:
        for planned in jobs:
            succeed(Played(planned.folder, planned.folder.attempt(1), played.lease))

    cluster = FakeCluster({"t": do_all_and_vanish})
    cluster.at_look = lambda: cluster.seen.update({"0": Seen("ended", ErrorRecord("node_lost", "its node failed"))})
    run_chains(results, jobs, cluster)
    assert (len(cluster.names), [status_of(planned).state for planned in jobs]) == (1, ["done"] * 3)


def left_by_a_killed_runner(jobs: list[PlannedJob], identity: str | None = "0") -> list[JobAttempt]:
    tries = [JobAttempt(planned.folder, begin_attempt(planned.folder)) for planned in jobs]
    file = SubmittedTry(tries[0].attempt.path).chain
    write_chain(Chain(tuple(Link(tried.folder.path, tried.attempt.path.name) for tried in tries)), file)
    for planned, tried in zip(jobs, tries, strict=True):
        record = Submission("fake", "sft-name", os.path.relpath(file, tried.attempt.path), identity)
        write_record(SubmittedTry(tried.attempt.path).submission, record)
        write_record(planned.folder.status, StatusRecord("queued", planned.record.stage, attempt=1))
    return tries


def test_a_chain_that_is_taken_over_in_any_order_keeps_its_own(results: ResultsFolder) -> None:
    tries = left_by_a_killed_runner(chain(results))
    executor = ChainExecutor(FakeCluster(), ExecutorOptions(), lambda _: None)
    found = [executor.adopt(tried) for tried in tries[::-1]]
    (first,) = [handle for handle in found if handle is not None and handle.job == tries[0]]
    assert [handle.job for handle in first.chain.handles] == tries


def test_what_was_taken_over_is_not_ended_when_the_rest_cannot_be(results: ResultsFolder) -> None:
    known, unknown = left_by_a_killed_runner([job(results, "infer", "a")]), job(results, "infer", "b")
    (lost,) = left_by_a_killed_runner([unknown], None)
    record = Submission("fake", "sft-other", "chain.json", None)
    write_record(SubmittedTry(lost.attempt.path).submission, record)
    cluster = FakeCluster()
    cluster.seen["0"], cluster.silent = Seen("running"), ["find"]
    executor = ChainExecutor(cluster, ExecutorOptions(), lambda _: None)
    assert executor.adopt(known[0]) is not None
    with pytest.raises(MachineError):
        executor.adopt(lost)
    executor.close()
    assert not cluster.cancelled


def test_many_are_cancelled_in_one_question(results: ResultsFolder) -> None:
    cluster = FakeCluster(waits=True)
    executor = ChainExecutor(cluster, ExecutorOptions(), lambda _: None)
    for name in ("a", "b", "c"):
        planned = job(results, "infer", name)
        write_record(planned.folder.job, planned.record)
        (handle,) = executor.submit([JobAttempt(planned.folder, begin_attempt(planned.folder))], Request())
        handle.stop(30.0)
    executor.ended(0.0)
    assert cluster.cancellations == [3]


def test_a_receipt_that_cannot_be_written_is_no_failure(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, planned = FakeCluster(), job(results, "infer", "i")
    note = Submitted.note

    def full_disk(self: Submitted, to: Any) -> None:
        if self.id is not None:
            raise OSError(28, "No space left on device")
        note(self, to)

    monkeypatch.setattr(Submitted, "note", full_disk)
    run_chains(results, [planned], cluster)
    assert status_of(planned).state == "done"


def test_a_queue_of_days_is_not_asked_every_second(tmp_path: Path) -> None:
    submitted = Submitted("sft-x", tmp_path / "chain.json", Request(), quick_until=60.0)
    assert [submitted.is_settled(now) for now in (0.0, 59.0, 60.0)] == [False, False, True]


@pytest.mark.parametrize(("seen", "may_save"), [(None, False), (Seen("queued"), False), (Seen("running"), True)])
def test_what_has_its_place_may_save_though_a_disk_does_not_show_yet_that_it_has_begun(
    results: ResultsFolder, seen: Seen | None, may_save: bool
) -> None:
    planned = job(results, "infer", "i")
    attempt = begin_attempt(planned.folder)
    submitted = Submitted("sft-i", SubmittedTry(attempt.path).chain, Request(), "1", seen)
    handle = ChainHandle(JobAttempt(planned.folder, attempt), submitted)
    submitted.handles = [handle]
    before = time.monotonic()
    handle.stop(1000.0)
    assert (submitted.cancel_at >= before + 1000.0) == may_save


@pytest.mark.parametrize(("standing", "listings"), [("queued", 0), ("running", 3)])
def test_the_folder_of_what_has_its_place_is_listed_now_and_then(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch, standing: Any, listings: int
) -> None:
    """Thousands may wait in a queue, and each listing asks a network disk."""
    listed: list[Path] = []
    monkeypatch.setattr(handle_module, "look_anew", listed.append)
    attempt = begin_attempt(job(results, "infer", "i").folder)
    chain = Submitted("sft-i", SubmittedTry(attempt.path).chain, Request(), "0", Seen(standing))
    handle = ChainHandle(JobAttempt(JobFolder(attempt.path.parent.parent), attempt), chain)
    for half in range(5 * int(handle_module.RELIST_SECONDS)):
        handle.look(100.0 + half / 2)
    assert listed == [attempt.path] * listings
