"""Own code and metrics of the hub, and that `evaluate` is imported without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from sft.evaluation.computation import MetricInputs, compute_metrics
from sft.evaluation.selection import ranking_key
from sft.exceptions import MachineError, UserError

OWN = """
def shorter(predictions, references):
    return sum(len(a) < len(b) for a, b in zip(predictions, references)) / len(predictions)
shorter.higher_is_better = False
shorter.range = (0, 1)

def pair(predictions, references):
    return {"first": 1, "second": float("nan")}

def wordy(predictions, references):
    return "much"

def outside(predictions, references):
    return 3
outside.range = (0, 1)

def upside_down(predictions, references):
    return 3
upside_down.range = (5, 1)
"""

MODULE = '''
import datasets
import evaluate


class Longest(evaluate.Metric):
    """Length of the longest prediction."""

    def _info(self):
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="",
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions, references, times=1):
        return {"longest": times * max(map(len, predictions))}
'''

GIVEN = MetricInputs(["abc", "de"], ["a", "def"])


def test_own_metric_gives_a_number_or_several_and_its_direction(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    result = compute_metrics(["own.py:shorter", "own.py:pair"], "generation", GIVEN, {}, tmp_path)
    assert result.results == {"shorter": 0.5, "pair.first": 1.0, "pair.second": None}
    assert result.details["higher_is_better"] == {"shorter": False, "pair.first": True, "pair.second": True}
    assert result.details["range"] == {"shorter": (0, 1), "pair.first": None, "pair.second": None}
    assert ranking_key("own.py:pair", result.results) == "pair.first"


def test_own_metric_sees_gold_values_in_classification(tmp_path: Path) -> None:
    (tmp_path / "seen.py").write_text(
        "def same(p, r):\n    return float(p == ['no', 'yes'] and r == ['yes', 'yes'])\n"
    )
    given = MetricInputs(["yes", "yes"], ["no", "yes"], ("yes", "no"))
    assert compute_metrics(["seen.py:same"], "classification", given, {}, tmp_path).results == {"same": 1.0}


def test_own_metric_that_gives_no_number_is_told(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(UserError, match=r"'own\.py:wordy' returned 'much'; it must return a number"):
        compute_metrics(["own.py:wordy"], "generation", GIVEN, {}, tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("outside", r"'own\.py:outside' returned 3, outside of its range \(0, 1\)"),
        ("upside_down", r"'own\.py:upside_down' has the range \(5, 1\); write \(least, largest\)"),
    ],
)
def test_the_range_of_an_own_metric_is_held(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(UserError, match=told):
        compute_metrics([f"own.py:{name}"], "generation", GIVEN, {}, tmp_path)


def test_metrics_of_ours_write_no_range(tmp_path: Path) -> None:
    assert "range" not in compute_metrics(["exact_match"], "generation", GIVEN, {}, tmp_path).details


def test_a_local_evaluate_module_and_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.evaluation.metrics.evaluate_library import evaluate

    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path / "cache")
    folder = tmp_path / "metrics" / "longest"
    folder.mkdir(parents=True)
    (folder / "longest.py").write_text(MODULE)
    options = {"longest_args": {"times": 2}}
    result = compute_metrics(["./metrics/longest"], "generation", GIVEN, options, tmp_path)
    assert result.results == {"longest": 6.0}


def test_an_unreachable_hub_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.evaluation.metrics.evaluate_library import evaluate

    def load(name: str) -> None:
        raise FileNotFoundError(f"Couldn't find a module script at\n/{name}")

    monkeypatch.setattr(evaluate, "load", load)
    with pytest.raises(MachineError, match="'meteor' lives on the Hugging Face hub") as caught:
        compute_metrics(["meteor"], "generation", GIVEN, {}, tmp_path)
    assert caught.value.kind == "network"
    assert "\n" not in str(caught.value)


def test_a_hub_metric_whose_package_is_missing_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.evaluation.metrics.evaluate_library import evaluate

    def load(name: str) -> None:
        raise ImportError("To be able to use evaluate-metric/wer, you need to install: jiwer")

    monkeypatch.setattr(evaluate, "load", load)
    with pytest.raises(MachineError, match="install: jiwer"):
        compute_metrics(["wer"], "generation", GIVEN, {}, tmp_path)


def test_metrics_are_computed_without_torch() -> None:
    program = """
import sys
from pathlib import Path
from sft.evaluation.computation import MetricInputs, compute_metrics
import numpy as np
given = MetricInputs(["a"], ["a"], ("a", "b"), np.array([[0.6, 0.4]]))
names = ["macro_f1", "accuracy", "weighted_f1", "mcc", "log_loss", "ece"]
print(compute_metrics(names, "classification", given, {}, Path()).results["macro_f1"])
names = ["rougeL", "rouge1", "rouge2", "bleu", "chrf", "exact_match"]
print(compute_metrics(names, "generation", MetricInputs(["a b"], ["a"]), {}, Path()).results["rouge1"])
print("torch" in sys.modules, "transformers" in sys.modules)
import transformers
print(transformers.__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.5", "0.6666666666666666", "False", "False", "transformers"]
