"""What tables, page and views show of settings: those in force, compared whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.views.combinations import combinations
from sft.leaderboard.views.pair import compare_pair
from sft.reporting.formats.json import leaderboard_record
from sft.reporting.page.tables import groups_table
from sft.reporting.tables.columns import board_table
from tests.support.records import outcome
from tests.support.results import ResultsBuilder

BEGINNING = "Classify the tweet about an airline by its sentiment, and answer with "
INSTRUCTION = "prompting.instruction"


@pytest.fixture
def made(tmp_path: Path) -> ResultsBuilder:
    return ResultsBuilder(tmp_path)


def add(folder: ResultsBuilder, name: str, n_right: int, **changes: Any) -> None:
    folder.scored(name, outcome(np.arange(200) < n_right), changes)


def column(folder: ResultsBuilder, header: str) -> dict[str, str]:
    """Experiment -> its cell in the table of experiments."""
    table = board_table(folder.board())
    names, cells = (table.headers.index(one) for one in ("experiment", header))
    return {row[names]: row[cells] for row in table.cells}


def test_prompts_with_a_common_beginning_are_unlike_everywhere(made: ResultsBuilder) -> None:
    add(made, "a", 120, prompting={"instruction": f"{BEGINNING}one word"})
    add(made, "b", 100, prompting={"instruction": f"{BEGINNING}a sentence"})
    texts = ["…and answer with one word", "…and answer with a sentence"]
    assert column(made, INSTRUCTION) == dict(zip("ab", texts, strict=True))
    assert INSTRUCTION not in dict(board_table(made.board()).constants)
    leaderboard = with_statistics(build_leaderboard([made.results]))
    record = leaderboard_record(leaderboard)
    page = groups_table(leaderboard.boards[0], record["boards"][0], record["rows"])
    place = [one.title for one in page.columns].index(INSTRUCTION)
    assert [row[place] for row in page.rows] == texts
    assert [one.texts[0] for one in combinations(leaderboard.boards[0], [INSTRUCTION]).found] == texts
    assert [(one.first_text, one.second_text) for one in compare_pair(leaderboard, "a", "b").settings] == [
        tuple(texts)
    ]


def test_what_has_no_effect_is_no_setting_in_any_view(made: ResultsBuilder) -> None:
    add(made, "zero", 100, dataset={"shots": 0}, lora={"init_lora_weights": "pca"})
    add(made, "lora", 120, lora={"r": 8})
    add(made, "pca", 140, lora={"r": 8, "init_lora_weights": "pca"})
    init = "lora.init_lora_weights"
    assert column(made, init) == {"pca": "pca", "lora": "default", "zero": "n/a"}
    (board,) = with_statistics(build_leaderboard([made.results])).boards
    assert {one.texts: one.n for one in combinations(board, [init]).found} == {
        ("pca",): 1,
        ("default",): 1,
        (None,): 1,
    }
    rows = {row["name"]: row for row in leaderboard_record(with_statistics(build_leaderboard([made.results])))["rows"]}
    assert init in rows["zero"]["settings"]
    assert {init, "lora.r", "training.trainer_args.learning_rate"} <= set(rows["zero"]["no_effect"])
    assert rows["pca"]["no_effect"] == []


def test_an_alias_is_shown_as_the_setting_that_it_is(made: ResultsBuilder) -> None:
    add(made, "a", 120, training={"trainer_args": {"max_seq_length": 64}})
    add(made, "b", 100, training={"trainer_args": {"max_length": 32}})
    add(made, "c", 90, training={"trainer_args": {}})
    assert column(made, "max training") == {"a": "64", "b": "32", "c": "none"}


def test_a_set_up_opens_the_run_nearest_to_its_mean(made: ResultsBuilder) -> None:
    for seed, n_right in enumerate((100, 130, 190)):
        add(made, f"x/seed{seed}", n_right, seed=seed)
    leaderboard = with_statistics(build_leaderboard([made.results]))
    record = json.loads(json.dumps(leaderboard_record(leaderboard)))
    page = groups_table(leaderboard.boards[0], record["boards"][0], record["rows"])
    names = {row["id"]: row["name"] for row in record["rows"]}
    assert [names[key] for key in page.opens] == ["x/seed1"]


@pytest.mark.parametrize("section", ["lora", "adapter"])
def test_the_exported_rank_is_shown_where_it_is_another_than_the_trained(made: ResultsBuilder, section: str) -> None:
    def ranked(name: str, n_right: int, rank: int, exported: int) -> None:
        own = {"r": rank} if section == "lora" else {"method": "dora", "r": rank}
        changes = {"lora": None, section: own}
        made.scored(name, outcome(np.arange(200) < n_right), changes, resources={"exported_rank": exported})

    ranked("low", 9, 4, 4)
    ranked("high", 7, 16, 16)
    assert "exported rank" not in board_table(made.board()).headers
    ranked("twice", 5, 4, 8)
    assert column(made, "exported rank") == {"low": "4", "high": "16", "twice": "8"}
