"""Faults in metrics and their arguments are found without importing anything heavy."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sft.evaluation.checks import check_metrics, require_packages
from sft.evaluation.metrics import metric_registry
from sft.evaluation.metrics.entry import MetricEntry
from sft.evaluation.selection import entry_of, higher_is_better, range_of, ranking_key, step_of

HERE = Path.cwd()


@pytest.mark.parametrize(
    ("metrics", "task_type", "options", "path", "words"),
    [
        (["macrof1"], "classification", {}, "metrics", ["'macrof1'", "macro_f1"]),
        (["metor"], "generation", {}, "metrics", ["'metor'", "meteor"]),
        (["./metric"], "generation", {}, "metrics", ["'./metric'", "no such file or folder"]),
        (["/no/such/metric"], "generation", {}, "metrics", ["'/no/such/metric'", "no such file or folder"]),
        (["~/no-such-metric"], "generation", {}, "metrics", ["'~/no-such-metric'", "no such file or folder"]),
        (["bleu"], "classification", {}, "metrics", ["'bleu'", "'classification'", "accuracy"]),
        (["accuracy"], "generation", {}, "metrics", ["'accuracy'", "'generation'", "rouge1", "exact_match"]),
        (["ece", "ece"], "classification", {}, "metrics", ["two metrics", "'ece'"]),
        (["confusion_matrix", "ece"], "classification", {}, "metrics", ["rank by"]),
        (["ece"], "classification", {"ece_bin": 5}, "ece_bin", ["did you mean ece_bins?"]),
        (["ece"], "classification", {"tokenizer_nam": "x"}, "tokenizer_nam", ["did you mean tokenizer_name?"]),
        (["accuracy"], "classification", {"ece_bins": 5}, "ece_bins", ["argument of ece", "not among the metrics"]),
        (["ece"], "classification", {"ece_bins": 0}, "ece_bins", ["greater than or equal to 1", "0"]),
        (["ece"], "classification", {"ece_bins": "5"}, "ece_bins", ["integer", "'5'"]),
        (["ece"], "classification", {"ece_norm": "l3"}, "ece_norm", ["'l1', 'l2' or 'max'", "'l3'"]),
        (["meteor"], "generation", {"meteor_args": 3}, "meteor_args", ["map of arguments"]),
        (["meteor"], "generation", {"wer_args": {}}, "wer_args", ["no chosen metric takes"]),
        (["none.py:f"], "generation", {}, "metrics", ["none.py"]),
    ],
)
def test_each_fault_is_named(
    metrics: list[str], task_type: str, options: dict[str, Any], path: str, words: list[str]
) -> None:
    findings = check_metrics(metrics, task_type, options, HERE)
    assert [finding[0] for finding in findings] == [f"evaluation.{path}"]
    for word in words:
        assert word in findings[0][1]


def test_what_is_right_gives_no_finding(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("import missing_package\n\ndef mine(predictions, references):\n    return 1\n")
    metrics = ["own.py:mine", "bleu", "meteor", "someone/judge", "rougeL"]
    options = {"bleu_tokenize": "zh", "meteor_args": {"alpha": 0.5}, "rouge_stemmer": True}
    assert check_metrics(metrics, "generation", options, tmp_path) == []
    assert check_metrics(["macro_f1", "ece"], "classification", {"ece_bins": 15, "ece_norm": "l2"}, tmp_path) == []


def test_own_code_is_parsed_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("raise SystemExit\ndef mean_length(p, r): ...\n")
    assert check_metrics(["own.py:mean_length"], "generation", {}, tmp_path) == []
    findings = check_metrics(["own.py:mean_lenght"], "generation", {}, tmp_path)
    assert "did you mean mean_length?" in findings[0][1]
    (tmp_path / "own.py").write_text("def broken(:\n")
    assert "is not Python" in check_metrics(["own.py:broken"], "generation", {}, tmp_path)[0][1]


def test_packages_that_are_there_are_not_asked_for() -> None:
    require_packages(["accuracy", "bleu", "meteor"])


@pytest.mark.parametrize("name", metric_registry)
def test_entries_keep_their_contract(name: str) -> None:
    entry = entry_of(name)
    assert isinstance(entry, MetricEntry)
    assert name in entry.results or not entry.results
    assert set(entry.results) <= set(metric_registry)
    assert set(entry.paths) <= set(entry.options.model_fields)
    entry.options()
    for field in entry.options.model_fields.values():
        assert field.description


def test_options_of_different_metrics_have_different_names() -> None:
    entries = {entry_of(name) for name in metric_registry}
    names = [key for entry in entries for key in entry.options.model_fields]
    assert len(names) == len(set(names))


def test_directions() -> None:
    assert higher_is_better("accuracy")
    assert higher_is_better("ece") is False
    assert higher_is_better("wer") is False
    assert higher_is_better("someone/judge")
    assert higher_is_better("own.py:f") is None


def test_ranking_key_is_the_metric_or_its_first_part() -> None:
    assert ranking_key("bleu", {"rouge1": 1, "bleu": 2}) == "bleu"
    assert ranking_key("own.py:f", {"f.b": 1, "f.a": 2}) == "f.b"
    assert ranking_key("bleu", {"rouge1": 1}) is None


def test_checks_import_nothing_heavy() -> None:
    program = """
import sys
for name in ("torch", "evaluate", "datasets", "pandas", "transformers", "sklearn", "sacrebleu", "rouge_score"):
    sys.modules[name] = None
from pathlib import Path
from sft.evaluation.checks import check_metrics
from sft.evaluation.metrics import metric_registry
from sft.evaluation.selection import entry_of
for name in metric_registry:
    entry_of(name)
assert check_metrics(["macro_f1", "ece"], "classification", {"ece_bins": 4}, Path()) == []
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", metric_registry)
def test_every_range_holds_what_the_metric_gives_in_its_direction(name: str) -> None:
    entry = entry_of(name)
    low, high = entry.range
    assert high is None or low < high
    assert not entry.in_steps or high is not None


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("macro_f1", (0, 1)),
        ("dev_mcc", (-1, 1)),
        ("uncalibrated_brier", (0, 2)),
        ("dev_uncalibrated_log_loss", (0, None)),
        ("bleu", (0, 100)),
        ("dev_label_mass", (0, 1)),
        ("meteor", None),
        ("confused", None),
    ],
)
def test_a_range_is_that_of_the_metric_whatever_stands_before_its_name(result: str, expected: Any) -> None:
    assert range_of(result, {}) == expected


def test_the_range_of_a_metric_that_is_not_ours_is_what_its_run_wrote() -> None:
    details = {"range": {"judge.first": [1.0, 5.0], "accuracy": None, "dev_score": [0.0, None]}}
    assert range_of("dev_judge.first", details) == (1, 5)
    assert range_of("accuracy", details) is None, "an own metric may be called like one of ours"
    assert range_of("dev_score", details) == (0, None)
    assert step_of("accuracy", details, 10) == 0


def test_what_counts_rows_moves_in_steps() -> None:
    assert step_of("dev_accuracy", {}, 200) == 1 / 200
    assert step_of("uncalibrated_mcc", {}, 200) == 2 / 200
    assert [step_of(name, {}, 200) for name in ("log_loss", "ece", "rougeL", "bleu", "label_mass")] == [0] * 5
