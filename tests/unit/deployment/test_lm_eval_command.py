"""The command for lm-eval, the accuracy it must find, and what makes its numbers differ."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.deployment.lm_eval_command import write_lm_eval_task
from sft.exceptions import UserError
from sft.runs.atomic import write_json
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import write_manifest

Raw = Callable[..., dict[str, Any]]
Write = Callable[[Any], dict[str, Any]]


@pytest.fixture
def results(project: Path, monkeypatch: pytest.MonkeyPatch) -> ResultsFolder:
    monkeypatch.chdir(project)
    return ResultsFolder(project / "results")


@pytest.fixture
def write(project: Path, results: ResultsFolder) -> Write:
    return lambda plan: write_lm_eval_task(plan, results, project / "to lm")


@pytest.fixture
def plan(project: Path, plan_of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda config: plan_of(project, a=config)


def train(plan: Any, results: ResultsFolder) -> Path:
    """Leave a finished train stage; where its adapter lies."""
    job = results.stage("train", plan.experiments[0].keys.train)
    write_json(job.training, {})
    write_manifest(job, [job.training])
    return job.adapter


def measure(plan: Any, results: ResultsFolder, record: dict[str, Any]) -> None:
    """Leave an experiment that is evaluated."""
    key = plan.experiments[0].keys.experiment_id
    folder = results.experiments / f"a-{key[:8]}"
    write_json(folder / "config.json", {"id": key})
    write_json(folder / "result" / "metrics.json", record)
    write_manifest(JobFolder(folder), [folder / "result" / "metrics.json"])


def model_arguments(command: str) -> Any:
    words = shlex.split(command)
    return json.loads(words[words.index("--model_args") + 1])


def test_the_command_names_base_adapter_task_and_dtype(
    plan: Callable[..., Any], results: ResultsFolder, raw: Raw, write: Write, project: Path
) -> None:
    checked = plan(raw({"inference": {"batch_size": 3}, "model": {"model_args": {"dtype": "torch.bfloat16"}}}))
    adapter = train(checked, results)
    written = write(checked)
    words = shlex.split(written["command"])
    assert words[:5] == ["cd", str(project / "to lm"), "&&", "lm_eval", "--model"]
    assert words[words.index("--tasks") + 1 :] == [written["task"], "--include_path", ".", "--batch_size", "3"]
    assert model_arguments(written["command"]) == {
        "pretrained": str(project / "model"),
        "peft": str(adapter),
        "dtype": "bfloat16",
        "add_bos_token": False,
    }
    assert all(Path(path).is_file() for path in written["files"])
    assert (written["rows"], written["metric"], written["accuracy"]) == (9, "accuracy", None)


def test_what_is_measured_says_accuracy_and_dtype(
    plan: Callable[..., Any], results: ResultsFolder, raw: Raw, write: Write, zero_shot: dict[str, Any]
) -> None:
    checked = plan(raw(zero_shot))
    measure(checked, results, {"results": {"accuracy": 0.25}, "environment": {"dtype": "float16"}})
    written = write(checked)
    assert written["accuracy"] == 0.25
    arguments = model_arguments(written["command"])
    assert (arguments["dtype"], "peft" in arguments) == ("float16", False)


def test_without_its_adapter_nothing_is_written(
    plan: Callable[..., Any], raw: Raw, write: Write, project: Path
) -> None:
    with pytest.raises(UserError, match="adapter is not trained yet"):
        write(plan(raw()))
    assert not (project / "to lm").exists()


@pytest.mark.parametrize(
    ("inference", "metric", "note"),
    [
        ({"label_scoring": {"normalization": "mean"}}, None, "ranks labels by mean"),
        ({"calibration_args": {"calibration_fn": "batch"}}, "uncalibrated_accuracy", "does not calibrate"),
        ({"label_scoring": {"end_token": False}}, "accuracy", None),
    ],
)
def test_other_numbers_by_design_are_told(
    plan: Callable[..., Any],
    results: ResultsFolder,
    raw: Raw,
    write: Write,
    zero_shot: dict[str, Any],
    inference: dict[str, Any],
    metric: str | None,
    note: str | None,
) -> None:
    checked = plan(raw(zero_shot, {"inference": inference}))
    measure(checked, results, {"results": {"accuracy": 0.5, "uncalibrated_accuracy": 0.75}})
    written = write(checked)
    expected = {"accuracy": 0.5, "uncalibrated_accuracy": 0.75}.get(metric or "")
    assert (written["metric"], written["accuracy"]) == (metric, expected)
    assert [note in one for one in written["notes"]] == ([True] if note else [])


def test_resized_outputs_and_quantised_bases_are_told(
    plan: Callable[..., Any], results: ResultsFolder, raw: Raw, write: Write, project: Path
) -> None:
    path = project / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"vocab_size": 4096}), "utf-8")
    quantised = {"model": {"quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bit": True}}}}
    checked = plan(raw(quantised))
    train(checked, results)
    unquantised, resized = write(checked)["notes"]
    assert "unquantised" in unquantised
    assert "4,096 outputs to the tokenizer's 260 tokens" in resized


def test_folds_with_trainings_of_their_own_are_refused(plan: Callable[..., Any], raw: Raw, write: Write) -> None:
    checked = plan(raw({"dataset": {"path": "data/train.jsonl", "splits": {"folds": 3}}}))
    with pytest.raises(UserError, match="each of the 3 folds has a training or examples of its own"):
        write(checked)


@pytest.mark.parametrize("method", ["bottleneck", "full"])
def test_adapters_that_peft_does_not_load_are_refused(
    plan: Callable[..., Any], raw: Raw, write: Write, method: str
) -> None:
    with pytest.raises(UserError, match=r"none that PEFT loads.*training\.save_method"):
        write(plan(raw({"lora": None, "adapter": {"method": method}})))
