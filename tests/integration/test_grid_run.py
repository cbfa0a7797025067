"""One real grid: zero-shot, in-context, LoRA, a second name of one of them, and one that breaks at run time."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NAMES = ("zero", "zero-again", "icl", "lora", "broken")
REASON = "are too long after all cuts"


class GridRuns:
    """The place of the grid, and how its two runs ended."""

    def __init__(self, place: Any) -> None:
        self.place = place
        grid = {
            "configs": {
                "zero": place.classification(),
                "zero-again": place.classification(),
                "icl": place.classification(
                    dataset={"shots": 4}, adapter={"method": "none"}, inference={"icl_examples": 1}
                ),
                "lora": place.trained(),
                "broken": place.classification(inference={"max_seq_length": 5}),
            }
        }
        (place.folder / "grid.json").write_text(json.dumps(grid), "utf-8")
        self.first = place.sft("run-experiments", "grid.json")
        self.board = place.json("results", "leaderboard.json")
        self.events = place.events()
        self.written = self._written_at()
        self.again = place.sft("run-experiments", "grid.json")
        self.events_again = place.events()[len(self.events) :]
        self.second = place.sft("run-experiments", "grid.json", "--retry-failed")
        self.new_events = place.events()[len(self.events) :]

    def _written_at(self) -> dict[Path, int]:
        folder = self.place.folder / "results"
        return {path: path.stat().st_mtime_ns for path in folder.rglob("manifest.json")}

    @property
    def unchanged(self) -> bool:
        """Whether the later runs left every finished stage as it was."""
        return self._written_at() == self.written

    def row(self, name: str) -> Any:
        """The leaderboard's row of a name."""
        (row,) = (row for row in self.board["rows"] if row["name"] == name)
        return row

    def stage(self, name: str, stage: str) -> Path:
        """The folder of a stage of an experiment."""
        key = self._read(name, "config.json")["stages"][stage]
        return Path(self.place.folder, "results", "stages", stage, key)

    def _read(self, name: str, file: str) -> Any:
        return json.loads((self.place.experiment(name=f"{name}-") / file).read_text("utf-8"))


@pytest.fixture(scope="module")
def runs(make_place: Callable[[str], Any]) -> GridRuns:
    return GridRuns(make_place("grid", forks=False))


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_the_others_finish_and_the_exit_code_is_1(runs: GridRuns):
    states = {row["name"]: row["state"] for row in runs.board["rows"]}
    assert states == {"zero": "done", "zero-again": "done", "icl": "done", "lora": "done", "broken": "failed"}
    assert runs.first.returncode == 1, runs.first.stderr


def test_the_failure_stands_in_the_board_with_its_reason(runs: GridRuns):
    error = runs.row("broken")["error"]
    assert (error["kind"], error["stage"]) == ("data", "infer")
    assert REASON in error["message"]
    assert "test rows " in error["message"]
    assert runs.row("broken")["results"] == {}
    assert REASON in (runs.place.folder / "results" / "leaderboard.md").read_text("utf-8")


def test_the_closing_summary_repeats_the_last_line_of_the_log(runs: GridRuns):
    closing = runs.first.stderr.splitlines()
    (log,) = (runs.stage("broken", "infer") / "attempts" / "01").glob("stderr.log")
    last = log.read_text("utf-8").strip().splitlines()[-1]
    start = next(index for index, line in enumerate(closing) if line.startswith("FAILED broken"))
    assert f"last line: {last}" in closing[start + 1]
    assert closing[start + 2].startswith("8 stages run in ")
    assert closing[start + 3] == "finished: 4 done, 1 failed"
    again = closing[start].rpartition("Again: ")[2].split()
    assert again[:3] == ["python", "-m", "sft.worker"]
    assert (runs.place.folder / again[3]).resolve() == runs.stage("broken", "infer").resolve()
    assert closing[start + 4] == "To run again what failed: sft run-experiments grid.json --retry-failed"


def test_the_same_command_again_leaves_what_would_fail_again(runs: GridRuns):
    assert (runs.again.returncode, runs.events_again) == (1, [])
    assert "waiting for --retry-failed 1" in runs.again.stderr


def test_the_second_run_starts_only_what_failed(runs: GridRuns):
    assert runs.second.returncode == 1
    assert [event["job"] for event in runs.new_events if event["state"] == "running"] == [
        f"stages/infer/{runs.stage('broken', 'infer').name}"
    ]
    assert runs.unchanged
    assert (runs.stage("broken", "infer") / "attempts" / "02" / "stderr.log").is_file()


