"""The program that a run starts to have its leaderboard written."""

import json
from pathlib import Path

import pytest

from sft.experiments.running import board_refresh
from sft.reporting import files, refresh
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsBuilder:
    monkeypatch.setattr("os.nice", lambda _: 0)
    made = ResultsBuilder(tmp_path)
    for seed in (1, 2):
        made.done(f"lora/{seed}", str(seed) * 16, config(seed=seed), metrics({"accuracy": 0.1 * seed}))
    return made


def written(folder: ResultsBuilder) -> dict[str, object]:
    (board,) = json.loads(folder.results.leaderboard("json").read_text())["boards"]
    return dict(board)


def test_the_runner_knows_it_by_its_names() -> None:
    assert refresh.__name__ == board_refresh.MODULE
    assert board_refresh.UNDER_WAY == refresh.UNDER_WAY


def test_many_experiments_under_way_are_ranked_only(folder: ResultsBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RANKS_ONLY_ABOVE", 1)
    assert refresh.main([str(folder.results.path)]) == 0
    whole = written(folder)
    assert refresh.main([str(folder.results.path), refresh.UNDER_WAY]) == 0
    ranked = written(folder)
    assert (bool(whole["effects"] or whole["pareto"]), ranked["effects"], ranked["pareto"]) == (True, [], [])
    assert [group["n"] for group in ranked["groups"]] == [group["n"] for group in whole["groups"]]  # type: ignore[attr-defined]


def test_what_the_machine_must_change_is_one_line_and_a_bug_is_raised(
    folder: ResultsBuilder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(number: int) -> None:
        def write(*_: object, **__: object) -> None:
            raise OSError(number, "no", "leaderboard.json")

        monkeypatch.setattr(refresh, "write_leaderboard", write)

    fail(28)
    assert refresh.main([str(folder.results.path)]) == 5
    assert capsys.readouterr().err == "[Errno 28] no: 'leaderboard.json'\n"
    fail(2)
    with pytest.raises(FileNotFoundError):
        refresh.main([str(folder.results.path)])
