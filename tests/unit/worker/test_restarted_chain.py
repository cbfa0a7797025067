"""A chain that a cluster starts a second time, or before what it waits for has its results; no process is started."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sft.exceptions import MachineError
from sft.experiments.executors.local.executor import LocalExecutor
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Begun, Chain, Ended, Link, SubmittedTry, read, write_chain
from sft.runs.exit_codes import INCOMPLETE
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.records import JobRecord, write_record
from sft.worker.chain import run_chain


@pytest.fixture
def results(tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results")


def tried(results: ResultsFolder, key: str) -> JobFolder:
    folder = results.stage("infer", key)
    begin_attempt(folder)
    write_record(folder.job, JobRecord("infer", key, key, {}, str(results.path), {}))
    return folder


def run(folders: Sequence[JobFolder], links: Sequence[Link]) -> tuple[int, list[Ended | None]]:
    file = SubmittedTry(folders[0].attempt(1).path).chain
    write_chain(Chain(tuple(links)), file)
    code = run_chain(file)
    return code, [read(SubmittedTry(folder.attempt(1).path).ended, Ended) for folder in folders]


def test_what_had_begun_is_not_run_again_nor_what_needs_it(results: ResultsFolder) -> None:
    folders = [tried(results, "first"), tried(results, "second")]
    write_record(SubmittedTry(folders[0].attempt(1).path).begun, Begun("node", 4711, "fresh", 1, None))
    code, ends = run(folders, [Link(folders[0].path, "01"), Link(folders[1].path, "01", (0,))])
    assert code == INCOMPLETE
    assert [ended and (ended.was_begun, ended.error_kind) for ended in ends] == [(True, "node_lost"), (False, None)]


def test_what_had_ended_stays_as_it_was(results: ResultsFolder) -> None:
    folder = tried(results, "first")
    write_record(SubmittedTry(folder.attempt(1).path).ended, Ended(0, seconds=7.0))
    code, ends = run([folder], [Link(folder.path, "01")])
    assert (code, ends) == (0, [Ended(0, seconds=7.0)])


def test_a_place_that_is_no_good_takes_no_result_from_what_had_ended(
    results: ResultsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MachineError("no GPU here")

    monkeypatch.setattr(LocalExecutor, "expect", refuse)
    folders = [tried(results, "first"), tried(results, "second")]
    write_record(SubmittedTry(folders[0].attempt(1).path).ended, Ended(0, seconds=7.0))
    code, ends = run(folders, [Link(folders[0].path, "01"), Link(folders[1].path, "01", (0,))])
    assert code == INCOMPLETE
    assert ends[0] == Ended(0, seconds=7.0)
    assert ends[1] is not None
    assert (ends[1].was_begun, ends[1].error) == (False, "no GPU here")


def test_nothing_is_run_whose_needs_elsewhere_have_failed(results: ResultsFolder) -> None:
    need, folder = tried(results, "need"), tried(results, "first")
    write_record(SubmittedTry(need.attempt(1).path).ended, Ended(11))
    code, ends = run([folder], [Link(folder.path, "01", outside=(need.path,))])
    assert code == INCOMPLETE
    assert ends == [Ended(75, was_begun=False)]
