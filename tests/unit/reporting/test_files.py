"""The files of a leaderboard, and its table."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from sft.reporting.files import write_leaderboard
from sft.reporting.flat import results_frame
from sft.reporting.formats.markdown import escaped
from sft.runs.records import ErrorRecord
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

NASTY = "a|b\nc `x` <b>&amp;</b> *s* [l](u) \\ \u2028 \ud83d"


def board(tmp_path: Path) -> ResultsBuilder:
    folder = ResultsBuilder(tmp_path)
    folder.done("lora", "a" * 16, config(), metrics({"macro_f1": 0.61234, "log_loss": None}))
    zero = config(lora=None, dataset={"shots": 0}, training=None)
    folder.done("zero", "b" * 16, zero, metrics({"macro_f1": 0.3, "log_loss": 1.5}, timing={"train": None}))
    folder.failed(NASTY, "c" * 16, config(seed=7), ErrorRecord("exception", f"it broke: {NASTY}"))
    folder.planned("waiting", "d" * 16, config(seed=8))
    folder.done("old", "e" * 16, config(seed=9), metrics({"macro_f1": 1.0}), in_grid=False)
    return folder


def tables(text: str) -> list[list[list[str]]]:
    """The cells of every table of experiments, as a Markdown reader shows them."""
    return [table for table in all_tables(text) if not {"set-up", "effect", "curve"} & set(table[0])]


def all_tables(text: str) -> list[list[list[str]]]:
    """The cells of every table."""
    found: list[list[list[str]]] = []
    inside = False
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type in ("th_open", "td_open"):
            inside = True
        elif token.type == "inline" and inside:
            found[-1][-1].append("".join(child.content for child in token.children or []))
            inside = False
    return found


def test_json_holds_every_row(tmp_path: Path) -> None:
    folder = board(tmp_path)
    write_leaderboard([folder.results], tmp_path)
    written = json.loads((tmp_path / "leaderboard.json").read_text())
    rows = {row["name"]: row for row in written["rows"]}
    assert list(rows) == ["lora", "zero", NASTY, "waiting"]
    assert {row["name"]: row["state"] for row in written["others"]} == {"old": "done"}
    assert set(rows["lora"]) == {
        "name", "id", "state", "seed", "board", "settings", "no_effect", "results", "timing", "resources", "error",
    }  # fmt: skip
    assert rows["lora"]["settings"]["lora.r"] == 8
    assert rows["lora"]["settings"]["prompting.input_columns"] == ["text"]
    assert rows["lora"]["results"] == {"macro_f1": 0.61234, "log_loss": None}
    assert rows["lora"]["board"] == rows["zero"]["board"]
    assert rows[NASTY]["error"]["kind"] == "exception"
    assert rows[NASTY]["board"] is None
    assert written["boards"][0]["ranking"][0] == {"rank": 1, "name": "lora", "id": "a" * 16}


def test_markdown_shows_every_row_with_its_settings(tmp_path: Path) -> None:
    folder = board(tmp_path)
    write_leaderboard([folder.results], tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    ranked, without, others = tables(text)
    rows = [dict(zip(ranked[0], row, strict=True)) for row in ranked[1:]]
    assert [row["experiment"] for row in rows] == ["lora", "zero"]
    expected = {
        "#": "1", "macro_f1 ↑": "0.6123", "log_loss ↓": "n/a", "learning rate": "0.0003", "train s": "12.3",
        "infer s": "5.0", "lora.r": "8", "ICL (training)": "0", "max training": "none",
    }  # fmt: skip
    assert {key: rows[0][key] for key in expected} == expected
    unset = ("learning rate", "lora.r", "train s", "ICL (training)", "max training")
    assert [rows[1][key] for key in unset] == ["n/a"] * len(unset)
    same = {
        "dataset": "tweets", "model": "tiny", "task type": "classification", "test rows": "200", "max input": "64",
        "ICL (inference)": "0", "seed": "13", "peak RSS GiB": "1.00",
    }  # fmt: skip
    above = text.partition("The same in all rows: ")[2].partition("\n")[0]
    assert [f"{name} = {value}" in above for name, value in same.items()] == [True] * len(same)
    assert not set(same) & set(ranked[0])
    assert "ranked on the test rows" in text
    assert [row[2] for row in without[1:]] == ["failed", "pending"]
    assert without[1][5].startswith("it broke: a|b c `x` <b>&amp;</b> *s* [l](u)")
    assert [row[0] for row in others[1:]] == ["old"]
    assert "## Not in this grid" in text


def test_the_metric_that_ranks_stands_beside_itself_without_the_calibrator(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    results = dict.fromkeys(("accuracy", "macro_f1", "uncalibrated_macro_f1", "label_mass"), 0.5)
    results |= {f"dev_{name}": 0.5 for name in results}
    folder.done("a", "a" * 16, config(), metrics(results, details={"higher_is_better": dict.fromkeys(results, True)}))
    write_leaderboard([folder.results], tmp_path)
    header = tables((tmp_path / "leaderboard.md").read_text())[0][0]
    forms = ["dev_macro_f1", "dev_uncalibrated_macro_f1", "macro_f1", "uncalibrated_macro_f1"]
    assert header[2:6] == [f"{name} ↑" for name in forms]


def test_the_default_learning_rate_is_shown_in_numbers(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("a", "a" * 16, config(training=None), metrics({"macro_f1": 0.5}))
    write_leaderboard([folder.results], tmp_path)
    assert "learning rate = 0.0002" in (tmp_path / "leaderboard.md").read_text()


def test_what_all_rows_share_is_said_once(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    for number in range(2):
        own = config(seed=number, prompting={"instruction": "Say | it."}, lora={"r": 4 + number})
        folder.done(f"n{number}", f"{number:016x}", own, metrics({"macro_f1": 0.5}))
    write_leaderboard([folder.results], tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    header = tables(text)[0][0]
    assert "prompting.instruction = Say \\| it., prompting.input_columns = text, " in text
    assert "2 experiments. Labels: neg, pos." in text
    assert "prompting.instruction" not in header
    assert "lora.r" in header
    assert "dataset.on_missing" not in text


def test_code_that_was_allowed_to_run_is_shown(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    trusting = config(seed=1, model={"model_args": {"trust_remote_code": True}})
    for number, own in enumerate((trusting, config())):
        folder.done(f"n{number}", f"{number:016x}", own, metrics({"macro_f1": 0.5}))
    write_leaderboard([folder.results], tmp_path)
    rows = json.loads((tmp_path / "leaderboard.json").read_text())["rows"]
    assert [row["settings"].get("model.model_args.trust_remote_code") for row in rows] == [True, None]
    table = tables((tmp_path / "leaderboard.md").read_text())[0]
    column = table[0].index("model.model_args.trust_remote_code")
    assert sorted(row[column] for row in table[1:]) == ["default", "true"]


def test_boards_stand_apart(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("a", "a" * 16, config(), metrics({"macro_f1": 0.5}))
    folder.done("b", "b" * 16, config(seed=2), metrics({"macro_f1": 0.6}, data={"test_rows_sha256": "zz"}))
    write_leaderboard([folder.results], tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    assert [len(table) for table in tables(text)] == [2, 2]
    assert "## Board 2: classification of label" in text


@pytest.mark.parametrize("text", [NASTY, "_a_ b_c", "| --- |", "<script>", "~~x~~ $x$ ![i](u)"])
def test_escaped_text_reads_as_it_was_written(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    cells = tables(f"| h |\n| --- |\n| {shown} |\n")[0][1]
    assert cells == [" ".join(text.split()).encode("utf-8", "backslashreplace").decode()]


def test_empty_and_failed_grids_have_files_too(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    write_leaderboard([folder.results], tmp_path)
    assert json.loads((tmp_path / "leaderboard.json").read_text())["rows"] == []
    assert "No experiment has a result yet." in (tmp_path / "leaderboard.md").read_text()
    folder.failed("bad", "a" * 16, config(), ErrorRecord("crash", "why"))
    write_leaderboard([folder.results], tmp_path)
    assert "why" in (tmp_path / "leaderboard.md").read_text()
    assert results_frame([tmp_path])["state"].tolist() == ["failed"]


def test_frame_has_metrics_settings_and_seconds(tmp_path: Path) -> None:
    board(tmp_path)
    frame = results_frame([tmp_path])
    assert frame["name"].tolist() == ["lora", "zero", NASTY.replace("\ud83d", "\\ud83d"), "waiting"]
    best: dict[str, Any] = frame.iloc[0].to_dict()
    assert (best["rank"], best["macro_f1"], best["lora.r"], best["seconds.train"]) == (1, 0.61234, 8, 12.34)
    assert list(results_frame([_empty(tmp_path / "empty")]).columns)[:3] == ["name", "id", "state"]


def _empty(path: Path) -> Path:
    path.mkdir()
    return path


def test_leaderboards_need_neither_torch_nor_evaluate(tmp_path: Path) -> None:
    board(tmp_path)
    program = f"""
import sys
for name in ("torch", "evaluate", "transformers", "datasets", "trl", "peft"):
    sys.modules[name] = None
from pathlib import Path
from sft.reporting.files import write_leaderboard
from sft.runs.files import ResultsFolder
folder = Path({str(tmp_path)!r})
print(len(write_leaderboard([ResultsFolder(folder)], folder).report.leaderboard.boards))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
