"""A chain in its place, as far as no stage is begun there: what it cannot read, and what it leaves alone."""

import os
import signal
from pathlib import Path

import pytest

from sft.processes.signals import STOPPED_EXIT_CODE
from sft.runs.attempts import begin_attempt
from sft.runs.chains import Begun, Chain, Ended, Link, Orders, Submission, read, write_chain
from sft.runs.claims.chains import take
from sft.runs.exit_codes import INCOMPLETE, UNSEEN
from sft.runs.files import ResultsFolder
from sft.runs.records import JobRecord, write_record
from sft.worker import chain as worker
from sft.worker.__main__ import main


@pytest.fixture
def links(tmp_path: Path) -> list[Link]:
    """Two jobs, of which the second needs the first, in the tries that are in force."""
    found = []
    for place, stage in enumerate(("train", "infer")):
        folder = ResultsFolder(tmp_path / "results").stage(stage, "k")
        attempt = begin_attempt(folder)
        write_record(folder.job, JobRecord("infer", "k", "a", {}, str(tmp_path), {}))
        found.append(Link(folder.path, attempt.path.name, tuple(range(place))))
    return found


def written(links: list[Link]) -> Path:
    file = links[0].tried.chain
    write_chain(Chain(tuple(links), folder=os.getcwd()), file)
    return file


def ends(links: list[Link]) -> list[Ended | None]:
    return [read(link.tried.ended, Ended) for link in links]


def test_a_place_that_does_not_see_its_chain_says_so_by_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert worker.run_chain(tmp_path / "chain.json") == UNSEEN
    assert "cannot read what it is to run" in capsys.readouterr().err


def test_a_second_submission_of_a_chain_touches_nothing(
    links: list[Link], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first one runs: an end that is written for its stage would have it tried again."""
    file = written(links)
    write_record(links[0].tried.submission, Submission("slurm", "sft-k", "chain.json"))
    assert take(links[0].tried, {"SLURM_JOB_ID": "7"}) is None
    write_record(links[0].tried.begun, Begun("node", 4711, "fresh", 1, None))
    before = sorted(links[0].tried.path.rglob("*"))
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert worker.run_chain(file) == INCOMPLETE
    assert sorted(links[0].tried.path.rglob("*")) == before
    assert ends(links) == [None, None]
    assert "is that of job 7: nothing is done here" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"links": [{"folder": 3, "attempt": "01", "needs": []}]}', '{"links": 5}']
)
def test_a_damaged_chain_is_no_traceback(links: list[Link], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(links)
    file.write_text(text)
    assert worker.run_chain(file) == UNSEEN
    assert "Traceback" not in capsys.readouterr().err


def test_a_chain_without_its_jobs_is_not_begun(links: list[Link], capsys: pytest.CaptureFixture[str]) -> None:
    file = written(links)
    links[1].job.job.unlink()
    assert worker.run_chain(file) == UNSEEN
    assert str(links[1].job.job) in capsys.readouterr().err
    assert ends(links) == [None, None]


def test_tries_that_were_given_up_are_not_begun(links: list[Link]) -> None:
    file = written(links)
    for link in links:
        begin_attempt(link.job)
    links[0].job.progress.write_text("{}")
    assert worker.run_chain(file) == INCOMPLETE
    assert ends(links) == [Ended(STOPPED_EXIT_CODE, was_begun=False)] * 2
    assert links[0].job.progress.exists(), "it is of the try in force"


def test_a_question_is_answered_where_it_is_seen(tmp_path: Path) -> None:
    question = tmp_path / "n.json"
    assert main(["--probe", str(question)]) == UNSEEN
    question.write_text('{"nonce": "n"}')
    assert main(["--probe", str(question)]) == 0
    assert '"nonce": "n"' in question.with_suffix(".seen").read_text()


def test_what_is_not_wanted_any_more_is_not_begun(links: list[Link]) -> None:
    file = written(links)
    write_record(links[0].tried.orders, Orders(grace=30.0))
    assert worker.run_chain(file) == INCOMPLETE
    assert ends(links) == [Ended(STOPPED_EXIT_CODE, was_begun=False)] * 2


def test_a_place_that_is_taken_away_at_once_costs_a_try(links: list[Link], monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a queue that ends jobs as soon as they begin would get them again for ever."""
    file = written(links)

    class Signals(worker.StopSignals):
        def __enter__(self) -> "Signals":
            entered = super().__enter__()
            os.kill(os.getpid(), signal.SIGTERM)
            return entered

    monkeypatch.setattr(worker, "StopSignals", Signals)
    assert worker.run_chain(file) == STOPPED_EXIT_CODE
    assert ends(links) == [
        Ended(STOPPED_EXIT_CODE, was_begun=True, stopped_by="SIGTERM"),
        Ended(STOPPED_EXIT_CODE, was_begun=False, stopped_by="SIGTERM"),
    ]