def test_equal_experiments_share_an_id_and_run_once(runs: GridRuns):
    first, second = runs.row("zero"), runs.row("zero-again")
    assert first["id"] == second["id"]
    assert first["results"] == second["results"]
    assert runs.place.metrics(name="zero-")["name"] == "zero"
    assert runs._read("zero", "config.json")["names"] == ["zero", "zero-again"]
    started = [event["job"] for event in runs.events if event["state"] == "running"]
    assert len(started) == len(set(started)) == 10
    assert started[0].split("/")[1] == "baseline"
    assert [job.split("/")[1] for job in started].count("baseline") == 2
    assert [job.split("/")[1] for job in started].count("infer") == 4
    assert len(list((runs.place.folder / "results" / "experiments").iterdir())) == 4


def test_baselines_stand_beside_the_experiments_and_keep_their_rows(runs: GridRuns):
    shown = {(one["name"], one["shots"]) for one in runs.board["baselines"]}
    assert shown == {("majority class", 4), ("TF-IDF + logistic regression", 4)}
    assert runs.board["baselines_left_out"] == []
    folder = runs.stage("lora", "baseline")
    assert {path.name for path in (folder / "result").iterdir()} == {
        *("baselines.json", "rows.majority-class.npz", "rows.TF-IDF-logistic-regression.npz")
    }
    assert folder == runs.stage("icl", "baseline")
    assert folder != runs.stage("zero", "baseline") == runs.stage("broken", "baseline")


def test_every_finished_job_has_its_records(runs: GridRuns):
    folders = [*(runs.place.folder / "results" / "stages").glob("*/*"), runs.place.experiment(name="lora-")]
    for folder in folders:
        status = read(folder / "status.json")
        if status["state"] == "failed":
            assert not (folder / "manifest.json").exists()
            assert read(folder / "attempts" / "01" / "error.json")["kind"] == "data"
            continue
        assert (status["state"], status["attempt"], status["error"]) == ("done", 1, None)
        assert status["seconds"] > 0
        files = read(folder / "manifest.json")["files"]
        assert files
        assert all((folder / name).stat().st_size == entry["size"] for name, entry in files.items())
        assert {"job.json", "progress.json", "attempts"} <= {path.name for path in folder.iterdir()}
        progress = read(folder / "progress.json")
        assert progress["step"] == progress["total"] > 0


def test_metrics_json(runs: GridRuns):
    metrics = runs.place.metrics(name="lora-")
    assert set(metrics) == {
        *("schema", "id", "name", "seed", "results", "details", "data", "config", "timing", "resources"),
        "environment",
    }
    assert (metrics["id"], metrics["name"], metrics["seed"]) == (runs.row("lora")["id"], "lora", 13)
    assert list(metrics["results"]) == [
        *("macro_f1", "accuracy", "weighted_f1", "mcc", "log_loss", "ece"),
        "label_mass",
    ]
    assert all(isinstance(value, float) for value in metrics["results"].values())
    assert set(metrics["timing"]) == {"train", "infer", "evaluate"}
    resources = metrics["resources"]
    assert resources["peak_rss_bytes"] > 1e8
    assert resources["peak_gpu_bytes"] is None
    assert 0 < resources["trainable_parameters"] < resources["total_parameters"]
    assert set(metrics["environment"]) >= {"versions", "device", "git"}
    data = metrics["data"]
    assert len(data["train_indices"]) == data["n_train"] == 12
    assert len(data["test_indices"]) == data["n_test"] == 12
    assert data["dev_indices"] is data["dev_rows_sha256"] is None
    assert (data["icl_indices"], data["n_leaked"], data["n_special_in_text"]) == ([], 0, 0)
    assert len(data["test_rows_sha256"]) == 64
    assert set(data["prompt_tokens"]) == {"min", "mean", "max"}
    assert len(runs.place.metrics(name="icl-")["data"]["icl_indices"]) == 3


def test_shots_and_test_rows_are_drawn_by_label(runs: GridRuns):
    data = runs.place.metrics(name="lora-")["data"]
    for indices in (data["train_indices"], data["test_indices"]):
        assert sorted(index % 3 for index in indices) == [0] * 4 + [1] * 4 + [2] * 4
    icl = runs.place.metrics(name="icl-")["data"]
    assert set(icl["icl_indices"]) <= set(icl["train_indices"]) == set(data["train_indices"])
    assert icl["test_indices"] == data["test_indices"]
    assert "train" not in runs.place.metrics(name="icl-")["timing"]


