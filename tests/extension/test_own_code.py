"""A plug-in from outside: an initialiser, a metric and a calibrator of the user's own, in a file beside the grid."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sft.exceptions import UserError

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
INFERENCE = {
    "n_truncated": 0,
    "n_special_in_text": 0,
    "prompt_tokens": {},
    "batch_size": 8,
    "batch_tokens": 512,
    "dtype": "float32",
    "total_parameters": 1,
    "peak_rss_bytes": 1,
    "environment": {"peak_gpu_bytes": None},
    "stage_seconds": 0.1,
}
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
    tokens = np.ones(3, dtype=np.int64)
    sums = {"answer_logprobs": scores, "stop_logprobs": scores * 0}
    np.savez(infer.folder.scores, **places, **sums, answer_tokens=tokens, stop_tokens=tokens)
    write_json(infer.folder.inference, INFERENCE | {"examples": {"test": [[]] * 9}})
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


LOOKING = """
import torch
from torch import nn

from sft.initialization.factors import needs


@needs("activations")
def strongest_inputs(layer, rank, dtype, activations):
    strongest = activations.diagonal().argsort(descending=True)[:rank]
    chosen = torch.eye(len(activations), dtype=dtype, device=activations.device)[strongest]
    return {"lora_A": chosen, "lora_B": chosen.new_zeros(layer.out_features, rank)}


@needs("gradients")
def steepest(layer, rank, dtype, gradients):
    left, values, right = torch.linalg.svd(gradients, full_matrices=False)
    return {"lora_A": right[:rank].to(dtype), "lora_B": (left * values)[:, :rank].to(dtype)}
"""


@pytest.mark.parametrize("name", ["strongest_inputs", "steepest"])
def test_an_own_initialiser_looks_at_the_training_rows(name: str, project: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from sft.adapters.attach import attach_adapter
    from sft.prompts.train_row import TrainRow

    (project / "looking.py").write_text(LOOKING)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=20))
    ids, embedding = torch.arange(10).reshape(1, 10), model.get_input_embeddings().weight
    with torch.no_grad():
        embedding[:, 3] = 5  # what every token has much of
    before = model(ids).logits
    options = {"r": 2, "init_lora_weights": f"looking.py:{name}"}
    rows = [TrainRow((1, 2, 3, 4), (-100, -100, 3, 4)), TrainRow((5, 6, 7), (-100, 6, 7))]
    adapted = attach_adapter(model, "lora", options, folder=project, seed=1, rows=rows)
    query = adapted.base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"].weight
    if name == "strongest_inputs":
        assert torch.equal(query[0], torch.eye(8)[3])
    assert torch.allclose(adapted(ids).logits, before, atol=1e-5)
    with pytest.raises(UserError, match="looks at training rows, and there are none"):
        attach_adapter(LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=20)), "lora", options, project, 1)


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


CALIBRATOR = """
import numpy as np

row_sets = ["train:4", "content_free:empty:1"]


def towards_good(scores, row_sets, options):
    assert row_sets["train:4"].scores.shape == (4, 3) and row_sets["train:4"].gold.shape == (4,)
    assert row_sets["content_free:empty:1"].gold is None
    return scores - row_sets["content_free:empty:1"].scores[0] + options["by"] * np.array([0, 1, 0])


towards_good.uses_evaluated_rows = False
"""
NAMED = {"calibration_fn": "plugins/calibrators.py:towards_good", "by": 5.0}


@pytest.fixture
def own_calibrator(project: Path) -> Path:
    path = project / "plugins" / "calibrators.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(CALIBRATOR)
    return path


def test_an_own_calibrator_gets_its_row_sets_and_decides(
    own_calibrator: Path, project: Path, raw: Raw, zero_shot: dict[str, Any], plan_of: Callable[..., Any]
) -> None:
    from sft.evaluation.stage import run
    from sft.pipeline.jobs import ExperimentFolders, jobs_of
    from sft.runs.atomic import write_json
    from sft.runs.files import ResultsFolder
    from sft.runs.progress import Progress

    config = raw(zero_shot, {"inference": {"calibration_args": NAMED}})
    planned = plan_of(project, a=config).experiments[0]
    results = ResultsFolder(project / "results")
    *infers, evaluate = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")
    assert [infer.record.row_set for infer in infers] == ["eval", "train:4", "content_free:empty:1"]
    shapes = {"eval": ("test", 9), "train:4": ("train", 4), "content_free:empty:1": ("content_free", 1)}
    for infer in infers:
        split, rows = shapes[infer.record.row_set]
        infer.folder.path.mkdir(parents=True)
        sums = {"answer_logprobs": np.tile([-1.0, -4.0, -2.0], (rows, 1)), "stop_logprobs": np.zeros((rows, 3))}
        tokens = {"answer_tokens": np.ones(3), "stop_tokens": np.ones(3)}
        places = {"splits": np.array([split] * rows), "source_index": np.arange(rows)}
        np.savez(infer.folder.scores, **places, **sums, **tokens)
        write_json(infer.folder.inference, INFERENCE | {"examples": {split: [[]] * rows}})
    evaluate.folder.path.mkdir(parents=True)
    run(evaluate.folder, evaluate.record, Progress(evaluate.folder.progress, "evaluate"), time.perf_counter())
    record = json.loads(evaluate.folder.metrics.read_text())
    lines = evaluate.folder.predictions("test", "jsonl").read_text().splitlines()
    assert {json.loads(line)["predictions"] for line in lines} == {"good"}
    details = record["details"]["calibration"]
    assert (details["options"], details["uses_evaluated_rows"]) == ({"by": 5.0}, False)
    assert record["results"]["uncalibrated_accuracy"] == record["results"]["accuracy"]


def test_an_edit_of_an_own_calibrator_evaluates_anew_and_scores_nothing(
    own_calibrator: Path, project: Path, raw: Raw, plan_of: Callable[..., Any]
) -> None:
    own_calibrator.write_text(CALIBRATOR + "\nraise RuntimeError('the plan imported this')\n")
    config = raw({"inference": {"calibration_args": NAMED}})
    before = plan_of(project, a=config).experiments[0].keys
    own_calibrator.write_text(CALIBRATOR + "# edited\n")
    after = plan_of(project, a=config).experiments[0].keys
    assert before.row_sets == after.row_sets
    assert before.evaluate != after.evaluate


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("train:4", "train:0"), "no row set 'train:0'; there are: eval, train:<n>"),
        (("train:4", "content_free:contextual:9"), "there are 3 content-free texts"),
        (("train:4", "eval"), "need not be named"),
        (("row_sets = ", "sets = "), "names no row sets"),
        (("def towards_good", "def towards_god"), "no 'towards_good'"),
    ],
)
def test_row_sets_of_own_code_are_checked_by_the_plan(
    own_calibrator: Path, project: Path, raw: Raw, plan_of: Callable[..., Any], change: tuple[str, str], part: str
) -> None:
    own_calibrator.write_text(CALIBRATOR.partition("towards_good.uses")[0].replace(*change, 1))
    with pytest.raises(UserError, match="calibration_fn: ") as error:
        plan_of(project, a=raw({"inference": {"calibration_args": NAMED}}))
    assert part in str(error.value)
