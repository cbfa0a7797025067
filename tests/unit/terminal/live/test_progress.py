"""What a display knows of a grid: states, counts, and how long it may still take."""

from collections.abc import Callable

import pytest

from sft.experiments.running.display import RunningJob
from sft.experiments.running.schedule import workload
from sft.experiments.running.stage_costs import StageCosts
from sft.pipeline.jobs import PlannedJob
from sft.runs.progress import ProgressRecord
from sft.runs.records import ErrorRecord, StageName, State, StatusRecord
from sft.terminal.live.progress import GridProgress, TimeLeft

Chain = Callable[..., list[PlannedJob]]
OOM = ErrorRecord("oom_gpu", "out of memory")


def status(job: PlannedJob, state: State, seconds: float | None = None) -> StatusRecord:
    return StatusRecord(state, job.record.stage, seconds=seconds, error=OOM if state == "failed" else None)


def at(job: PlannedJob, seconds: float, step: int = 0, total: int = 0) -> RunningJob:
    told = ProgressRecord(job.record.stage, step, total, None, 0.0)
    return RunningJob(job, status(job, "running"), told, seconds)


def finish(progress: GridProgress, job: PlannedJob, seconds: float = 1.0) -> None:
    """Let a job finish; what it took is known from then on."""
    progress.costs.learn(job, status(job, "done", seconds))
    progress.ended(job, status(job, "done", seconds))


def play(progress: GridProgress, *jobs: PlannedJob, seconds: float = 1.0) -> None:
    """Start each job and let it finish."""
    for job in jobs:
        progress.started(job, status(job, "running"))
        finish(progress, job, seconds)


def begun(*experiments: list[PlannedJob], done: tuple[PlannedJob, ...] = ()) -> GridProgress:
    progress = GridProgress(StageCosts())
    named = {jobs[-1].record.name: jobs for jobs in experiments}
    progress.began(workload(named, lambda job: job in done))
    return progress


def counts(progress: GridProgress) -> dict[str, int]:
    return {state: count for state, count in progress.counts.items() if count}


def test_an_experiment_goes_from_waiting_to_done(chain: Chain) -> None:
    jobs = chain("a")
    progress = begun(jobs, chain("b"))
    assert counts(progress) == {"waiting": 2}
    progress.started(jobs[0], status(jobs[0], "running"))
    assert counts(progress) == {"running": 1, "waiting": 1}
    finish(progress, jobs[0], 2.0)
    assert counts(progress) == {"waiting": 2}
    play(progress, *jobs[1:])
    assert counts(progress) == {"done": 1, "waiting": 1}
    assert list(progress.last_ended) == ["a"]
    assert progress.spent["a"] == 4.0


def test_what_is_done_before_is_done(chain: Chain) -> None:
    whole, part = chain("a"), chain("b")
    progress = begun(whole, part, done=(*whole, part[0]))
    assert counts(progress) == {"done": 1, "waiting": 1}
    play(progress, *part[1:])
    assert counts(progress) == {"done": 2}


def test_an_adapter_that_is_gone_is_not_waited_for_where_only_metrics_are_missing(chain: Chain) -> None:
    jobs = chain("a")
    progress = begun(jobs, done=(jobs[1],))
    play(progress, jobs[2])
    assert counts(progress) == {"done": 1}
    assert progress.time_left() is None


def test_a_shared_stage_runs_and_fails_for_all_that_need_it(chain: Chain) -> None:
    first, second = chain("a", train="t"), chain("b", train="t")
    progress = begun(first, second)
    progress.started(first[0], status(first[0], "running"))
    assert counts(progress) == {"running": 2}
    progress.ended(first[0], status(first[0], "failed", 3.0))
    for job in (*first[1:], *second[1:]):
        progress.ended(job, StatusRecord("failed", "train", error=OOM))
    assert counts(progress) == {"failed": 2}
    assert list(progress.last_ended) == ["a", "b"]
    assert progress.statuses["b"].seconds == 3.0
    assert [progress.was_started(job) for job in (first[0], second[1])] == [True, False]


def test_a_job_that_is_put_back_waits_and_runs_again(chain: Chain) -> None:
    jobs = chain("a")
    progress = begun(jobs)
    progress.started(jobs[0], status(jobs[0], "running"))
    progress.ended(jobs[0], status(jobs[0], "pending"))
    assert counts(progress) == {"waiting": 1}
    play(progress, *jobs)
    assert counts(progress) == {"done": 1}


@pytest.mark.parametrize("state", ["timeout", "interrupted", "preempted", "failed"])
def test_other_ends_are_counted_as_they_are(chain: Chain, state: State) -> None:
    jobs = chain("a")
    progress = begun(jobs)
    progress.started(jobs[0], status(jobs[0], "running"))
    progress.ended(jobs[0], status(jobs[0], state))
    assert counts(progress) == {state: 1}


