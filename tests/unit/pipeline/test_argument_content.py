"""Files among the arguments of the trainer and of metrics count by their content, wherever they lie."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.exceptions import DataError
from sft.experiments.planning.checks.sections import SectionChecks
from sft.runs.records import JobRecord
from sft.tasks.planned import check_unchanged
from sft.training.argument_files import check_argument_files, with_paths

Raw = Callable[..., dict[str, Any]]
DEEPSPEED = {"training": {"trainer_args": {"deepspeed": "zero.json"}}}
METRIC = {"evaluation": {"metrics": ["./mine"]}}


@pytest.fixture
def with_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (project / "zero.json").write_text("{}")
    (project / "mine").mkdir()
    (project / "mine" / "mine.py").write_text("score = 1")
    (project / "checkpoint").mkdir()
    (project / "checkpoint" / "weights").write_text("1")
    monkeypatch.setattr(SectionChecks, "findings", lambda self, config: [])
    return project


@pytest.mark.parametrize(
    ("patch", "file", "expected"),
    [
        (DEEPSPEED, "zero.json", "tie"),
        (METRIC, "mine/mine.py", "e"),
        ({"evaluation": {"metrics": ["bleurt"], "bleurt_checkpoint": "checkpoint"}}, "checkpoint/weights", "e"),
        ({}, "zero.json", ""),
    ],
    ids=str,
)
def test_an_edited_file_moves_what_reads_it_and_its_place_moves_nothing(
    with_files: Path,
    plan_of: Callable[..., Any],
    raw: Raw,
    tmp_path: Path,
    patch: dict[str, Any],
    file: str,
    expected: str,
) -> None:
    def keys(folder: Path) -> tuple[Any, ...]:
        found = plan_of(folder, a=raw(patch)).experiments[0].keys
        return found.train, found.infer, found.evaluate

    before = keys(with_files)
    elsewhere = shutil.copytree(with_files, tmp_path / "elsewhere" / "copy")
    assert keys(elsewhere) == before
    (with_files / file).write_text("edited")
    moved = "".join(letter for letter, old, new in zip("tie", before, keys(with_files), strict=True) if old != new)
    assert moved == expected


@pytest.mark.parametrize(
    ("stage", "patch", "file"), [("train", DEEPSPEED, "zero.json"), ("evaluate", METRIC, "mine/a")]
)
def test_a_stage_refuses_a_file_that_is_not_what_its_plan_saw(
    with_files: Path, plan_of: Callable[..., Any], raw: Raw, stage: Any, patch: dict[str, Any], file: str
) -> None:
    experiment = plan_of(with_files, a=raw(patch)).experiments[0].experiment
    prints = experiment.fingerprint_record()
    record = JobRecord(stage, "key", "a", experiment.resolved_config(), str(with_files), prints)
    check_unchanged(record, ExperimentConfig.model_validate(record.config))
    (with_files / file).write_text("edited")
    with pytest.raises(DataError, match="changed since the plan"):
        check_unchanged(record, ExperimentConfig.model_validate(record.config))


def test_a_file_that_is_not_there_is_told_and_the_stage_gets_whole_paths(tmp_path: Path) -> None:
    args = {"deepspeed": "zero.json", "fsdp_config": {"a": 1}, "accelerator_config": ' {"split_batches": true}'}
    [(key, message)] = check_argument_files(args, tmp_path)
    assert key == "deepspeed"
    assert message == f"'zero.json': no file {tmp_path / 'zero.json'}; paths are relative to the config"
    (tmp_path / "zero.json").write_text("{}")
    assert check_argument_files(args, tmp_path) == []
    assert with_paths(args, tmp_path) == args | {"deepspeed": str((tmp_path / "zero.json").resolve())}
