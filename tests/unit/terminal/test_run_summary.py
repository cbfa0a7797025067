"""The line before the first job and the summary after the last: pure functions of what is known of the jobs."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sft.experiments.running.summary import Detached, RunFacts, experiment_facts, reuse_of
from sft.pipeline.job_graph import needed_jobs
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, JobRecord, State, StatusRecord, write_record
from sft.terminal.run_summary import Ending, closing_lines, opening_line

Chain = Callable[..., list[PlannedJob]]
COMMAND = "sft run-experiments grid.jsonnet --results-path results --retry-failed"


class Told:
    """Collects what is known of some experiments."""

    def __init__(self, *experiments: list[PlannedJob]) -> None:
        self.experiments = {jobs[-1].record.name: jobs for jobs in experiments}
        self.beside: list[PlannedJob] = []
        self.done: set[Path] = set()
        self.tried: set[Path] = set()
        self.earlier: set[Path] = set()
        self.adopted: set[Path] = set()
        self.collected: set[Path] = set()
        self.statuses: dict[Path, StatusRecord] = {}

    def finish(self, *jobs: PlannedJob, seconds: float = 10.0, now: bool = True, state: State = "done") -> None:
        for job in jobs:
            self._take(job, StatusRecord(state, job.record.stage, seconds=seconds), now=now)
            self.done.add(job.folder.path)

    def end(self, job: PlannedJob, state: State, message: str = "no rows", now: bool = True) -> None:
        error = ErrorRecord("data", message) if state in ("failed", "timeout") else None
        log = f"stages/{job.record.stage}/{job.folder.path.name}/attempts/01/stderr.log"
        self._take(job, StatusRecord(state, job.record.stage, error=error, log=log), now=now)

    def leave(self, job: PlannedJob) -> None:
        """It failed in an earlier run, and was not tried."""
        self.end(job, "failed", now=False)
        self.earlier.add(job.folder.path)

    def _take(self, job: PlannedJob, status: StatusRecord, *, now: bool) -> None:
        self.statuses[job.folder.path] = status
        if now:
            self.tried.add(job.folder.path)

    @property
    def facts(self) -> RunFacts:
        needed = {job.folder.path: job for job in self.beside}
        needed |= needed_jobs(self.experiments, lambda job: job.folder.path in self.done)
        known = RunFacts(self.experiments, needed, self.statuses, frozenset(self.earlier), frozenset(self.tried))
        return dataclasses.replace(known, adopted=frozenset(self.adopted), collected=frozenset(self.collected))


def states(told: Told) -> dict[str, str]:
    return {item.name: item.state for item in experiment_facts(told.facts)}


def summary(told: Told, results: ResultsFolder, *, stopped: bool = False, command: str | None = COMMAND) -> list[str]:
    return closing_lines(told.facts, Ending(results, 75.0, stopped, command))


def test_all_is_done(chain: Chain, results: ResultsFolder) -> None:
    a, b = chain("a"), chain("b")
    told = Told(a, b)
    told.finish(*a, *b)
    assert summary(told, results) == ["6 stages run in 1 min 15 s, 0 reused", "finished: 2 done"]


def test_a_failure_says_who_where_why_its_log_and_how_to_go_on(chain: Chain, results: ResultsFolder) -> None:
    a, b = chain("a"), chain("b")
    told = Told(a, b)
    told.finish(*a)
    told.end(b[0], "failed", "train.jsonl line 3: not valid JSON")
    log = results.path / "stages/train/b/attempts/01/stderr.log"
    log.parent.mkdir(parents=True)
    log.write_text("Traceback\nValueError: why\n\n")
    assert summary(told, results) == [
        "FAILED b [b0000000] at train: train.jsonl line 3: not valid JSON. "
        "Log: results/stages/train/b/attempts/01/stderr.log. Again: python -m sft.worker results/stages/train/b",
        "  last line: ValueError: why",
        "4 stages run in 1 min 15 s, 0 reused",
        "finished: 1 done, 1 failed",
        f"To run again what failed: {COMMAND}",
    ]


def test_failed_baselines_are_told_with_the_command_that_tries_them_again(
    chain: Chain, results: ResultsFolder
) -> None:
    a = chain("a")
    told = Told(a)
    told.finish(*a)
    for number in range(5):
        told.beside.append(
            PlannedJob(results.stage("baseline", f"b{number}"), JobRecord("baseline", "", "", {}, "", {}), ())
        )
    for job in told.beside[:4]:
        told.end(job, "failed", "test.jsonl changed")
    lines = summary(told, results)
    assert lines[0] == "4 baselines failed, for which no experiment waits:"
    assert lines[1].startswith("  FAILED b0 [b0] at baseline: test.jsonl changed. Log: ")
    assert lines[4:] == [
        "  ... and 1 more",
        "3 stages run in 1 min 15 s, 0 reused",
        "finished: 1 done",
        f"To run again what failed: {COMMAND}",
    ]


def test_a_failed_export_is_told_and_its_experiment_is_done(chain: Chain, results: ResultsFolder) -> None:
    a = chain("a")
    told = Told(a)
    told.finish(*a)
    folder, fields = results.stage("export", "x"), {"save_method": "merged"}
    told.beside.append(PlannedJob(folder, JobRecord("export", "x", "a", {}, "", {}, key_fields=fields), ()))
    write_record(folder.job, told.beside[0].record)
    told.end(told.beside[0], "failed", "the adapter cannot be merged")
    assert summary(told, results) == [
        "1 export failed, for which no experiment waits; the same command tries it again:",
        "  FAILED a as merged [x] at export: the adapter cannot be merged. "
        "Log: results/stages/export/x/attempts/01/stderr.log. Again: python -m sft.worker results/stages/export/x",
        "3 stages run in 1 min 15 s, 0 reused",
        "finished: 1 done",
    ]


def test_an_experiment_whose_result_is_there_stays_done_when_its_training_fails_again(
    chain: Chain, results: ResultsFolder
) -> None:
    a = chain("a")
    told = Told(a)
    told.finish(*a[1:])
    told.beside.append(a[0])
    told.end(a[0], "failed", "out of luck")
    assert "finished: 1 done" in summary(told, results)


def test_an_empty_log_is_said_to_be_empty_and_without_a_command_none_is_told(
    chain: Chain, results: ResultsFolder
) -> None:
    a = chain("a")
    told = Told(a)
    told.finish(a[0], now=False)
    told.end(a[1], "timeout", "infer ran longer than 3600 s (timeout)")
    lines = summary(told, results, command=None)
    assert "FAILED a [a0000000] at infer: infer ran longer than 3600 s (timeout). Log: " in lines[0]
    assert lines[1:] == [
        "  the log is empty",
        "1 stage run in 1 min 15 s, 1 reused, which saved 10 s",
        "finished: 0 done, 1 timeout",
    ]


def test_a_stopped_run_says_what_is_left_and_that_the_same_command_goes_on(
    chain: Chain, results: ResultsFolder
) -> None:
    a, b, c, d = (chain(name) for name in "abcd")
    told = Told(a, b, c, d)
    told.finish(*a)
    told.finish(b[0], c[0])
    told.end(b[1], "interrupted")
    told.end(d[0], "interrupted", now=False)
    lines = summary(told, results, stopped=True)
    assert lines[-1] == "stopped: 1 done, 1 interrupted, 2 not started. Run the same command to continue."
    assert lines[0].startswith("5 stages run")


def test_what_was_left_alone_waits_for_the_option(chain: Chain, results: ResultsFolder) -> None:
    a, b = chain("a"), chain("b")
    told = Told(a, b)
    told.finish(*a, now=False)
    told.leave(b[0])
    lines = summary(told, results)
    assert lines[0].startswith("FAILED b [b0000000] at train: no rows.")
    assert lines[-2:] == [
        "finished: 1 done, 1 waiting for --retry-failed",
        f"To run again what failed: {COMMAND}",
    ]


def test_a_hundred_equal_failures_take_few_lines(chain: Chain, results: ResultsFolder) -> None:
    experiments = [chain(f"e{number:03d}") for number in range(100)]
    told = Told(*experiments)
    for number, jobs in enumerate(experiments):
        told.end(jobs[0], "failed", f"loss became NaN at step {number} of 300 (learning_rate 1e+30)")
    lines = summary(told, results)
    assert len(lines) == 6
    assert lines[0].startswith("FAILED e000 ")
    assert lines[2] == "  99 more failed in the same way: e001, e002, e003, e004, e005 and 94 more"
    assert lines[4] == "finished: 0 done, 100 failed"


def test_who_fails_with_a_shared_stage_is_named_beside_it(chain: Chain, results: ResultsFolder) -> None:
    a, b, c = chain("a", train="t"), chain("b", train="t"), chain("c")
    told = Told(a, b, c)
    told.end(a[0], "failed")
    told.end(c[0], "failed")
    lines = summary(told, results)
    assert [line.split(" [")[0] for line in lines[:5:2]] == [
        "FAILED a",
        "FAILED c",
        "  1 more failed in the same way: b",
    ]


def test_many_reasons_are_cut_with_the_command_that_shows_all(chain: Chain, results: ResultsFolder) -> None:
    experiments = [chain(f"e{letter}") for letter in "abcdefghijklmnopqrstuvwxyz"]
    told = Told(*experiments)
    for jobs in experiments:
        told.end(jobs[0], "failed", f"reason {jobs[0].record.name}")
    lines = summary(told, results)
    assert sum(line.startswith("FAILED") for line in lines) == 20
    assert "6 more failed for 6 other reasons: `sft status` shows them" in lines


def test_reused_stages_count_once_for_each_further_use(chain: Chain) -> None:
    a, b, c = chain("a", train="t"), chain("b", train="t"), chain("c", train="t")
    told = Told(a, b, c)
    told.finish(a[0], seconds=100.0)
    told.finish(a[1], b[1], seconds=10.0)
    assert (reuse_of(told.facts).stages, reuse_of(told.facts).seconds) == (2, 200.0)
    told.finish(*c[1:], seconds=7.0, now=False)
    reuse = reuse_of(told.facts)
    assert (reuse.stages, reuse.seconds) == (4, 214.0)


def test_a_stage_of_an_earlier_run_is_saved_for_each_that_needs_it(chain: Chain, results: ResultsFolder) -> None:
    a, b = chain("a", train="t"), chain("b", train="t")
    told = Told(a, b)
    told.finish(a[0], seconds=1800.0, now=False)
    told.finish(*a[1:], *b[1:])
    assert summary(told, results)[0] == "4 stages run in 1 min 15 s, 2 reused, which saved 1 h"


def test_what_is_done_needs_nothing_of_what_came_before(chain: Chain) -> None:
    a = chain("a")
    told = Told(a)
    told.finish(a[2], state="predicted")
    assert states(told) == {"a": "predicted"}


def test_a_job_that_was_put_back_when_the_run_ended_is_not_started(chain: Chain) -> None:
    a = chain("a")
    told = Told(a)
    told.end(a[0], "pending")
    assert states(told) == {"a": "not started"}


def test_the_opening_line_says_what_the_run_finds(chain: Chain) -> None:
    names = ("done", "killed", "killed2", "preempted", "lost", "failed", "broken", "new", "waits", "shared")
    chains = {name: chain(name) for name in names}
    chains["shared"] = chain("shared", train="failed")
    told = Told(*chains.values())
    told.finish(*chains["done"], now=False)
    for name in ("killed", "killed2"):
        status = StatusRecord("failed", "infer", error=ErrorRecord("killed", "by SIGKILL"))
        told.finish(chains[name][0], now=False)
        told.statuses[chains[name][1].folder.path] = status
    told.end(chains["preempted"][0], "preempted", now=False)
    told.end(chains["lost"][0], "running", now=False)
    told.leave(chains["waits"][0])
    told.end(chains["failed"][0], "failed", now=False)
    told.end(chains["broken"][0], "done", now=False)
    assert opening_line(told.facts) == (
        "done 1, retry 7 (killed 2, data 2, preempted 1, lost 1, damaged 1), new 1, waiting for --retry-failed 1"
    )


def test_what_a_cluster_has_is_no_retry(chain: Chain) -> None:
    a, b, c = chain("a"), chain("b"), chain("c")
    told = Told(a, b, c)
    for jobs in (a, b):
        told.end(jobs[0], "queued", now=False)
    told.adopted = {a[0].folder.path}
    assert opening_line(told.facts) == "done 0, submitted before 1, retry 1 (lost 1), new 1"


def test_what_ended_while_no_run_watched_is_not_called_reused(chain: Chain, results: ResultsFolder) -> None:
    a, b = chain("a", train="t"), chain("b", train="t")
    told = Told(a, b)
    told.finish(*a, *b[:1], now=False)
    told.collected = {job.folder.path for job in a}
    told.finish(*b[1:])
    assert summary(told, results)[0] == (
        "2 stages run in 1 min 15 s, 3 stages ended since the last run, 1 reused, which saved 10 s"
    )
    left = Ending(results, 1.0, detached=Detached("slurm", chains=0, stages=0, before=1, left_out=0))
    assert "1 stage there since before, 3 stages ended since the last run, " in closing_lines(told.facts, left)[-1]


def test_the_opening_line_of_a_new_grid(chain: Chain) -> None:
    assert opening_line(Told(chain("a"), chain("b")).facts) == "done 0, retry 0, new 2"


@pytest.mark.parametrize("state", ["failed", "interrupted", "preempted", "timeout"])
def test_no_line_holds_what_would_break_it(chain: Chain, results: ResultsFolder, state: State) -> None:
    a = chain("a")
    told = Told(a)
    told.experiments = {"a\nb\x1b[31m": a}
    told.end(a[0], state, "why\nnot")
    assert all(line.isprintable() for line in summary(told, results))
    assert not re.search(r"[\n\x1b]", opening_line(told.facts))
