"""`sft leaderboard` and its views: output, exit codes, and that the files are rebuilt in any case."""

import importlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.results import SMALL

Call = Callable[..., tuple[int, str, str]]
HOSTILE = "b[red]\x1b[31m"
FILES = "results/leaderboard.md\nresults/leaderboard.html\n"
TRACKER = """
class Lines:
    def require(self): pass
    def log(self, grid, folder): return f"logged {len(grid.experiments)}"
"""
ONCE = [
    ("sft.leaderboard.building", "collect"),
    ("sft.leaderboard.completing", "compared"),
    ("sft.reporting.formats.json", "leaderboard_record"),
]


@pytest.fixture
def call(call: Call) -> Call:
    """Runs the command on the folder `results`."""
    return lambda *arguments: call("leaderboard", "results", *arguments)


@pytest.fixture
def grid(made: Any) -> Any:
    for name, key, shots, value in (("a", "a", 4, 0.5), (HOSTILE, "b", 8, 0.75)):
        results = json.dumps({"results": {"macro_f1": value, "ece": value}, "data": {}, "details": {}})
        job = made.planned(
            name, key, SMALL | {"dataset": {"path": "tweets", "task_type": "classification", "shots": shots}}
        )
        made.finish(job, "evaluate", results)
    return made


def test_the_ranking_is_printed_without_anything_that_steers_a_terminal(grid: Any, call: Call) -> None:
    code, out, _ = call()
    assert code == 0
    assert "1  b[red]\\x1b[31m    0.7500" in out
    assert "\x1b" not in out
    assert out.endswith(f"\n{FILES}")
    assert call()[1] == out


def test_what_the_grid_lost_is_shown_with_all(grid: Any, call: Call) -> None:
    del grid.configs["a"]
    grid.write_grid()
    assert "not in this grid" not in call()[1]
    code, out, _ = call("--all")
    assert code == 0
    assert "a (not in this grid)" in out
    assert "a (not in this grid)" in grid.results.leaderboard("md").read_text()
    rows = json.loads(grid.results.leaderboard("json").read_text())["rows"]
    assert {row["name"]: row.get("in_grid") for row in rows} == {HOSTILE: None, "a": False}


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("--metric", "ece"), "ranked by ece (lower is better)"),
        (("--group-by", "dataset.shots, dataset.path"), "None, dataset.shots, dataset.path: macro_f1"),
        (("--group-by", "dataset.shots", "--group-by", "dataset.path", "--metric", "ece"), "dataset.path: ece (lower"),
        (("--diff", "a", "best"), "A against B\nA  a [a0000000]\nB  b[red]\\x1b[31m [b0000000]"),
    ],
)
def test_a_view_is_printed_and_the_files_are_rebuilt(
    grid: Any, call: Call, arguments: tuple[str, ...], shown: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert shown in out
    assert "\x1b" not in out
    (board,) = json.loads(grid.results.leaderboard("json").read_text())["boards"]
    assert (board["metric"], board["ranking"][0]["name"]) == ("macro_f1", HOSTILE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metric", "macrof1"), "did you mean macro_f1?"),
        (("--group-by", "shots"), "did you mean dataset.shots?"),
        (("--group-by", "dataset.shots,"), "a setting is empty"),
        (("--diff", "a", "c"), "no experiment or group is called 'c'"),
        (("--diff", "a", "b\x1b[2J"), r"'b\x1b[2J'"),
        (("--diff", "a", "best", "--group-by", "seed"), "give one of them"),
        (("--diff", "a", "best", "--top", "3"), "--top: --diff shows two"),
    ],
)
def test_a_mistake_is_one_line_and_2(grid: Any, call: Call, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert "\x1b" not in err


def test_the_best_set_ups_of_each_board_are_shown_and_the_files_hold_all(grid: Any, call: Call) -> None:
    code, out, _ = call("--top", "1")
    assert code == 0
    assert "\nand 1 more: leaderboard.md, .html and .csv\n" in out
    assert len(json.loads(grid.results.leaderboard("json").read_text())["boards"][0]["groups"]) == 2
    code, out, _ = call("--top", "1", "--group-by", "dataset.shots")
    assert code == 0
    assert "\n            8  1  0.7500" in out or "\n8              1  0.7500" in out
    assert "\nand 1 more\n" in out
    assert call("--top", "0")[0] == 2


def test_diff_needs_two_names(grid: Any, call: Call) -> None:
    assert call("--diff", "a")[0] == 2


@pytest.mark.parametrize("arguments", [(), ("--metric", "x"), ("--group-by", "x"), ("--diff", "a", "b")])
def test_without_a_result_it_says_so_and_ends_well(made: Any, call: Call, arguments: tuple[str, ...]) -> None:
    made.planned("waiting", "c")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert out == f"waiting: pending\n{FILES}"


def test_texts_of_the_data_are_left_out_and_figures_written(grid: Any, call: Call) -> None:
    page = grid.results.leaderboard("html")
    assert call()[0] == 0
    assert '"texts":true' in page.read_text()
    assert call("--no-texts", "--figures", "figures")[0] == 0
    assert '"texts":false' in page.read_text()


def test_figures_need_a_folder(grid: Any, call: Call) -> None:
    code, out, err = call("--figures", "results/grid.json")
    assert (code, out) == (2, "")
    assert "--figures results/grid.json: is a file" in err


@pytest.mark.parametrize("arguments", [(), ("--diff", "a", "best"), ("--group-by", "dataset.shots")])
def test_results_are_read_and_counted_once_whatever_is_shown(
    grid: Any, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "mine.py").write_text(TRACKER)
    counts: Counter[str] = Counter()
    for module, name in ONCE:
        watch(monkeypatch, module, name, counts)
    code, out, _ = call(*arguments, "--tracker", "mine.py:Lines")
    assert code == 0
    assert out.endswith("logged 2\n")
    assert counts == {name: 1 for _, name in ONCE}


def watch(monkeypatch: pytest.MonkeyPatch, module: str, name: str, counts: Counter[str]) -> None:
    """Count the calls of a function under the name by which a module knows it."""
    known = getattr(importlib.import_module(module), name)

    def counting(*places: Any, **names: Any) -> Any:
        counts[name] += 1
        return known(*places, **names)

    monkeypatch.setattr(f"{module}.{name}", counting)
