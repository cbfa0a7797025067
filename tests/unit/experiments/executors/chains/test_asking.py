"""A cluster that does not answer, or takes no more."""

import itertools
import os
import signal

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.chains import asking
from sft.experiments.executors.chains.asking import Asking
from sft.experiments.executors.chains.cluster import Full, NoAnswer
from sft.runs.files import ResultsFolder
from sft.runs.records import read_status
from tests.support.fake_cluster import FakeCluster, run_chains
from tests.support.fake_executor import Shown, job


def test_after_silence_nothing_is_asked_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "QUIET_SECONDS", 1000.0)
    said: list[str] = []
    asked: list[int] = []

    def silent() -> None:
        asked.append(0)
        raise NoAnswer("timed out")

    asks = Asking("slurm", said.append)
    assert [asks.ask(silent) for _ in range(3)] == [None] * 3
    assert (len(asked), said) == (1, ["slurm does not answer and is asked again: timed out"])
    assert asks.is_silent


@pytest.mark.parametrize("error", [Full("limit of jobs"), MachineError("a policy")])
def test_what_is_not_taken_beside_others_waits_and_it_is_said_once(results: ResultsFolder, error: Exception) -> None:
    jobs = [job(results, "infer", name, config={"n": name}) for name in ("a", "b")]
    both = job(results, "evaluate", "both", *jobs)
    cluster, display = FakeCluster(waits=True), Shown()
    submit, count = cluster.submit, itertools.count()

    def refuse_all_but_the_first(*arguments: object) -> str:
        if 0 < next(count) < 4:
            raise error
        return submit(*arguments)  # type: ignore[arg-type]

    cluster.submit = refuse_all_but_the_first  # type: ignore[method-assign, assignment]
    looks = itertools.count()
    cluster.at_look = lambda: [cluster.run(one) for one in cluster.seen if next(looks) > 30]  # type: ignore[assignment, return-value]
    run_chains(results, [*jobs, both], cluster, display)
    assert len(cluster.names) == 3
    assert [status.state for one in (*jobs, both) if (status := read_status(one.folder.status))] == ["done"] * 3
    assert sum("takes no more for now" in line for line in display.said) == 1


def test_a_refusal_of_the_only_one_ends_the_run(results: ResultsFolder) -> None:
    cluster = FakeCluster()
    cluster.refusals = [MachineError("sbatch: invalid account")]
    with pytest.raises(MachineError, match="invalid account"):
        run_chains(results, [job(results, "infer", "i")], cluster)


def test_a_limit_on_submissions_is_waited_for(results: ResultsFolder) -> None:
    cluster = FakeCluster()
    cluster.refusals = [Full("QOSMaxSubmitJobPerUserLimit")] * 3
    run_chains(results, [job(results, "infer", "i")], cluster)
    assert len(cluster.names) == 1


def test_a_run_that_is_stopped_ends_though_the_cluster_is_silent_for_ever(results: ResultsFolder) -> None:
    cluster = FakeCluster(waits=True)

    def stop_and_fall_silent() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        cluster.silent = ["look", "cancel", "find"] * 10_000

    cluster.at_look = stop_and_fall_silent
    summary = run_chains(results, [job(results, "infer", "i")], cluster)
    assert summary.stopped_by == signal.SIGINT
