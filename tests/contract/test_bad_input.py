"""Every kind of bad input ends with one clear line and the right exit code, before anything is started."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_project import config, write_bad_data, write_project

from sft import api, cli
from sft.errors import InvalidExperiments, MachineError, SftError, UserError
from sft.experiments.jsonnet import JsonnetOptions
from sft.experiments.loading import GridOptions

TRAINED = {"dataset__shots": 2, "lora": {}}
LABEL_WORDS = {"dataset__labels": {"bad": "x", "good": " x"}}
LEAKS = {"dataset__splits": {"train": "data/train.jsonl", "test": "data/train.jsonl"}, "dataset__shots": 1}

# What is changed in a sound config; the dotted path that is named; what else the line says.
CASES: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "unknown key": ({"prompting__instructions": "x"}, "prompting.instructions", ("did you mean instruction?",)),
    "unknown section": ({"trainning": {}}, "trainning", ("did you mean training?",)),
    "unknown trainer key": (
        {**TRAINED, "training__trainer_args": {"lerning_rate": 1e-4}},
        "training.trainer_args.lerning_rate",
        ("did you mean learning_rate?",),
    ),
    "refused trainer key": (
        {**TRAINED, "training__trainer_args": {"seed": 1}},
        "training.trainer_args.seed",
        ("seeds.training",),
    ),
    "number in quotes": (
        {**TRAINED, "training__trainer_args": {"learning_rate": "1e-4"}},
        "training.trainer_args.learning_rate",
        ("'1e-4'", "without quotes"),
    ),
    "unknown lora key": ({"dataset__shots": 2, "lora": {"rank": 4}}, "lora.rank", ("peft.LoraConfig",)),
    "rank 0": ({"dataset__shots": 2, "lora": {"r": 0}}, "lora.r", ("0", "greater than or equal to 1")),
    "wrong type": ({"dataset__shots": "four"}, "dataset.shots", ("an integer or 'all'", '"four"')),
    "required key": ({"prompting": {"input_columns": ["text"]}}, "prompting.output_column", ("required",)),
    "unknown task type": (
        {"dataset__task_type": "regression"},
        "dataset.task_type",
        ("'regression'", "classification, generation"),
    ),
    "missing file": ({"dataset__path": "nowhere.csv"}, "dataset.path", ("nowhere.csv",)),
    "missing input column": ({"prompting__input_columns": ["txt"]}, "dataset", ('"txt"', "text, label")),
    "missing output column": (
        {"dataset__shots": 1, "prompting__output_column": "lable"},
        "dataset",
        ('"lable"', "text, label"),
    ),
    "missing kept column": ({"dataset__keep_columns": ["id"]}, "dataset.keep_columns", ("'id'", "text, label")),
    "missing split": ({"dataset__splits": {"test": "tset"}}, "dataset", ('"tset"', "test, train")),
    "no test split": ({"dataset__path": "one"}, "dataset", ("splits are: train", "splits: {test: 0.3}")),
    "broken jsonl": ({"dataset__path": "broken"}, "dataset", ("train.jsonl line 3", "not valid JSON")),
    "broken csv": ({"dataset__path": "cells"}, "dataset", ("train.csv line 2", "3 cells", "text, label")),
    "wrong encoding": ({"dataset__path": "latin"}, "dataset", ("train.csv line 2", "0xe9", "cp1252", "encoding")),
    "empty cell": ({"dataset__path": "holes"}, "dataset", ("rows 1 (text)", "dataset.on_missing: drop")),
    "more shots than rows": (
        {"dataset__shots": 9},
        "dataset",
        ("9 shots asked, 4 available", "bad: 4, good: 4", "dataset.if_fewer: use_all"),
    ),
    "training without an adapter": (
        {"dataset__shots": 2, "training": {}},
        "training",
        ("`lora: {}`", "`adapter: {method: 'none'}`"),
    ),
    "more examples than shots": (
        {"dataset__shots": 2, "inference__icl_examples": 3},
        "inference.icl_examples",
        ("3 asked", "largest that works is 2"),
    ),
    "training examples": (
        {**TRAINED, "training__icl_examples": 2},
        "training.icl_examples",
        ("2 asked", "largest that works is 1", "never its own example"),
    ),
    "lora with adapter": ({"lora": {}, "adapter": {"method": "none"}}, "adapter", ("both set", "keep one")),
    "unknown adapter": (
        {"dataset__shots": 2, "adapter": {"method": "loraa"}},
        "adapter.method",
        ("'loraa'", "did you mean lora?", "known: lora, none"),
    ),
    "gold outside the set": ({"dataset__path": "outside"}, "dataset", ("row 1: 'ugly'", "labels are: bad, good")),
    "labels equal after trimming": (LABEL_WORDS, "dataset.labels", ("'bad' and 'good'", "trimming", "'x'")),
    "unknown initialiser": (
        {"dataset__shots": 2, "lora": {"init_lora_weights": "pisa"}},
        "lora.init_lora_weights",
        ("'pisa'", "did you mean pissa?", "pca, peft:gaussian", "file.py:function"),
    ),
    "own initialiser without file": (
        {"dataset__shots": 2, "lora": {"init_lora_weights": "nothere.py:f"}},
        "lora.init_lora_weights",
        ("'nothere.py:f'", "no file"),
    ),
    "unknown metric": (
        {"evaluation__metrics": ["macro_f"]},
        "evaluation.metrics",
        ("'macro_f'", "did you mean macro_f1?", "known: accuracy"),
    ),
    "metric of another task": (
        {"evaluation__metrics": ["rougeL"]},
        "evaluation.metrics",
        ("'rougeL'", "'classification'", "accuracy"),
    ),
    "argument of no metric": (
        {"evaluation__ece_bin": 3},
        "evaluation.ece_bin",
        ("no chosen metric takes", "did you mean ece_bins?"),
    ),
    "argument of a metric not chosen": (
        {"evaluation": {"metrics": ["accuracy"], "ece_bins": 3}},
        "evaluation.ece_bins",
        ("argument of ece",),
    ),
    "unknown quantisation": (
        {"model__quantization": {"config_class": "BitsAndBytesConfg"}},
        "model.quantization",
        ("'BitsAndBytesConfg'", "did you mean BitsAndBytesConfig?", "GPTQConfig"),
    ),
    "unknown quantisation argument": (
        {"model__quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bits": True}}},
        "model.quantization",
        ("'load_in_4bits'", "did you mean load_in_4bit?"),
    ),
    "unknown generation argument": (
        {"dataset__task_type": "generation", "inference__generation_args": {"max_new_token": 4}},
        "inference.generation_args.max_new_token",
        ("did you mean max_new_tokens?",),
    ),
    "large seed": ({"seed": 2**53 + 1}, "seed", ("2^53", str(2**53 + 1))),
    "negative seed": ({"seed": -1}, "seed", (">= 0", "-1")),
    "secret": ({"model__model_args": {"token": "abcd1234"}}, "model.model_args.token", ("HF_TOKEN",)),
    "missing model folder": ({"model__name": "./nam"}, "model.name", ("'./nam'", "no file or folder")),
    "missing adapter folder": ({"model__adapter": "nowhere"}, "model.adapter", ("'nowhere'", "adapter_config.json")),
    "unknown template field": (
        {"prompting__input_template": "{txt}"},
        "prompting.input_template",
        ("{txt}", "input_columns (text)"),
    ),
    "no dev rows to evaluate on": (
        {**TRAINED, "training__trainer_args": {"eval_strategy": "epoch"}},
        "training.trainer_args.eval_strategy",
        ("dataset.splits",),
    ),
    "leaks": ({**LEAKS, "evaluation__strict_leaks": True}, "evaluation.strict_leaks", ("2 shots",)),
}

Refused = Callable[..., SftError]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Tries to run a grid in a folder of small data; gives the error, after a look that nothing was made."""
    write_project(tmp_path)
    write_bad_data(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(grid: Any, options: GridOptions = api.DEFAULT_OPTIONS, file: str = "grid.json") -> SftError:
        text = grid if isinstance(grid, str) else json.dumps(grid)
        (tmp_path / file).write_text(text, "utf-8")
        with pytest.raises(SftError) as told:
            api.run(tmp_path / file, tmp_path / "results", options)
        assert not (tmp_path / "results").exists()
        return told.value

    return run


@pytest.mark.parametrize("case", CASES)
def test_a_bad_config_is_told_in_one_line(case: str, refused: Refused) -> None:
    changes, path, parts = CASES[case]
    error = refused({"configs": {"exp": config(**changes)}})
    assert isinstance(error, InvalidExperiments)
    assert error.exit_code == 2
    (line,) = error.lines
    assert line.startswith(f'#1 "exp": {path}: ')
    assert line.endswith("grid.json]")
    assert [part for part in parts if part not in line] == []
    assert "abcd1234" not in str(error)


def test_all_findings_of_all_experiments_are_told_together(refused: Refused) -> None:
    bad = config(dataset__shot=1, seed=-1)
    error = refused({"configs": {"a": bad, "good": config(), "b": config(evaluation__metrics=["f"])}})
    assert isinstance(error, InvalidExperiments)
    assert str(error).startswith("2 of 3 experiments are invalid; nothing was started.\n")
    assert [line.partition(": ")[0] for line in error.lines] == ['#1 "a"', '#1 "a"', '#3 "b"']


def test_names_and_data_of_one_experiment_are_told_together(refused: Refused) -> None:
    error = refused({"configs": {"exp": config(evaluation__metrics=["f"], prompting__input_columns=["txt"])}})
    assert isinstance(error, InvalidExperiments)
    assert [line.split(": ")[1] for line in error.lines] == ["evaluation.metrics", "dataset"]


@pytest.mark.parametrize("remote", [{"dataset__path": "org/rows"}, {"model__name": "org/nam"}], ids=["data", "model"])
def test_what_the_user_must_change_is_told_before_what_the_machine_lacks(
    remote: dict[str, Any], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    error = refused({"configs": {"hub": config(**remote), "exp": config(dataset__shots=9)}})
    assert isinstance(error, InvalidExperiments)
    assert [line.split('"')[1] for line in error.lines] == ["exp"]


def test_what_a_tokenizer_tells_is_told_by_key_and_value(refused: Refused) -> None:
    texts = {"path": "texts", "task_type": "generation", "shots": 4}
    columns = {"input_columns": ["text"], "output_column": "answer"}
    configs = {
        "tokens": config(dataset__labels={"good": "Fine", "bad": "fine"}),
        "blank": config(dataset=texts, prompting=columns, inference__icl_examples=1),
        "chat": config(prompting__format="chat"),
        "unread": config(model__name="data"),
        "sound": config(dataset=texts, prompting=columns),
    }
    error = refused({"configs": configs})
    assert isinstance(error, InvalidExperiments)
    lines = {line.split('"')[1]: line for line in error.lines}
    assert set(lines) == {"tokens", "blank", "chat", "unread"}
    assert "dataset.labels: the labels 'fine' and 'Fine' are the same tokens" in lines["tokens"]
    assert "prompting.output_column: the output 'one\\n\\ntwo' holds a blank line" in lines["blank"]
    assert "set prompting.format to chat" in lines["blank"]
    assert "no chat template; set prompting.format to plain" in lines["chat"]
    assert "model.name: no tokenizer can be read from 'data'" in lines["unread"]


def test_the_answers_of_every_data_set_are_looked_at(refused: Refused) -> None:
    columns = {"input_columns": ["text"], "output_column": "answer"}
    data = {"task_type": "generation", "shots": 4}
    configs = {
        name: config(dataset={"path": name, **data}, prompting=columns, inference__icl_examples=1)
        for name in ("fine_texts", "texts")
    }
    error = refused({"configs": configs})
    assert isinstance(error, InvalidExperiments)
    assert [line.split('"')[1] for line in error.lines] == ["texts"]


@pytest.mark.parametrize(
    ("grid", "parts"),
    [
        ({}, ("0 experiments", "{configs: {name: config, ...}}")),
        ([], ("0 experiments",)),
        ({"configs": {}}, ("0 experiments",)),
        ([{**config(), "name": "a"}, {**config(seed=1), "name": "a"}], ("#1 and #2", '"a"', "own name")),
        ({"configs": {"best": config()}}, ("'best' is reserved", "choose another")),
        ({"configs": {}, "config": {}}, ("beside configs: config",)),
        ("[1", ("grid.json:1:3", "not valid JSON")),
        ('{"seed": 1, "seed": 2}', ("grid.json", '"seed" is written twice')),
    ],
    ids=["empty", "empty list", "no configs", "duplicate names", "reserved name", "other key", "no JSON", "key twice"],
)
def test_a_bad_grid_is_told(grid: Any, parts: tuple[str, ...], refused: Refused) -> None:
    error = refused(grid)
    assert error.exit_code == 2
    assert [part for part in parts if part not in str(error)] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: }", "grid.jsonnet:1:5: "),
        ("{a: error 'no model given'}", "grid.jsonnet:1:5: no model given"),
        (
            "{a: import '/etc/passwd'}",
            'import of "/etc/passwd" refused: outside the grid folder (allow with --jpath).',
        ),
        ("local f(x) = 1 + f(x); f(0)", "grid.jsonnet:1:18: recursion is deeper than"),
        ("local f(x) = if x < 0 then 0 else f(x + 1) tailstrict; f(0)", "grid.jsonnet: evaluation stopped after 1 s"),
        ("std.extVar('shots')", "shots"),
    ],
    ids=["syntax", "error", "import outside", "recursion", "endless loop", "variable"],
)
def test_a_jsonnet_error_is_one_line(text: str, message: str, refused: Refused) -> None:
    error = refused(text, GridOptions(jsonnet=JsonnetOptions(timeout_s=1)), "grid.jsonnet")
    assert error.exit_code == 2
    assert message in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("changes", "place", "name"),
    [
        ({"model__name": "org/nam"}, '"exp": model.name: ', 'model "org/nam"'),
        ({"dataset__path": "org/rows"}, '"exp": dataset: ', 'dataset "org/rows"'),
    ],
    ids=["model", "dataset"],
)
def test_what_is_not_found_offline_is_the_machines_fault(
    changes: dict[str, Any], place: str, name: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    error = refused({"configs": {"exp": config(**changes)}})
    assert isinstance(error, MachineError)
    assert error.exit_code == 5
    assert error.kind == "network"
    assert str(error).startswith(f"{place}{name} not found locally and the network is off (HF_HUB_OFFLINE=1)")


@pytest.mark.parametrize(("goal", "trains", "changes"), [("metrics", False, TRAINED), ("adapter", True, {})])
def test_an_adapter_that_is_not_there_is_told(
    goal: Any, trains: bool, changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    request = api.RunRequest(goal=goal, trains=trains)
    with pytest.raises(UserError) as told:
        api.run_one(config(name="exp", **changes), tmp_path / "results", GridOptions(), request)
    text = str(told.value)
    assert text.startswith("exp: its adapter is not trained yet" if changes else "exp trains nothing")
    assert ("sft train" if changes else "lora: {}") in text
    assert list(tmp_path.rglob("job.json")) == []


@pytest.mark.parametrize(("changes", "code"), [({"seed": -1}, 2), ({"dataset__path": "nowhere.csv"}, 2)])
def test_the_commands_exit_with_the_code_and_no_traceback(
    changes: dict[str, Any], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("grid.json").write_text(json.dumps({"configs": {"exp": config(**changes)}}))
    for command in ("run-experiments", "plan", "train", "predict", "evaluate", "run-experiment", "inspect"):
        monkeypatch.setattr(sys, "argv", ["sft", command, "grid.json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert ended.value.code == code, command
        assert '#1 "exp": ' in shown.err
        assert "Traceback" not in shown.err
        assert shown.out == ""
    assert [path for path in tmp_path.iterdir() if path.name in ("results", "predictions")] == []


def test_a_process_ends_with_5_when_the_hub_is_needed(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "grid.json").write_text(json.dumps(config(model__name="org/nam")))
    command = [sys.executable, "-m", "sft.cli", "run-experiments", "grid.json"]
    environment = {"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 5, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert 'model "org/nam" not found locally and the network is off' in ended.stderr
    assert not (tmp_path / "results").exists()
