"""Every kind of bad input ends with one clear line and the right exit code, before anything is started."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft import GridOptions, api, cli
from sft.exceptions import InvalidExperiments, MachineError, SftError, UserError
from sft.experiments.grids.jsonnet import JsonnetOptions
from tests.contract.bad_configs import CASES, TRAINED
from tests.contract.bad_label_sets import CASES as LABEL_SETS
from tests.contract.bad_scoring import CASES as SCORING
from tests.contract.tiny_project import config, write_bad_data, write_project

NO_OPTIONS = GridOptions()

Refused = Callable[..., SftError]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Tries to run a grid in a folder of small data; gives the error, after a look that nothing was made."""
    write_project(tmp_path)
    write_bad_data(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(grid: Any, options: GridOptions = NO_OPTIONS, file: str = "grid.json") -> SftError:
        text = grid if isinstance(grid, str) else json.dumps(grid)
        (tmp_path / file).write_text(text, "utf-8")
        with pytest.raises(SftError) as told:
            api.run(tmp_path / file, tmp_path / "results", options)
        assert not (tmp_path / "results").exists()
        return told.value

    return run


@pytest.mark.parametrize("case", [*CASES, *SCORING, *LABEL_SETS])
def test_a_bad_config_is_told_in_one_line(case: str, refused: Refused) -> None:
    changes, path, parts = (CASES | SCORING | LABEL_SETS)[case]
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


def test_what_a_tokenizer_tells_is_told_by_key_and_value(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "mute").mkdir()
    (tmp_path / "mute" / "pytorch_model.bin").touch()
    texts = {"path": "texts", "task_type": "generation", "shots": 4}
    columns = {"input_columns": ["text"], "output_column": "answer"}
    configs = {
        "tokens": config(dataset__labels={"good": "Fine", "bad": "fine"}),
        "blank": config(dataset=texts, prompting=columns, inference__icl_examples=1),
        "chat": config(prompting__format="chat"),
        "unread": config(model__name="mute"),
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
    assert "model.name: no tokenizer can be read from 'mute': its folder holds no tokenizer" in lines["unread"]


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