def test_predictions_alone_are_predicted(chain: Chain) -> None:
    jobs = chain("a")
    progress = begun(jobs, done=tuple(jobs[:2]))
    progress.started(jobs[2], status(jobs[2], "running"))
    progress.ended(jobs[2], status(jobs[2], "predicted", 1.0))
    assert counts(progress) == {"predicted": 1}


def test_a_running_job_is_judged_by_its_own_pace(chain: Chain) -> None:
    jobs = chain("a")
    progress = begun(jobs)
    progress.started(jobs[0], status(jobs[0], "running"))
    assert progress.seconds_left_of(at(jobs[0], 3.0)) is None
    progress.ticked([at(jobs[0], 5.0)])
    progress.ticked([at(jobs[0], 6.0, 10, 100)])
    assert progress.seconds_left_of(at(jobs[0], 6.0, 10, 100)) is None
    assert progress.seconds_left_of(at(jobs[0], 16.0, 30, 100)) == pytest.approx(35.0)


def test_a_job_that_starts_over_has_a_new_pace(chain: Chain) -> None:
    jobs = chain("a")
    progress = begun(jobs)
    progress.started(jobs[0], status(jobs[0], "running"))
    progress.ticked([at(jobs[0], 6.0, 50, 100)])
    progress.ended(jobs[0], status(jobs[0], "pending"))
    progress.started(jobs[0], status(jobs[0], "running"))
    progress.ticked([at(jobs[0], 2.0, 0, 100)])
    assert progress.seconds_left_of(at(jobs[0], 4.0, 20, 100)) == pytest.approx(8.0)


def test_before_its_first_step_a_job_is_judged_by_others_like_it(chain: Chain) -> None:
    first, second = chain("a"), chain("b")
    progress = begun(first, second)
    play(progress, first[0], seconds=10.0)
    progress.started(second[0], status(second[0], "running"))
    assert progress.seconds_left_of(at(second[0], 4.0)) == pytest.approx(6.0)
    assert progress.seconds_left_of(at(second[0], 40.0)) == 0.0


def test_the_time_left_is_that_of_all_open_jobs_over_those_that_run_at_once(chain: Chain) -> None:
    experiments = [chain(name) for name in "abcd"]
    progress = begun(*experiments)
    assert progress.time_left() is None
    play(progress, experiments[0][0], seconds=10.0)
    assert progress.time_left() == TimeLeft(30.0, at_least=True)
    play(progress, *experiments[0][1:], seconds=2.0)
    assert progress.time_left() == TimeLeft(pytest.approx(42.0), at_least=False)
    for jobs in experiments[1:3]:
        progress.started(jobs[0], status(jobs[0], "running"))
    progress.ticked([at(jobs[0], 4.0) for jobs in experiments[1:3]])
    assert progress.time_left() == TimeLeft(pytest.approx((6 + 6 + 10 + 3 * 4) / 2), at_least=False)


def test_what_will_not_run_takes_no_time(chain: Chain) -> None:
    first, second = chain("a"), chain("b")
    progress = begun(first, second)
    play(progress, *first, seconds=10.0)
    for job in second:
        progress.ended(job, StatusRecord("failed", "train", error=OOM))
    assert progress.time_left() is None


@pytest.mark.parametrize("stage", ["train", "infer"])
def test_the_job_of_an_experiment_that_runs_now(chain: Chain, stage: StageName) -> None:
    jobs = chain("a")
    progress = begun(jobs)
    assert progress.job_of("a") is None
    current = next(job for job in jobs if job.record.stage == stage)
    progress.started(current, status(current, "running"))
    found = progress.job_of("a")
    assert found is not None
    assert found.job is current


def test_the_time_left_is_not_worked_out_anew_for_each_of_many_ends(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = range(1, 301)
    trainings = [chain(f"e{n}", config={"training": {"trainer_args": {"max_steps": n}}})[:1] for n in steps]
    progress = begun(*trainings)
    asked: list[object] = []
    ask = progress.costs.seconds_of
    monkeypatch.setattr(progress.costs, "seconds_of", lambda work: asked.append(work) or ask(work))
    for jobs in trainings:
        play(progress, *jobs)
        progress.time_left()
    assert len(asked) <= 45 * len(trainings)  # twenty for each start and each end, and not the 150 that wait


def test_what_waits_in_a_queue_is_shown_after_what_runs(chain: Chain) -> None:
    first, second = chain("a"), chain("b")
    progress = begun(first, second)
    progress.started(first[0], status(first[0], "queued"))
    progress.started(second[0], status(second[0], "running"))
    assert [item.job for item in progress.first_under_way(5)] == [second[0], first[0]]
    assert [item.job for item in progress.first_under_way(1)] == [second[0]]
    progress.started(first[0], status(first[0], "running"))
    progress.started(second[0], status(second[0], "queued"))
    assert [item.job for item in progress.first_under_way(5)] == [first[0], second[0]]
