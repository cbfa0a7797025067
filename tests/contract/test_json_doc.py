"""docs/json.md names every key that commands print with `--json`, and none that is not there."""

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from sft.cli import main
from sft.data.profile.remark import Kind
from sft.experiments.planning import planning
from sft.experiments.planning.checks.tokenizers import TokenizerAnswer, TokenizerQuestion
from sft.leaderboard.details.suspects import SuspectRow
from sft.models.token_text import Kind as SegmentKind
from sft.runs.lock import locked
from sft.runs.progress import ProgressRecord
from sft.runs.records import ErrorRecord, StatusRecord, write_record
from tests.contract.documents import section
from tests.support import grids
from tests.support.encoder_decoders import become_t5

Printed = Callable[..., tuple[int, dict[str, Any]]]

WORDS = {
    "plan": {"train", "infer", "evaluate", "baseline", "export", "done", "reads", "tokens", *get_args(Kind)},
    "inspect": {"train", "dev", "test", "source", "whole", *get_args(SegmentKind)},
    "status": {
        *(
            "done",
            "predicted",
            "running",
            "starting",
            "queued",
            "pending",
            "failed",
            "timeout",
            "interrupted",
            "preempted",
        ),
        *("lost", "damaged", "pruned"),
    },
}
"""What stands in quotes and is a value."""
LM_EVAL = ("task", "rows", "files", "command", "metric", "accuracy", "notes")
"""Keys of a task that lm-eval runs, which is written where that package is installed."""


def keys(value: Any, *free: str) -> set[str]:
    """All keys but those of maps whose keys are a user's, a stage or a state."""
    if isinstance(value, list):
        return set().union(*(keys(item, *free) for item in value))
    if not isinstance(value, dict):
        return set()
    inner = (
        keys(list(item.values()) if key in free and isinstance(item, dict) else item, *free)
        for key, item in value.items()
    )
    return set(value).union(*inner)


def documented(title: str, part: str = "") -> set[str]:
    """The keys of a section, of the block that holds a text."""
    blocks = re.findall(r"(?:^    .*\n)+", section("docs/json.md", title), re.MULTILINE)
    (block,) = [block for block in blocks if part in block]
    return set(re.findall(r'"(\w+)"(?=[:,} ]|$)', block, re.MULTILINE))


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Runs a command with `--json`: its exit code and the object on stdout."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["sft", *arguments, "--json"])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return code, found

    return run


@pytest.fixture
def grid(
    project: Path, raw: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, no_tokenizer_child: None
) -> Path:
    monkeypatch.chdir(project)
    path = project / "grid.json"
    zero = raw({"dataset": {"shots": 0}, "lora": ..., "seeds": {"init": 1}})
    cut = raw({"dataset": {"max_n_test": 6}, "prompting": {"max_input_length": 2}})
    copy = raw({"lora": {"lora_alpha": 8}})
    executor = {"name": "slurm", "cpus_per_task": 2}
    path.write_text(
        json.dumps({"configs": {"a": raw(), "copy": copy, "zero": zero, "cut": cut}, "executor": executor})
    )
    return path


def test_plan(grid: Path, printed: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(questions: list[TokenizerQuestion]) -> list[TokenizerAnswer]:
        lengths = [tuple(tuple(map(len, texts)) for texts in question.texts) for question in questions]
        return [TokenizerAnswer(lengths=own) for own in lengths]

    monkeypatch.setattr(planning, "ask", ask)
    code, found = printed("plan", "grid.json", "--why")
    assert code == 0
    assert found["no_effect"]
    assert found["executor"] == {"name": "slurm", "options": {"cpus_per_task": "2"}}
    assert found["as_by_default"] == [{"key": "lora.lora_alpha", "experiments": ["copy"]}]
    stages = [stage for item in found["experiments"] for stage in item["stages"]]
    assert {reason["text"] for stage in stages for reason in stage["why"]} == {"no finished stage to compare with"}
    shared = [stage["shared_with"] for item in found["experiments"][:2] for stage in item["stages"]]
    assert shared == [None, None, None, "a", "a", "a"]
    assert found["counts"]["train"] == {"asked": 3, "to_run": 2, "done": 0, "shared": 1, "held_up": 0, "reused": 0}
    assert [item["caps"] for item in found["data"]] == [{}, {"max_n_test": 6}]
    grid.write_text(json.dumps({"configs": {"a": {"lora": 3}, "b": {"lora": 3}}}))
    code, wrong = printed("plan", "grid.json")
    assert code == 2
    assert set(wrong) == set(found)
    assert {"experiments": ["a", "b"], "path": "lora", "message": "must be an object, got 3"} in wrong["findings"]
    written = keys([found, wrong], "label_counts", "label_counts_before", "counts", "caps", "splits", "options")
    assert written | {"kind"} == documented("plan") - WORDS["plan"] | {"train", "done"}


def test_inspect(
    project: Path, raw: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, printed: Printed
) -> None:
    monkeypatch.chdir(project)
    config = project / "config.json"
    config.write_text(json.dumps(raw({"prompting": {"max_input_length": 2}})))
    code, found = printed("inspect", "config.json")
    assert code == 0
    assert found["rows"][0]["cut"]["input_tokens"] > 0
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320}
    (project / "model" / "config.json").write_text(json.dumps({"model_type": "bert", **sizes}))
    of_head = printed("inspect", "config.json")[1]
    assert found["label_ids"]
    assert of_head["head_labels"] == [*found["label_ids"]]
    become_t5(project / "model")
    of_encoder = printed("inspect", "config.json")[1]
    assert of_encoder["reads"] == "source"
    folds = {"splits": {"folds": 2}, "path": "data/train.jsonl", "shots": 1}
    config.write_text(json.dumps(raw({"dataset": folds})))
    of_fold = printed("inspect", "config.json")[1]
    assert of_fold["fold"] == 0
    documented_keys = documented("inspect") - WORDS["inspect"]
    assert keys([found, of_head, of_encoder, of_fold], "label_ids") | {"lm_eval", *LM_EVAL} == documented_keys


