"""A plug-in from outside: an initialiser and a metric of the user's own, in a file beside the grid."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.errors import UserError

OWN = """
import torch

CALLS = []


def halves(layer, rank, dtype=torch.bfloat16):
    CALLS.append((tuple(layer.weight.shape), rank))
    out, size = layer.weight.shape
    return {"lora_A": torch.full((rank, size), 0.5, dtype=dtype), "lora_B": torch.zeros(out, rank, dtype=dtype)}


def share_of_good(predictions, references):
    return sum(text == "good" for text in predictions) / len(predictions)


def distance(predictions, references):
    return {"wrong": sum(a != b for a, b in zip(predictions, references)), "rows": len(references)}


distance.higher_is_better = False
"""
PACKAGED = "def longest(predictions, references):\n    return float(max(map(len, predictions)))\n"
Raw = Callable[..., dict[str, Any]]


@pytest.fixture
def own(project: Path) -> Path:
    path = project / "plugins" / "mine.py"
    path.parent.mkdir()
    path.write_text(OWN)
    return path


def test_an_own_metric_is_checked_without_being_run_and_is_in_the_results(
    own: Path,
    project: Path,
    raw: Raw,
    zero_shot: dict[str, Any],
    plan_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sft.evaluation.stage import run
    from sft.pipeline.jobs import ExperimentFolders, jobs_of
    from sft.runs.atomic import write_json
    from sft.runs.files import ResultsFolder
    from sft.runs.progress import Progress

    (project / "site").mkdir()
    (project / "site" / "metrics_of_mine.py").write_text(PACKAGED)
    monkeypatch.syspath_prepend(str(project / "site"))
    names = ["plugins/mine.py:share_of_good", "plugins/mine.py:distance", "metrics_of_mine:longest", "accuracy"]
    planned = plan_of(project, a=raw(zero_shot, {"evaluation": {"metrics": names}})).experiments[0]
    results = ResultsFolder(project / "results")
    infer, evaluate = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")
    infer.folder.path.mkdir(parents=True)
    scores = np.tile([-3.0, -1.0, -2.0], (9, 1))
    places = {"splits": np.array(["test"] * 9), "source_index": np.arange(9)}
    np.savez(infer.folder.scores, **places, answer_logprobs=scores, stop_logprobs=scores * 0)
    inference = {
        "examples": {"test": [[]] * 9},
        "n_truncated": 0,
        "n_special_in_text": 0,
        "prompt_tokens": {},
        "batch_size": 8,
        "dtype": "float32",
        "total_parameters": 1,
        "peak_rss_bytes": 1,
        "environment": {"peak_gpu_bytes": None},
        "stage_seconds": 0.1,
    }
    write_json(infer.folder.inference, inference)
    evaluate.folder.path.mkdir(parents=True)
    run(evaluate.folder, evaluate.record, Progress(evaluate.folder.progress, "evaluate"), time.perf_counter())
    found = json.loads(evaluate.folder.metrics.read_text())["results"]
    assert found["share_of_good"] == 1
    assert (found["distance.wrong"], found["distance.rows"]) == (6, 9)
    assert found["longest"] == 4
    assert found["accuracy"] == pytest.approx(1 / 3)


def test_an_own_initialiser_starts_the_adapter(own: Path, project: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from sft.adapters.attach import attach_adapter

    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=20))
    ids = torch.arange(10).reshape(1, 10)
    before = model(ids).logits
    options = {"r": 2, "init_lora_weights": "plugins/mine.py:halves"}
    adapted = attach_adapter(model, "lora", options, folder=project, seed=1)
    factors = {name: value for name, value in adapted.named_parameters() if "lora_A" in name}
    assert len(factors) == 7
    assert all(torch.equal(value, torch.full_like(value, 0.5)) for value in factors.values())
    assert torch.equal(adapted(ids).logits, before)


@pytest.mark.parametrize(
    ("patch", "part"),
    [
        ({"lora": {"init_lora_weights": "plugins/mine.py:nothing"}}, "nothing"),
        ({"lora": {"init_lora_weights": "plugins/other.py:halves"}}, "other.py"),
        ({"evaluation": {"metrics": ["plugins/mine.py:nothing"]}}, "nothing"),
        ({"evaluation": {"metrics": ["no_such_package_of_mine:f"]}}, "no_such_package_of_mine"),
    ],
)
def test_what_is_not_there_is_found_by_the_plan(
    own: Path, project: Path, raw: Raw, plan_of: Callable[..., Any], patch: dict[str, Any], part: str
) -> None:
    with pytest.raises(UserError, match=part):
        plan_of(project, a=raw(patch))


def test_own_code_is_never_run_by_the_plan(own: Path, project: Path, raw: Raw, plan_of: Callable[..., Any]) -> None:
    own.write_text(OWN + "\nraise RuntimeError('the plan imported this')\n")
    metrics = {"evaluation": {"metrics": ["plugins/mine.py:distance"]}}
    init = {"lora": {"init_lora_weights": "plugins/mine.py:halves"}}
    assert plan_of(project, a=raw(metrics, init)).experiments
