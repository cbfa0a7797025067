"""Where findings are told, and which of several."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.exceptions import MachineError, PackageMissing
from sft.experiments.planning.checks import sections
from sft.experiments.planning.checks.sections import SectionChecks

Raw = Callable[..., dict[str, Any]]


def found(project: Path, written: dict[str, Any]) -> list[tuple[str, str]]:
    return SectionChecks(project).findings(ExperimentConfig.model_validate(written))


def test_a_method_that_does_not_train_the_base_is_told_where_it_is_written(
    project: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "refusal", lambda *given: "not on this base")
    assert found(project, raw()) == [("lora", "not on this base")]
    assert found(project, raw({"lora": ..., "adapter": {"method": "ia3"}})) == [("adapter.method", "not on this base")]


def test_what_is_to_be_left_out_needs_nothing_beside_it(project: Path, raw: Raw) -> None:
    training = {"objective": "t_few", "trainer_args": {"packing": True}}
    (finding,) = found(project, raw({"training": training}))
    assert finding[0] == "training.trainer_args.packing"
    assert finding[1].endswith("leave it out")


def test_what_the_user_must_change_is_told_before_what_the_machine_lacks(
    project: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*given: Any) -> None:
        raise PackageMissing("evaluate", "a metric", "pip install evaluate")

    monkeypatch.setattr(sections, "require_packages", lacks)
    with pytest.raises(MachineError, match="evaluate"):
        found(project, raw())
    wrong = {"inference": {"generation_args": {"no_such_key": 1}}}
    assert [path for path, _ in found(project, raw(wrong))] == ["inference.generation_args.no_such_key"]


def test_wrong_data_too_are_told_before_it(
    project: Path, raw: Raw, plan_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sft.exceptions import InvalidExperiments

    def lacks(*given: Any) -> None:
        raise PackageMissing("evaluate", "a metric", "pip install evaluate")

    monkeypatch.setattr(sections, "require_packages", lacks)
    with pytest.raises(InvalidExperiments, match="no_such_column"):
        plan_of(project, a=raw({"prompting": {"input_columns": ["no_such_column"]}}))
