"""The data of the HTML page: what it holds, how large it is, and that it is never markup."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from sft.leaderboard.building import build_leaderboard
from sft.leaderboard.completing import with_statistics
from sft.leaderboard.details.sources import TrainingPoint
from sft.reporting.files import write_leaderboard
from sft.reporting.formats.json import report_of
from sft.reporting.formats.markdown import escaped
from sft.reporting.page import experiments
from sft.reporting.page.rendering import data_text, filled, page_data, page_text
from sft.reporting.tables.marks import MARKS
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


def test_the_verdict_stands_on_top_and_each_mark_is_a_word_with_a_sign(grid: MadeGrid, data: dict) -> None:
    write_leaderboard([grid.results], grid.results.path)
    board = json.loads(grid.results.leaderboard("json").read_text())["boards"][0]
    assert data["boards"][0]["verdict"] == board["verdict"]["lines"]
    text = grid.results.leaderboard("md").read_text()
    assert text.index(escaped(board["verdict"]["lines"][0])) < text.index("Ranked by")
    marks = column(data["boards"][0]["groups"], "mark")
    assert marks == [MARKS[group["mark"]] for group in board["groups"]]
    assert marks[0] == "best"
    assert set(marks[1:]) <= {"≈ equal", "− worse", "? unclear", "? one seed"}


def test_a_set_up_short_of_seeds_says_how_many_there_are(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    for name, seeds in (("a", (0, 1, 2)), ("b", (0, 1))):
        for seed in seeds:
            own = small_config(seed=seed, model={"name": name})
            record = metrics({"macro_f1": 0.6 if name == "a" else 0.5})
            folder.done(f"{name}/seed{seed}", f"{name}{seed}".ljust(16, "0"), own, record)
    folder.planned("b/seed2", "b2", small_config(seed=2, model={"name": "b"}))
    found = page_data(report_of(with_statistics(build_leaderboard([folder.results]))))
    assert column(found["boards"][0]["groups"], "mark")[1] == "* 2/3 seeds"
    assert found["experiments"]["a1".ljust(16, "0")]["place"].startswith("run 2 of 3 of a, best first")


def test_with_dev_rows_every_number_says_of_which_rows_it_is(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    folder.done("a", "a" * 16, small_config(), metrics({"macro_f1": 0.5, "dev_macro_f1": 0.6}))
    write_leaderboard([folder.results], tmp_path)
    (board,) = embedded((tmp_path / "leaderboard.html").read_text())["boards"]
    assert column(board["groups"], "dev_macro_f1 ↑ (dev rows)") == [0.6]
    assert column(board["groups"], "macro_f1 ↑ (test rows)") == [0.5]
    text = (tmp_path / "leaderboard.md").read_text()
    assert r"Ranked by dev\_macro\_f1 on dev rows" in text or "Ranked by dev_macro_f1 on dev rows" in text
    for header in ("dev_macro_f1 (dev rows)", "macro_f1 ± sd (test rows)", "95 % interval (test rows)"):
        assert f"| {header} |" in " ".join(text.split())


def test_settings_that_always_change_together_are_one_column(data: dict) -> None:
    titles = {one["title"]: one["hint"] for one in data["boards"][0]["groups"]["columns"] if one["kind"] == "setting"}
    assert set(titles) == {"dataset.shots", "model.name", "lora.r", "lora.init_lora_weights"}
    assert "training.trainer_args.learning_rate" in titles["lora.r"]


def test_a_setting_that_is_cut_is_whole_in_its_column(tmp_path: Path) -> None:
    folder = ResultsBuilder(tmp_path)
    targets = [f"model.layers.{number}.self_attn.q_proj" for number in range(9)]
    for key, own in (("a", targets), ("b", ["q_proj"])):
        written = small_config(lora={"target_modules": own})
        folder.done(key, key * 16, written, metrics({"macro_f1": 0.5}))
    table = page_data(report_of(with_statistics(build_leaderboard([folder.results]))))["boards"][0]["groups"]
    (wholes,) = [one["wholes"] for one in table["columns"] if one["title"] == "lora.target_modules"]
    (cell,) = [cell for cell in column(table, "lora.target_modules") if "…" in cell]
    assert wholes == {cell: ", ".join(targets)}


def test_columns_without_any_value_are_left_out(tmp_path: Path) -> None:
    one_seed = MadeGrid(tmp_path, models=("small",), n_seeds=1)
    board = page_data(report_of(with_statistics(build_leaderboard([one_seed.results]))))["boards"][0]
    titles = [one["title"] for one in board["groups"]["columns"]]
    assert "n" not in titles
    assert "sd" not in titles
    assert board["runs"] is None


def test_an_experiment_takes_at_most_10_kb(data: dict) -> None:
    sizes = [len(json.dumps(one)) for one in data["experiments"].values()]
    assert max(sizes) <= experiments.MOST_BYTES
    assert min(len(one["errors"]) for one in data["experiments"].values()) > 0


def test_a_page_of_200_experiments_is_below_3_mb() -> None:
    assert len(filled("{}").encode()) + experiments.MANY * experiments.MOST_BYTES < 3 << 20


def test_what_each_step_cost_takes_little_of_a_page() -> None:
    places = range(1, 501)
    points = [TrainingPoint(p, 3 / p, 3e-4 / p, 1 / p, 3000 + 1 / p, 1e9 + p) for p in places]
    assert len(data_text(experiments.step_values(experiments.thinned(points)))) < 2700


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
