"""Metrics that cannot be loaded are found before anything starts."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sft.evaluation.metrics import hub
from sft.evaluation.metrics.hub import try_hub_metric
from sft.exceptions import MachineError
from sft.experiments.planning.checks import metrics
from sft.experiments.planning.checks.metrics import require_loadable

MODULE = """
import datasets
import evaluate

class Mine(evaluate.Metric):
    def _info(self):
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": text})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _download_and_prepare(self, manager):
        raise ConnectionError("no checkpoint here")

    def _compute(self, predictions, references):
        return {"mine": 1.0}
"""


def _metric(folder: Path, text: str) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "mine.py").write_text(text)


def test_what_needs_nothing_starts_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metrics, "answer_of", None)
    require_loadable(["macro_f1", "bleu", "own.py:mine"], {}, tmp_path)


@pytest.mark.slow
def test_a_module_whose_data_cannot_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    _metric(tmp_path, MODULE)
    with pytest.raises(MachineError, match=r"'\./mine' .*no checkpoint here"):
        require_loadable(["./mine"], {}, tmp_path)


@pytest.mark.slow
def test_a_module_that_loads_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    _metric(tmp_path, MODULE.replace("raise ConnectionError", "str"))
    require_loadable(["./mine"], {}, tmp_path)


def _computing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def compute(**_: Any) -> None:
        raise error

    monkeypatch.setattr(hub, "_load", lambda _name, _folder: SimpleNamespace(compute=compute))


def test_data_that_only_computing_asks_for_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _computing(monkeypatch, LookupError("\n***\n  Resource \x1b[93mwordnet\x1b[0m not found.\n  Please use"))
    with pytest.raises(MachineError, match=r"python -m nltk\.downloader wordnet"):
        try_hub_metric("meteor", {}, tmp_path)


def test_what_a_metric_says_of_the_one_text_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _computing(monkeypatch, ValueError("needs two rows"))
    try_hub_metric("meteor", {}, tmp_path)


def test_the_encoder_of_bertscore_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.evaluation.metrics.bertscore.module import BertScore

    utils = SimpleNamespace(lang2model={"en": "no/such-encoder"})
    monkeypatch.setitem(sys.modules, "bert_score", SimpleNamespace(utils=utils))
    monkeypatch.setitem(sys.modules, "bert_score.utils", utils)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MachineError, match="no/such-encoder"):
        BertScore.require()
