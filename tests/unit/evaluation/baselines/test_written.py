"""Baselines of texts: pieces of the input, measured as generated texts are, on boards of their own task types."""

import json
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.evaluation.baselines.stage import run
from sft.evaluation.baselines.written import METRICS, lead_sentence
from sft.evaluation.computation import MetricInputs, compute_metrics
from sft.evaluation.row_metrics import row_sums
from sft.evaluation.rows import read_rows
from sft.pipeline.experiment import Experiment, Fingerprints
from sft.pipeline.jobs import baseline_jobs
from sft.pipeline.keys import StageKeys, stage_keys
from sft.reporting.files import write_leaderboard
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder
from sft.runs.progress import Progress
from sft.runs.records import StatusRecord, write_record
from sft.tasks.inputs import load_inputs, rows_sha256
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

TEXTS = ["A storm hit the coast. Nobody was hurt.", "Dr. J. Low won the prize! She thanked all.", "No end"]
SUMMARIES = ["A storm hit the coast.", "Low won a prize.", "No end"]


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("One ends. Two follows.", "One ends."),
        ("  Begins late? Yes.", "Begins late?"),
        ('He said "no." Then he left.', 'He said "no."'),
        ("Dr. Low met J. Stone. They spoke.", "Dr. Low met J. Stone."),
        ("It rose 3.5 percent. Again.", "It rose 3.5 percent."),
        ("A title\nand a body.", "A title"),
        ("雨が降った。風も吹いた。", "雨が降った。"),
        ("no mark at all", "no mark at all"),
        ("", ""),
    ],
)
def test_the_lead_sentence_is_the_first(text: str, lead: str) -> None:
    assert lead_sentence(text) == lead


class TextGrid:
    """Summaries to be written of texts, with a baseline job beside them."""

    def __init__(self, path: Path) -> None:
        self.data = path / "data"
        self.data.mkdir()
        self.folder = ResultsBuilder(path / "results")
        lines = [{"text": text, "summary": own} for text, own in zip(TEXTS, SUMMARIES, strict=True)]
        for split in ("train", "test"):
            (self.data / f"{split}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def keys(self, task_type: str, **evaluation: Any) -> tuple[Experiment, StageKeys]:
        own = config(
            dataset={"path": str(self.data), "task_type": task_type, "shots": 0},
            prompting={"output_column": "summary"},
            evaluation={"metrics": None, **evaluation},
            lora=None,
            training=None,
        )
        experiment = Experiment("a", ExperimentConfig.model_validate(own), self.data, Fingerprints({}, model="m"))
        return experiment, stage_keys(experiment)

    def measured(self, task_type: str, **evaluation: Any) -> JobFolder:
        experiment, keys = self.keys(task_type, **evaluation)
        (job,) = baseline_jobs([(experiment, keys)], self.folder.results)
        write_record(job.folder.job, job.record)
        run(job.folder, job.record, Progress(job.folder.progress, "baseline"), 0.0)
        write_record(job.folder.status, StatusRecord("done", "baseline", attempt=1))
        return job.folder


@pytest.fixture
def grid(tmp_path: Path) -> TextGrid:
    return TextGrid(tmp_path)


@pytest.mark.parametrize(
    ("task_type", "names"), [("summarization", ["lead sentence", "copy"]), ("translation", ["copy"])]
)
def test_numbers_are_those_of_generated_texts(grid: TextGrid, task_type: str, names: list[str]) -> None:
    job = grid.measured(task_type)
    found = json.loads(job.baselines.read_text())["baselines"]
    assert list(found) == names
    pieces = {"lead sentence": [lead_sentence(text) for text in TEXTS], "copy": TEXTS}
    for name in names:
        wanted = compute_metrics(METRICS, task_type, MetricInputs(SUMMARIES, pieces[name]), {}, Path.cwd()).results
        assert found[name]["results"] == pytest.approx(wanted)
        rows = read_rows(job.baseline_rows(name))
        assert rows is not None
        for metric in METRICS:
            sums = row_sums(metric, rows, {"config": {}})
            assert sums is not None
            assert sums.whole == pytest.approx(wanted[metric]), metric


def test_arguments_of_metrics_reach_the_numbers_and_the_key(grid: TextGrid) -> None:
    plain, marked = (grid.keys("summarization", **extra)[1].baseline for extra in ({}, {"bleu_lowercase": True}))
    assert plain != marked
    assert plain == grid.keys("summarization", metrics=["rouge1"])[1].baseline
    folder = grid.measured("summarization", metrics=["exact_match"], exact_match_ignore_punctuation=True)
    found = json.loads(folder.baselines.read_text())["baselines"]
    assert found["lead sentence"]["results"]["exact_match"] == pytest.approx(2 / 3)


def test_a_generation_has_no_baseline(grid: TextGrid) -> None:
    assert grid.keys("generation")[1].baseline is None


def test_they_stand_below_the_board(grid: TextGrid) -> None:
    experiment, keys = grid.keys("summarization")
    job = grid.measured("summarization")
    inputs = load_inputs(experiment.config, grid.data, {})
    data = {"train_indices": [], "test_rows_sha256": rows_sha256(inputs.selection.test), "dev_rows_sha256": None}
    own = experiment.config.resolved()
    record = metrics({"rougeLsum": 0.9}, data=data)
    record["details"] = {"higher_is_better": {"rougeLsum": True}}
    done = grid.folder.done("a", keys.experiment_id, own, record)
    known = {"schema": 1, "id": keys.experiment_id, "names": ["a"], "config": own, "config_folder": str(grid.data)}
    prints = {"data": {}, "revisions": {}}
    write_json(done.config, known | {"stages": {"baseline": keys.baseline}, "fingerprints": prints})
    write_leaderboard([grid.folder.results], grid.folder.results.path)
    board = json.loads(grid.folder.results.leaderboard("json").read_text())
    assert [item["name"] for item in board["baselines"]] == ["lead sentence", "copy"]
    measured = json.loads(job.baselines.read_text())["baselines"]
    assert board["baselines"][0]["results"]["rougeLsum"] == measured["lead sentence"]["results"]["rougeLsum"]
