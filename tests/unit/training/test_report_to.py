"""`report_to`: names, packages, and the places of what is written."""

import ast
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.library.source import find_class
from sft.exceptions import InvalidExperiments, MachineError, PackageMissing
from sft.runs.files import JobFolder
from sft.training import report_to
from sft.training.report_to import PACKAGES, check_report_to, integrations, reporting, require_report_to

JOB = JobFolder(Path("/runs/results/stages/train/0123456789abcdef"))


def test_the_integrations_are_those_of_the_installed_library() -> None:
    found = find_class("transformers.integrations.integration_utils:MLflowCallback")
    assert found is not None
    path = importlib.util.find_spec("transformers").submodule_search_locations[0]  # type: ignore[union-attr,index]
    tree = ast.parse(Path(path, "integrations", "integration_utils.py").read_text())
    (mapping,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INTEGRATION_TO_CALLBACK"
    )
    assert isinstance(mapping, ast.Dict)
    assert {key.value for key in mapping.keys if isinstance(key, ast.Constant)} == set(PACKAGES)


@pytest.mark.parametrize("value", [None, "none", ["none"], [], "all", ["all"], "mlflow", ["mlflow", "tensorboard"]])
def test_what_is_sound_has_no_finding(value: Any) -> None:
    assert check_report_to(value) == []
    assert (integrations(value) == []) is (value in (None, "none", ["none"], []))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("mlfow", "unknown integration 'mlfow' (did you mean mlflow?)"),
        (["wandb", "x"], "unknown integration 'x'"),
        (3, "must be a name or a list of names, got 3"),
        (["none", "mlflow"], "none and all stand alone"),
    ],
)
def test_what_is_wrong_is_told(value: Any, told: str) -> None:
    (message,) = check_report_to(value)
    assert message.startswith(told)


def test_a_plan_tells_an_unknown_integration(
    plan_of: Callable[..., Any], project: Path, raw: Callable[..., dict[str, Any]]
) -> None:
    arguments = {"training": {"trainer_args": {"report_to": "mlfow"}}}
    with pytest.raises(InvalidExperiments, match=r"training.trainer_args.report_to: unknown integration 'mlfow'"):
        plan_of(project, a=raw(arguments))


@pytest.mark.parametrize(("name", "line"), [("wandb", "pip install wandb"), ("mlflow", r"'sft-grid\[tracking\]'")])
def test_a_plan_tells_a_package_that_is_missing(
    plan_of: Callable[..., Any],
    project: Path,
    raw: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    line: str,
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else found(asked))
    told = f"\"a\": training.trainer_args.report_to '{name}' needs the package {name}, .*{line}"
    with pytest.raises(MachineError, match=told):
        plan_of(project, a=raw({"training": {"trainer_args": {"report_to": name}}}))


def test_one_of_several_packages_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: asked == "tensorboardX" or None)
    require_report_to("tensorboard")
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None)
    with pytest.raises(PackageMissing, match=r"pip install tensorboard$"):
        require_report_to(["tensorboard"])


def test_without_integrations_nothing_is_touched() -> None:
    before = dict(os.environ)
    with reporting({"report_to": "none", "max_steps": 1}, JOB, "lora") as args:
        assert args == {"report_to": "none", "max_steps": 1}
        assert dict(os.environ) == before


def test_files_go_to_the_results_folder_each_training_to_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (report_to.TENSORBOARD, report_to.WANDB):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with reporting({"report_to": ["tensorboard"]}, JOB, "lora/pissa") as args:
        assert args["run_name"] == "lora/pissa"
        assert os.environ[report_to.TENSORBOARD] == "/runs/results/tensorboard/lora-pissa-01234567"
        assert os.environ[report_to.WANDB] == "/runs/results"
    assert dict(os.environ) == before


def test_places_and_names_of_the_user_s_own_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(report_to.TENSORBOARD, "/boards")
    monkeypatch.setenv(report_to.WANDB, "/wandb")
    with reporting({"report_to": "tensorboard", "run_name": "mine"}, JOB, "lora") as args:
        assert args["run_name"] == "mine"
        assert os.environ[report_to.TENSORBOARD] == "/boards/lora-01234567", "each training in a folder of its own"
        assert os.environ[report_to.WANDB] == "/wandb"
