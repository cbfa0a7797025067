"""The results folder that an earlier version left is read, ranked and continued; see its README."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sft import api
from sft.experiments.planning.plan import GridPlan
from sft.experiments.planning.reuse import planned_run
from sft.runs.files import ResultsFolder

KEPT = Path(__file__).resolve().parents[1] / "support" / "results_before"
DONE = {"zero", "lora", "answers"}


class Before:
    """A copy of the kept folder with its grid, its data and its model; the paths in it are those of the copy."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(KEPT, folder, dirs_exist_ok=True)
        self.results = ResultsFolder(folder / "results")
        self.grid = folder / "grid.json"
        for name in ("config.json", "job.json"):
            for path in self.results.path.rglob(name):
                path.write_text(path.read_text("utf-8").replace('"/project"', json.dumps(str(folder))), "utf-8")

    def plan(self) -> GridPlan:
        return api.plan(self.grid, results_path=self.results.path)

    def finished(self) -> dict[str, bytes]:
        """The files of every finished job."""
        return {
            path.relative_to(self.results.path).as_posix(): path.read_bytes()
            for manifest in self.results.path.rglob("manifest.json")
            for path in (manifest, *map(manifest.parent.joinpath, json.loads(manifest.read_bytes())["files"]))
        }

    def started(self) -> list[str]:
        """The jobs that were started, oldest first."""
        events = map(json.loads, self.results.events.read_text("utf-8").splitlines())
        return [event["job"] for event in events if event["state"] == "running"]


@pytest.fixture
def before(tmp_path: Path) -> Before:
    return Before(tmp_path)


def test_it_is_shown(before: Before) -> None:
    told = api.status(before.results.path)
    assert told[1] == "5 experiments of grid.json: 3 done, 1 failed, 1 preempted"
    shown = [line for line in told if line.startswith(("  FAILED", "  PREEMPTED"))]
    assert shown[0].startswith("  FAILED broken [bd8d7c69] at infer: test rows 0, 1, 2, ")
    assert shown[1:] == ["  PREEMPTED late [c0151cc2] at evaluate: stopped by SIGTERM"]
    assert not any(line.startswith("warning: ") for line in told)
    assert api.logs("lora", before.results.path)[0].startswith("done lora [5703e0d2]")


def test_it_is_as_it_was_written(before: Before) -> None:
    verified = api.verify(before.results.path)
    assert (verified.jobs, verified.files, verified.damaged) == (9, 32, ())


def test_its_leaderboard_is_the_same(before: Before) -> None:
    kept = json.loads(before.results.leaderboard("json").read_bytes())
    before.results.leaderboard("json").unlink()
    api.leaderboard([before.results.path])
    made = json.loads(before.results.leaderboard("json").read_bytes())
    for part in ("rows", "others", "baselines"):
        assert numbers(made[part]) == pytest.approx(numbers(kept[part]), rel=1e-9)
        assert other(made[part]) == other(kept[part])
    for board, was in zip(made["boards"], kept["boards"], strict=True):
        assert [board[key] for key in RANKING] == [was[key] for key in RANKING]
        assert [(group["name"], group["value"]) for group in board["groups"]] == [
            (group["name"], group["value"]) for group in was["groups"]
        ]
        assert [group["rank"] for group in board["groups"]] == list(range(1, 1 + len(board["groups"])))
        for group, before_it in zip(board["groups"], was["groups"], strict=True):
            assert (group["interval"] is None) <= (before_it["interval"] is None)
    assert {row["name"] for row in made["rows"] if row["state"] == "done"} == DONE


RANKING = ("board", "metric", "higher_is_better", "labels", "ranking")
"""Keys of a board that no better statistics change."""


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    """Dotted place -> value."""
    if not isinstance(value, dict | list):
        return {place: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: leaf for name, item in items for key, leaf in leaves(item, f"{place}.{name}").items()}


def numbers(board: Any) -> dict[str, float]:
    return {place: leaf for place, leaf in leaves(board).items() if isinstance(leaf, float)}


def other(board: Any) -> dict[str, Any]:
    return {place: leaf for place, leaf in leaves(board).items() if not isinstance(leaf, float)}


def test_its_grid_has_the_same_keys_and_only_what_is_unfinished_is_left(before: Before) -> None:
    run = planned_run(before.plan(), before.results)
    places = {path.relative_to(before.results.path).as_posix() for path in run.jobs}
    assert places == {
        job.parent.relative_to(before.results.path).as_posix() for job in before.results.path.rglob("job.json")
    } | {"experiments/broken-bd8d7c69"}
    assert [path.name for path in run.to_run] == ["late-c0151cc2"]
    assert sorted(path.name for path in run.left) == ["91409bbefbea7e80", "broken-bd8d7c69"]


@pytest.mark.slow
def test_it_is_continued(before: Before) -> None:
    finished, started = before.finished(), before.started()
    kept = json.loads(before.results.leaderboard("json").read_bytes())
    ended = api.run(before.grid, before.results.path, settings=api.RunSettings(jobs=1, start="fresh"))
    board = json.loads(before.results.leaderboard("json").read_bytes())
    assert ended.n_failed == 1, "what failed before is not tried again"
    again = before.started()[len(started) :]
    assert {job.split("/")[1] for job in again[:-1]} == {"baseline"}, "that version measured them at the end of a run"
    assert again[-1] == "experiments/late-c0151cc2"
    assert finished.items() <= before.finished().items()
    assert {row["name"] for row in board["rows"] if row["state"] == "done"} == {*DONE, "late"}
    made = {(one["name"], own["train_indices_sha256"]): own for one in board["baselines"] for own in one["sets"]}
    for one in kept["baselines"]:
        for own in one["sets"]:
            again_measured = made[one["name"], own["train_indices_sha256"]]
            assert again_measured["results"] == pytest.approx(own["results"], rel=1e-9)
            assert (again_measured["seeds"], again_measured["n_train"]) == (own["seeds"], own["n_train"])
