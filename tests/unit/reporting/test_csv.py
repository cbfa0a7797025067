"""The leaderboard for spreadsheets: every row and setting, numbers as numbers, and no cell that runs as a formula."""

import csv
import json
from pathlib import Path

import pandas
import pytest

from sft.reporting.files import write_leaderboard
from sft.runs.records import ErrorRecord
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder


def rows_of(folder: ResultsBuilder) -> list[dict[str, str]]:
    write_leaderboard([folder.results], folder.results.path)
    with folder.results.leaderboard("csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_experiment_has_a_row_with_its_settings_and_numbers(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("low", "a" * 16, config(), metrics({"macro_f1": 0.1 + 0.2, "log_loss": None}))
    folder.done("high", "b" * 16, config(seed=7), metrics({"macro_f1": 0.5, "mcc": -0.25}))
    folder.failed("bad", "c" * 16, config(seed=8), ErrorRecord("oom_gpu", "no memory"))
    high, low, bad = rows_of(folder)
    first = ["rank", "board", "name", "set_up", "set_up_rank", "mark", "provisional", "id", "state", "seed", "error"]
    assert list(high)[: len(first)] == first
    assert (high["set_up"], high["set_up_rank"], high["provisional"]) == ("high", "1", "true")
    assert (bad["set_up"], bad["set_up_rank"], bad["mark"], bad["provisional"]) == ("", "", "", "")
    assert (high["rank"], high["name"], high["id"], high["state"], high["seed"]) == (
        "1",
        "high",
        "b" * 16,
        "done",
        "7",
    )
    assert (high["mcc"], high["error"], high["board"]) == ("-0.25", "", low["board"])
    assert (low["macro_f1"], low["log_loss"], low["mcc"]) == ("0.30000000000000004", "", "")
    assert (low["lora.r"], low["seconds.train"], low["peak_rss_bytes"]) == ("8", "12.34", str(1 << 30))
    assert json.loads(low["prompting.input_columns"]) == ["text"]
    assert (bad["rank"], bad["state"], bad["error"]) == ("", "failed", "oom_gpu: no memory")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_text_that_would_run_as_a_formula_does_not(tmp_path: Path, text: str) -> None:
    folder = ResultsBuilder(tmp_path)
    own = config(prompting={"instruction": text})
    folder.done(text, "a" * 16, own, metrics({"macro_f1": -0.5}))
    (row,) = rows_of(folder)
    assert (row["name"], row["prompting.instruction"], row["macro_f1"]) == (f"'{text}", f"'{text}", "-0.5")


@pytest.mark.parametrize("text", ["a,b", 'say "x"', "two\nlines", "\ud83d", "ä 日本", "'quoted", "NA"])
def test_any_text_is_one_cell(tmp_path: Path, text: str) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done(text, "a" * 16, config(), metrics({"macro_f1": 0.5}))
    (row,) = rows_of(folder)
    assert row["name"] == text.encode("utf-8", "backslashreplace").decode()
    frame = pandas.read_csv(folder.results.leaderboard("csv"), keep_default_na=False)
    assert (frame["name"][0], frame["macro_f1"][0]) == (row["name"], 0.5)


def test_a_folder_without_experiments_has_a_header(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    assert rows_of(folder) == []
    assert (
        folder.results.leaderboard("csv").read_bytes()
        == b"rank,board,name,set_up,set_up_rank,mark,provisional,id,state,seed,error\r\n"
    )