def test_status_and_verify(made: Any, printed: Printed) -> None:
    made.finish(made.planned("good", "a"), "evaluate", '{"results": {}, "data": {}, "details": {}}')
    made.planned("bad", "b", train="t")
    made.stop(made.stage("train", "t"), "train", "failed", ErrorRecord("data", "no rows"))
    folder = made.stage("train", "u")
    made.planned("busy", "c", train="u")
    made.job(folder, "train")
    write_record(folder.status, StatusRecord("running", "train", attempt=1, started="2100-01-01T00:00:00Z"))
    write_record(folder.progress, ProgressRecord("train", 4, 10, None, 0.0))
    with locked(made.results):
        code, found = printed("status")
    assert code == 0
    assert found["counts"] == {"done": 1, "running": 1, "failed": 1}
    assert [(item["state"], item["runs_next"]) for item in found["experiments"]] == [
        ("done", False), ("failed", False), ("running", True),
    ]  # fmt: skip
    assert (found["running"][0]["step"], found["running"][0]["loss"]) == (4, None)
    assert keys(found, "counts") == documented("status") - WORDS["status"] | {"running"}
    next(made.results.experiments.glob("good-*/result/metrics.json")).write_text("{}")
    code, found = printed("verify")
    assert code == 1
    assert keys(found) == documented("verify")


def test_methods(printed: Printed) -> None:
    code, found = printed("methods")
    assert code == 0
    assert {item["name"]: item["range"] for item in found["metrics"]}["log_loss"] == [0, None]
    assert keys(found) == documented("methods", '"calibrators"')
    code, found = printed("methods", "--matrix")
    assert code == 0
    assert keys(found, "trains", "merges") == documented("methods", '"matrix"')


def test_leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    monkeypatch.chdir(tmp_path)
    grid = grids.MadeGrid(tmp_path / "results", n_rows=40)
    assert printed("leaderboard", "results") == (0, json.loads(grid.results.leaderboard("json").read_text()))
    ranked = printed("leaderboard", "results", "--metric", "ece")[1]
    assert (set(ranked), ranked["boards"][0]["metric"]) == (
        {*json.loads(grid.results.leaderboard("json").read_text())},
        "ece",
    )
    found = printed("leaderboard", "results", "--group-by", "dataset.shots")[1]
    assert found["combinations"][0]["rows"][0]["settings"] == {"dataset.shots": 16}
    assert keys(found) - {"dataset.shots"} == documented("leaderboard", "combinations")
    pair = printed("leaderboard", "results", "--diff", "big/icl", "big/lora-16")[1]
    assert keys(pair) == documented("leaderboard", "pair")


def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    monkeypatch.chdir(tmp_path)
    grids.MadeGrid(tmp_path / "results", models=("small",), n_seeds=1, n_rows=40)
    code, found = printed("errors", "best")
    assert code == 0
    assert keys(found, "probabilities") - {*grids.LABELS} == documented("errors", "n_wrong")
    code, found = printed("errors", "best", "--suspect")
    assert code == 0
    row = {field.name for field in dataclasses.fields(SuspectRow)}
    assert keys(found) | row == documented("errors", "n_suspect")