def test_predictions_and_metrics_belong_together(runs: GridRuns):
    lines = runs.place.lines(name="lora-")
    data = runs.place.metrics(name="lora-")["data"]
    assert [line["index"] for line in lines] == list(range(12))
    assert [line["source_index"] for line in lines] == data["test_indices"] == [line["ticket"] for line in lines]
    assert list(lines[0]) == [
        *("text", "label", "ticket", "predictions", "index", "source_index", "label_logprobs", "probabilities"),
        "label_mass",
    ]
    for line in lines:
        assert list(line["label_logprobs"]) == ["billing", "technical support", "other"]
        assert sum(line["probabilities"].values()) == pytest.approx(1)
        assert line["predictions"] == max(line["probabilities"], key=line["probabilities"].get)
        weights = {label: math.exp(value) for label, value in line["label_logprobs"].items()}
        expected = {label: weight / sum(weights.values()) for label, weight in weights.items()}
        assert line["probabilities"] == pytest.approx(expected, abs=1e-9)
    right = sum(line["predictions"] == line["label"] for line in lines)
    assert runs.place.metrics(name="lora-")["results"]["accuracy"] == pytest.approx(right / 12)


def test_the_tsv_holds_the_same(runs: GridRuns):
    with (runs.place.experiment(name="lora-") / "result" / "predictions.tsv").open(
        encoding="utf-8", newline=""
    ) as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    lines = runs.place.lines(name="lora-")
    for row, line in zip(rows, lines, strict=True):
        assert (row["text"], row["predictions"]) == (line["text"], line["predictions"])
        assert json.loads(row["probabilities"]) == line["probabilities"]


def test_the_adapter_changes_the_scores(runs: GridRuns):
    zero, lora = runs.place.lines(name="zero-"), runs.place.lines(name="lora-")
    assert [line["text"] for line in zero] == [line["text"] for line in lora]
    assert all(first["label_logprobs"] != second["label_logprobs"] for first, second in zip(zero, lora, strict=True))


def test_training_json_and_the_adapter(runs: GridRuns):
    folder = runs.stage("lora", "train")
    training = read(folder / "training.json")
    curve = training["loss_curve"]
    assert set(curve[0]) == {"step", "loss", "learning_rate", "grad_norm", "epoch"}
    assert curve[-1]["step"] == training["n_steps"] == 4
    assert (training["n_rows"], training["effective_batch_size"]) == (12, 6)
    assert 12 < training["n_trained_tokens"] < training["n_tokens"]
    assert len(training["train_indices"]) == 12
    assert {path.name for path in (folder / "adapter").iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert not (folder / "work").exists()


def test_sample_json_shows_rendered_prompts(runs: GridRuns):
    prompts = read(runs.stage("icl", "infer") / "sample.json")["prompts"]
    assert len(prompts) == 3
    text = prompts[0]["text"]
    assert text.startswith(
        "<|im_start|>system\nWhich team answers this? Choose one of: billing, technical support, other."
    )
    assert text.count("<|im_start|>user") == 4
    assert text.endswith("<|im_start|>assistant\n")


def test_leaderboard_rows(runs: GridRuns):
    assert [row["name"] for row in runs.board["rows"]][-1] == "broken"
    row = runs.row("lora")
    assert set(row) == {
        *("name", "id", "state", "seed", "board", "settings", "no_effect", "results", "timing", "resources", "error")
    }
    assert row["settings"]["lora.r"] == 4
    assert row["settings"]["training.trainer_args.learning_rate"] == 0.01
    assert row["results"] == runs.place.metrics(name="lora-")["results"]
    boards = {row["board"] for row in runs.board["rows"] if row["state"] == "done"}
    assert len(boards) == 1
    ranked = [row["results"]["macro_f1"] for row in runs.board["rows"] if row["state"] == "done"]
    assert ranked == sorted(ranked, reverse=True)
    table = (runs.place.folder / "results" / "leaderboard.md").read_text("utf-8")
    assert all(name in table and name in runs.first.stdout for name in NAMES)
    assert "results/leaderboard.md" in runs.first.stdout


def test_a_second_plan_shows_what_is_done(runs: GridRuns):
    done = runs.place.sft("plan", "grid.json")
    assert done.returncode == 0
    assert "done" in done.stdout
