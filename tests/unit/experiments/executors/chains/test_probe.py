"""The small first job that shows whether the machines of a cluster see the results folder."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.chains.cluster import Seen
from sft.runs.files import ResultsFolder
from sft.runs.records import ErrorRecord, read_status
from sft.worker.chain import show_sight
from tests.support.fake_cluster import FakeCluster, run_chains
from tests.support.fake_executor import Shown, job


def cluster_with(*sights: Any, places: dict[str, str] | None = None) -> FakeCluster:
    cluster = FakeCluster()
    cluster.places = places or {}
    cluster.sights = list(sights)
    return cluster


def sees(file: Path) -> Seen:
    assert show_sight(file) == 0
    return Seen("ended", code=0)


def three(results: ResultsFolder) -> list[Any]:
    jobs = [job(results, "infer", name, config={"n": name}) for name in ("a", "b")]
    return [*jobs, job(results, "evaluate", "both", *jobs)]


def test_a_run_begins_when_a_machine_has_shown_that_it_sees_the_folder(results: ResultsFolder) -> None:
    cluster, display = cluster_with(sees), Shown()
    run_chains(results, three(results), cluster, display)
    assert (cluster.probes, len(cluster.names)) == (1, 2)
    assert [line for line in display.said if "waiting for a small first job" in line and str(results.path) in line]
    assert len(list(results.probes.iterdir())) == 1, "the record alone"


@pytest.mark.parametrize(("places", "probes"), [({}, 0), ({"partition": "other"}, 1)])
def test_what_was_shown_is_not_asked_again(results: ResultsFolder, places: dict[str, str], probes: int) -> None:
    run_chains(results, three(results)[:1], cluster_with(sees))
    cluster = cluster_with(sees, places=places)
    run_chains(results, three(results)[1:], cluster)
    assert (cluster.probes, len(cluster.names)) == (probes, 1)


def test_a_first_job_that_is_refused_leaves_no_file(results: ResultsFolder) -> None:
    cluster = cluster_with()
    cluster.refusals = [MachineError("no such account")]
    with pytest.raises(MachineError, match="no such account"):
        run_chains(results, three(results), cluster)
    assert list(results.probes.iterdir()) == []


def test_a_record_that_is_damaged_is_none(results: ResultsFolder) -> None:
    run_chains(results, three(results)[:1], cluster_with(sees))
    (record,) = results.probes.iterdir()
    record.write_text('{"told": 3}')
    cluster = cluster_with(sees)
    run_chains(results, three(results)[1:], cluster)
    assert cluster.probes == 1


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (Seen("ended", code=19, host="node7"), "{path}: a job of fake on node7 does not see this results folder"),
        (Seen("ended", code=0, host="node7"), "{path}: a job of fake on node7 does not see this results folder"),
        (Seen("ended"), "{path}: a job of fake does not see this results folder"),
        (Seen("ended", ErrorRecord("refused", "no log"), host="n"), "on n does not see this results folder (no log)"),
        (Seen("ended", code=127, host="node7"), "ended on node7 with code 127; every node needs this environment"),
        (Seen("ended", ErrorRecord("node_lost", "its node failed")), "nothing else was started: its node failed"),
        (Seen("ended", ErrorRecord("killed", "scancel"), "interrupted"), "the first job of this run was cancelled"),
    ],
)
def test_a_machine_that_does_not_see_the_folder_ends_the_run_before_anything_starts(
    results: ResultsFolder, seen: Seen, said: str
) -> None:
    cluster = cluster_with(lambda _: seen)
    with pytest.raises(MachineError) as caught:
        run_chains(results, three(results), cluster)
    assert said.format(path=results.path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (cluster.names, list(results.probes.iterdir())) == ([], [])


def test_the_last_line_of_its_log_is_told(results: ResultsFolder) -> None:
    def say(file: Path) -> Seen:
        file.with_suffix(".log").write_text("python: not found\n")
        return Seen("ended", code=127)

    with pytest.raises(MachineError, match="code 127: python: not found"):
        run_chains(results, three(results), cluster_with(say))


def test_a_run_can_be_stopped_while_it_waits_in_the_queue(results: ResultsFolder) -> None:
    cluster = cluster_with(lambda _: None)
    cluster.at_look = lambda: os.kill(os.getpid(), signal.SIGINT)
    summary = run_chains(results, three(results), cluster)
    assert summary.stopped_by == signal.SIGINT
    assert (cluster.names, cluster.cancelled) == ([], ["probe-1"])
    assert list(results.probes.iterdir()) == []


def test_nothing_else_is_handed_over_or_made_ready_meanwhile(results: ResultsFolder) -> None:
    jobs = three(results)
    waiting: list[Path] = []
    looks: list[int] = []
    cluster = cluster_with(lambda file: waiting.append(file))

    def answer_late() -> None:
        looks.append(0)
        if len(looks) == 5:
            assert cluster.names == []
            assert [read_status(planned.folder.status) is None for planned in jobs] == [False, True, True]
            sees(waiting[0])

    cluster.at_look = answer_late
    run_chains(results, jobs, cluster)
    assert len(cluster.names) == 2


def test_a_submission_that_was_not_answered_is_made_again(results: ResultsFolder) -> None:
    cluster = cluster_with(sees)
    cluster.silent = ["submit"]
    run_chains(results, three(results), cluster)
    assert (cluster.probes, len(cluster.names)) == (1, 2)


def test_a_place_without_the_folder_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_sight(tmp_path / "nowhere" / "question.json") == 19
    assert "cannot use" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
