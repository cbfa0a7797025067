"""Several results folders on one board, and what a folder's grid does not hold any more."""

from pathlib import Path

import numpy as np
import pytest

from sft.exceptions import UserError
from sft.leaderboard.board import Leaderboard
from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.origins import told_apart
from sft.leaderboard.views.pair import Pair, compare_pair
from sft.runs.records import StatusRecord, write_record
from tests.support.records import metrics, outcome
from tests.support.results import ResultsBuilder

RIGHT = {"monday": 100, "tuesday": 120}


@pytest.fixture
def days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ResultsBuilder]:
    """Two days on which `zero` was another model, and `lora` the same with other seeds."""
    monkeypatch.chdir(tmp_path)
    made = []
    for number, (day, n_right) in enumerate(RIGHT.items()):
        folder = ResultsBuilder(Path(day), first_id=10 * number)
        made.append(folder)
        runs: dict[str, dict[str, object]] = {f"lora/seed{seed}": {"seed": seed} for seed in (number, number + 2)}
        runs["zero"] = {"model": {"name": day}}
        for place, (name, own) in enumerate(runs.items()):
            folder.scored(name, outcome(np.arange(200) < n_right - 3 * place), own)
            _set_ended(folder, name, f"2026-11-0{number + 1}T09:30:15.123Z")
    return made


def _set_ended(folder: ResultsBuilder, name: str, ended: str) -> None:
    (job,) = folder.results.experiments.glob(f"{name.replace('/', '-')}-*")
    write_record(job / "status.json", StatusRecord("done", "evaluate", attempt=1, ended=ended))


def joined(days: list[ResultsBuilder], *, everything: bool = False) -> Leaderboard:
    return with_statistics(build_leaderboard([day.results for day in days], everything=everything))


def pair(days: list[ResultsBuilder], first: str, second: str) -> Pair:
    return compare_pair(joined(days), first, second)


def test_set_ups_of_one_name_have_folder_and_time(days: list[ResultsBuilder]) -> None:
    (board,) = joined(days).boards
    assert {group.name for group in board.groups} == {
        "zero (monday, 2026-11-01 09:30 UTC)", "zero (tuesday, 2026-11-02 09:30 UTC)", "lora",
    }  # fmt: skip
    assert sorted(told_apart(board.records)) == [
        "lora/seed0", "lora/seed1", "lora/seed2", "lora/seed3",
        "zero (monday, 2026-11-01 09:30 UTC)", "zero (tuesday, 2026-11-02 09:30 UTC)",
    ]  # fmt: skip
    (alone,) = joined(days[:1]).boards
    assert {group.name for group in alone.groups} == {"zero", "lora"}


def test_two_of_one_name_are_compared_by_their_folders(days: list[ResultsBuilder]) -> None:
    found = pair(days, "tuesday:zero", "monday:zero")
    assert found.difference is not None
    assert found.difference.comparison.difference == pytest.approx(0.1)
    assert [side.name for side in (found.sides.first, found.sides.second)] == ["tuesday:zero", "monday:zero"]
    seeds = pair(days, "tuesday:lora", "monday:lora")
    assert [len(side.group.runs) for side in (seeds.sides.first, seeds.sides.second)] == [2, 2]
    assert seeds.difference is not None
    assert seeds.difference.comparison.test == "t-different-seeds"


def test_what_may_be_of_several_folders_says_how_to_name_them(days: list[ResultsBuilder]) -> None:
    with pytest.raises(UserError, match=r"'zero' stands there twice.*such as monday:zero, tuesday:zero"):
        pair(days, "zero", "zero")
    with pytest.raises(UserError, match=r"'zero' may be zero .*; write more of the id, such as monday:zero"):
        pair(days, "zero", "lora")
    with pytest.raises(UserError, match=r"no experiment or group is called 'sunday:zero'"):
        pair(days, "sunday:zero", "zero")


def test_one_run_of_two_folders_is_no_pair(days: list[ResultsBuilder]) -> None:
    for folder in days:
        folder.done("same", "f" * 16, folder.config(model={"name": "same"}), metrics({"accuracy": 0.5}))
    with pytest.raises(UserError, match="are the same experiment, which ran once"):
        pair(days, "monday:same", "tuesday:same")


def test_what_one_grid_still_lacks_is_taken_from_a_folder_whose_grid_holds_it_no_more(
    days: list[ResultsBuilder],
) -> None:
    monday, tuesday = days
    own = monday.config(model={"name": "same"})
    monday.planned("same", "f" * 16, own)
    tuesday.done("same", "f" * 16, own, metrics({"accuracy": 0.5}), in_grid=False)
    (same,) = (record for board in joined(days).boards for record in board.records if record.name == "same")
    assert (same.results_folder, same.also_in, same.in_grid) == (tuesday.path, (monday.path,), True)


def test_what_is_in_no_grid_any_more_is_shown_and_marked_when_asked_for(days: list[ResultsBuilder]) -> None:
    monday = days[0]
    kept = dict(monday.configs)
    monday.configs = {"zero": kept["zero"]}
    monday.scored("lora", outcome(np.arange(200) < 150), {"lora": {"r": 4}})
    assert {group.name for group in joined([monday]).boards[0].groups} == {"zero", "lora"}
    everything = joined([monday], everything=True)
    assert {group.name: len(group.runs) for group in everything.boards[0].groups} == {
        "zero": 1, "lora": 1, "lora (2026-11-01 09:30 UTC, not in this grid)": 2,
    }  # fmt: skip
    assert everything.others == ()
