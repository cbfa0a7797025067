"""Versions that changed since a stage was finished."""

import json
from typing import Any

import pytest

from sft.experiments.planning import plan_warnings
from sft.experiments.planning.plan_warnings import recorded_versions, version_warnings
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import JobRecord, StageName


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_warnings, "versions", lambda: {"python": "3.11.7", "peft": "0.21.0"})


def finished(made: Any, key: str, versions: Any, stage: StageName = "train") -> PlannedJob:
    text = json.dumps({"environment": {"versions": versions}})
    folder = made.planned(key, key) if stage == "evaluate" else made.stage(stage, key)
    return PlannedJob(made.finish(folder, stage, text), JobRecord(stage, key, key, {}, "/", {}), ())


def test_equal_versions_say_nothing(made: Any) -> None:
    assert version_warnings([finished(made, "a", {"python": "3.11.7", "peft": "0.21.0"})]) == []
    assert version_warnings([]) == []


def test_each_change_is_one_line_for_all_stages(made: Any) -> None:
    jobs = [finished(made, f"t{number}", {"peft": "0.20.0"}) for number in range(3)]
    jobs.append(finished(made, "i", {"peft": "0.21.0", "trl": "1.0"}, "infer"))
    jobs.append(finished(made, "e", {"python": "3.10.1"}, "evaluate"))
    kept = "results are kept (a stage whose folder is deleted runs again)"
    assert version_warnings(jobs) == [
        f"3 finished train stages used peft 0.20.0, installed is 0.21.0; {kept}",
        f"1 finished infer stage used trl 1.0, installed is none; {kept}",
        f"1 finished evaluate stage used python 3.10.1, installed is 3.11.7; {kept}",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"environment": 3}', '{"environment": {"versions": [1]}}'])
def test_a_record_without_versions_says_nothing(made: Any, text: str) -> None:
    assert dict(recorded_versions(made.finish(made.stage("train", "t"), "train", text), "train")) == {}
