"""The data of the HTML page: what it holds, how large it is, and that it is never markup."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from sft.leaderboard.building import build_leaderboard, with_statistics
from sft.reporting.files import write_leaderboard
from sft.reporting.formats.json import report_of
from sft.reporting.page import experiments
from sft.reporting.page.boards import headline
from sft.reporting.page.rendering import filled, page_data, page_text
from tests.support.grids import HOSTILE, MadeGrid, config
from tests.support.records import config as small_config
from tests.support.records import metrics
from tests.support.results import ResultsBuilder


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> MadeGrid:
    grid = MadeGrid(tmp_path_factory.mktemp("grid"))
    grid.fail("big/lora-32/seed0", config("big", 0, {"dataset": {"shots": 32}}), f"it broke: {HOSTILE}")
    grid.write_grid()
    return grid


@pytest.fixture(scope="module")
def data(grid: MadeGrid) -> dict:
    return page_data(report_of(with_statistics(build_leaderboard([grid.results]))))


def embedded(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def column(table: dict, title: str) -> list:
    place = [one["title"] for one in table["columns"]].index(title)
    return [row[place] for row in table["rows"]]


def test_the_page_is_one_file_that_names_no_other(grid: MadeGrid) -> None:
    write_leaderboard([grid.results], grid.results.path)
    text = grid.results.leaderboard("html").read_text()
    assert "{{" not in text.replace('{{"', "")[:2000]
    assert not re.search(r'(?:src|href)="(?!data:)', text.partition("<script>")[0])
    assert "sourceMappingURL" not in text
    assert embedded(text)["done"] == 36


def test_text_of_the_data_is_never_markup(grid: MadeGrid) -> None:
    text = page_text(report_of(with_statistics(build_leaderboard([grid.results]))))
    part = text[text.index('id="data">') : text.index("</script>", text.index('id="data">'))]
    assert "<" not in part[len('id="data">') :]
    assert HOSTILE in json.dumps(embedded(text), ensure_ascii=False).replace('\\"', '"')


def test_groups_stand_best_first_with_their_numbers(grid: MadeGrid, data: dict) -> None:
    board = data["boards"][0]
    table = board["groups"]
    assert column(table, "#") == list(range(1, 13))
    means = column(table, "macro_f1 ↑")
    assert means == sorted(means, reverse=True)
    assert column(table, "n") == [3] * 12
    assert column(table, "to the best")[0] is None
    assert all(low <= mean <= high for mean, (low, high) in zip(means, column(table, "95 % interval"), strict=True))
    assert len(board["runs"]["rows"]) == 36
    assert set(table["opens"]) <= set(data["experiments"])
    assert data["states"] == {"failed": 1}


def test_settings_that_always_change_together_are_one_column(data: dict) -> None:
    titles = {one["title"]: one["hint"] for one in data["boards"][0]["groups"]["columns"] if one["kind"] == "setting"}
    assert set(titles) == {"dataset.shots", "model.name", "lora.r", "lora.init_lora_weights"}
    assert "adapter.method" in titles["lora.r"]


def test_columns_without_any_value_are_left_out(tmp_path: Path) -> None:
    one_seed = MadeGrid(tmp_path, models=("small",), n_seeds=1)
    board = page_data(report_of(with_statistics(build_leaderboard([one_seed.results]))))["boards"][0]
    titles = [one["title"] for one in board["groups"]["columns"]]
    assert "n" not in titles
    assert "sd" not in titles
    assert board["runs"] is None


def test_an_experiment_takes_at_most_8_kb(data: dict) -> None:
    sizes = [len(json.dumps(one)) for one in data["experiments"].values()]
    assert max(sizes) <= experiments.MOST_BYTES
    assert min(len(one["errors"]) for one in data["experiments"].values()) > 0


def test_a_page_of_200_experiments_is_below_3_mb() -> None:
    assert len(filled("{}").encode()) + experiments.MANY * experiments.MOST_BYTES < 3 << 20


def test_long_texts_are_cut_and_give_way(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("a", "a" * 16, small_config(), metrics({"macro_f1": 0.5}))
    line = {"text": "é" * 5000, "label": "x" * 5000, "predictions": "y" * 5000}
    rows = [json.dumps(line | {"index": place, "probabilities": {}}) for place in range(20)]
    job.predictions("test", "jsonl").write_text("\n".join(rows))
    found = page_data(report_of(build_leaderboard([folder.results])))["experiments"]["a" * 16]
    assert len(json.dumps(found)) <= experiments.MOST_BYTES
    assert found["counts"] == [20, 200]
    assert 0 < len(found["errors"]) < 10
    assert " […] " in found["errors"][0]["text"]


def test_without_texts_no_text_of_the_data_is_left(grid: MadeGrid) -> None:
    write_leaderboard([grid.results], grid.results.path, with_texts=False)
    found = embedded(grid.results.leaderboard("html").read_text())
    assert found["texts"] is False
    assert "a plain tweet" not in json.dumps(found)
    assert all(one["errors"] == [] and one["prompt"] is None for one in found["experiments"].values())


def test_of_many_experiments_the_best_have_details(grid: MadeGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiments, "MANY", 30)
    monkeypatch.setattr(experiments, "BEST", 5)
    leaderboard = build_leaderboard([grid.results])
    found = page_data(report_of(leaderboard))["experiments"]
    assert list(found) == [record.id for record in leaderboard.boards[0].records[:5]]


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    write_leaderboard([ResultsBuilder(tmp_path).results], tmp_path)
    assert embedded((tmp_path / "leaderboard.html").read_text())["boards"] == []


def test_lone_surrogates_do_not_stop_the_page(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("a\ud800", "a" * 16, small_config(), metrics({"macro_f1": None}))
    write_leaderboard([folder.results], tmp_path)
    assert embedded((tmp_path / "leaderboard.html").read_text())["experiments"]["a" * 16]["name"] == "a\\ud800"


@pytest.mark.parametrize(
    ("ties", "told"), [([True, False], "1 of the 2 others"), ([True, True], "none of the 2 others")]
)
def test_the_headline_says_what_won_and_whether_that_is_real(ties: list[bool], told: str) -> None:
    def group(rank: int, mean: float, tie: bool | None) -> dict:
        against = {"difference": mean - 0.8, "low": -0.2, "high": 0.1, "p_holm": 0.02, "tie": tie}
        interval = {"low": mean - 0.1, "high": mean + 0.1}
        results = {"accuracy": {"mean": mean}}
        name = f"g{rank}"
        return {
            "name": name,
            "rank": rank,
            "results": results,
            "interval": interval,
            "against_best": against if rank > 1 else None,
        }

    groups = [group(1, 0.8, None), group(2, 0.7, ties[0]), group(3, 0.6, ties[1])]
    text = headline({"metric": "dev_accuracy", "groups": groups})
    assert text.startswith("g1 leads with accuracy 0.8000 [0.7000, 0.9000].")
    assert "The next, g2, differs by -0.1000 [-0.2000, +0.1000], p (Holm) 0.020." in text
    assert told in text
    assert headline({"metric": None, "groups": []}) == "No set-up is ranked yet."


@pytest.mark.parametrize(("n_labels", "length"), [(3, 12), (12, 24), (77, 24), (150, 60)])
def test_labels_that_are_many_or_long_leave_room_for_errors(tmp_path: Path, n_labels: int, length: int) -> None:
    labels = [f"{number:x}".ljust(length, "é") for number in range(n_labels)]
    counts = [[1] * n_labels for _ in labels]
    numbers = {"precision": 0.123456, "recall": 0.123456, "f1": 0.123456, "support": n_labels}
    per_label = dict.fromkeys(labels, numbers)
    details = {"labels": labels, "confusion_matrix": counts, "per_label": per_label}
    folder = ResultsBuilder(tmp_path)
    job = folder.done("a", "a" * 16, small_config(), metrics({"macro_f1": 0.5}, details=details))
    probabilities = dict.fromkeys(labels, 1 / n_labels)
    line = {"text": "x" * 150, "label": labels[0], "predictions": labels[1], "probabilities": probabilities}
    job.predictions("test", "jsonl").write_text("\n".join(json.dumps(line | {"index": place}) for place in range(20)))
    found = page_data(report_of(build_leaderboard([folder.results])))["experiments"]["a" * 16]
    assert len(json.dumps(found)) <= experiments.MOST_BYTES
    assert len(found["errors"]) >= 3


def test_the_first_of_several_names_is_shown(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    job = folder.done("alpha", "a" * 16, small_config(), metrics({"macro_f1": 0.5}))
    folder.alias("beta", "a" * 16, small_config(), job)
    assert page_data(report_of(build_leaderboard([folder.results])))["experiments"]["a" * 16]["name"] == "alpha"


def test_errors_in_data_are_not_quoted_without_texts(grid: MadeGrid) -> None:
    leaderboard = dataclasses.replace(build_leaderboard([grid.results]), with_texts=False)
    assert HOSTILE not in json.dumps(page_data(report_of(leaderboard))["unfinished"])
