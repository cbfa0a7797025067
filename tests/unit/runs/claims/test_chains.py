"""One submission of a chain runs it, whatever the cluster took twice."""

from pathlib import Path

import pytest

from sft.runs.chains import Submission, SubmittedTry
from sft.runs.claims import chains
from sft.runs.claims.chains import take, taken_by
from sft.runs.records import write_record

FIRST, SECOND = {"SLURM_JOB_ID": "7"}, {"SLURM_JOB_ID": "8"}


@pytest.fixture
def tried(tmp_path: Path) -> SubmittedTry:
    return SubmittedTry(tmp_path)


def submitted(tried: SubmittedTry, identity: str | None = None, executor: str = "slurm") -> SubmittedTry:
    write_record(tried.submission, Submission(executor, "sft-x", "chain.json", identity))
    return tried


def test_who_comes_first_has_it_also_when_started_anew(tried: SubmittedTry) -> None:
    submitted(tried)
    assert [take(tried, FIRST), take(tried, SECOND), take(tried, FIRST)] == [None, "7", None]
    assert taken_by(tried) == "7"
    submitted(tried, "8")
    assert [take(tried, FIRST), take(tried, SECOND)] == [None, "7"], "what runs goes on"


def test_who_is_not_the_one_that_the_runner_knows_leaves_it(tried: SubmittedTry) -> None:
    submitted(tried, "8")
    assert take(tried, FIRST) == "8"
    assert taken_by(tried) is None
    assert take(tried, SECOND) is None


def test_of_two_at_the_same_moment_one_has_it(tried: SubmittedTry, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(tried)
    take(tried, FIRST)
    monkeypatch.setattr(chains, "taken_by", lambda _: None)
    assert take(tried, SECOND) is not None
    assert taken_by(tried) == "7"
    assert [path.name for path in tried.path.iterdir() if path.is_dir()] == [tried.taken.name]


@pytest.mark.parametrize(
    ("executor", "environment"), [("ray", FIRST), ("slurm", {}), ("slurm", {"SLURM_JOB_ID": "../x"})]
)
def test_where_nothing_tells_submissions_apart_nothing_is_taken(
    tried: SubmittedTry, executor: str, environment: dict[str, str]
) -> None:
    submitted(tried, "8", executor)
    assert take(tried, environment) is None
    assert not tried.taken.exists()
    assert take(SubmittedTry(tried.path / "none"), environment) is None
