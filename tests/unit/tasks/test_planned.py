from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft import registry
from sft.evaluation.metrics.own import compute_own_metric
from sft.exceptions import DataError
from sft.pipeline.jobs import ExperimentFolders, jobs_of
from sft.runs.files import ResultsFolder
from sft.runs.records import JobRecord
from sft.tasks.inputs import inputs_of_job

METRIC = "def constant(predictions, references):\n    return 1.0\n"
INITIALISER = "def start(layer, rank, dtype=None):\n    return {}\n"
TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


@pytest.fixture(autouse=True)
def _no_snapshots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SNAPSHOTS", {})


@pytest.fixture
def jobs(project: Path, raw: Callable[..., Any], plan_of: Callable[..., Any]) -> Callable[..., dict[str, JobRecord]]:
    (project / "metric.py").write_text(METRIC)
    (project / "start.py").write_text(INITIALISER)
    (project / "own.jinja").write_text(TEMPLATE)
    (project / "words").mkdir()
    (project / "words" / "tokenizer.json").write_bytes((project / "model" / "tokenizer.json").read_bytes())

    def make(*patches: dict[str, Any]) -> dict[str, JobRecord]:
        planned = plan_of(project, a=raw(*patches)).experiments[0]
        results = ResultsFolder(project / "results")
        made = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "metrics")
        return {job.record.stage: job.record for job in made}

    return make


def edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


OWN_TEMPLATE = {"model": {"chat_template_from": "own.jinja"}}
MODULE = {"evaluation": {"metrics": ["planned_metric:constant"]}}


@pytest.mark.parametrize(
    ("patch", "file", "readers", "name"),
    [
        ({}, "model/config.json", {"train", "infer"}, "model"),
        ({}, "model/tokenizer.json", {"train", "infer"}, "model"),
        (OWN_TEMPLATE, "own.jinja", {"train", "infer"}, "own.jinja"),
        (MODULE, "planned_metric.py", {"evaluate"}, "planned_metric:constant"),
    ],
)
def test_an_edit_after_the_plan_fails_the_stages_that_read_it(
    jobs: Callable[..., Any],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    patch: dict[str, Any],
    file: str,
    readers: set[str],
    name: str,
) -> None:
    (project / "planned_metric.py").write_text(METRIC)
    monkeypatch.syspath_prepend(str(project))
    planned = jobs(patch)
    for record in planned.values():
        inputs_of_job(record)
    edit(project / file)
    for stage, record in planned.items():
        refused = pytest.raises(DataError, match=f"^{name} changed since the plan")
        with refused if stage in readers else nullcontext():
            inputs_of_job(record)


def test_a_tokenizer_of_metrics_is_read_by_the_evaluation(
    jobs: Callable[..., Any], project: Path, generation: dict[str, Any]
) -> None:
    planned = jobs(generation, {"evaluation": {"tokenizer_name": "words"}})
    edit(project / "words" / "tokenizer.json")
    inputs_of_job(planned["infer"])
    for record in (planned["evaluate"], replace(planned["evaluate"], stage="baseline")):
        with pytest.raises(DataError, match="words changed since the plan"):
            inputs_of_job(record)


def test_a_model_that_is_gone_has_changed(jobs: Callable[..., Any], project: Path) -> None:
    planned = jobs()
    (project / "model").rename(project / "elsewhere")
    with pytest.raises(DataError, match="model changed since the plan"):
        inputs_of_job(planned["infer"])


def test_own_code_runs_as_it_was_planned(jobs: Callable[..., Any], project: Path) -> None:
    record = jobs({"evaluation": {"metrics": ["metric.py:constant"]}})["evaluate"]
    (project / "metric.py").write_text(METRIC.replace("1.0", "2.0"))
    inputs_of_job(record)
    assert compute_own_metric("metric.py:constant", ["a"], ["a"], project).value == 1.0
    (project / "metric.py").unlink()
    assert compute_own_metric("metric.py:constant", ["a"], ["a"], project).value == 1.0


def test_a_job_carries_the_source_of_the_own_code_that_its_stage_runs(jobs: Callable[..., Any]) -> None:
    names = {"evaluation": {"metrics": ["metric.py:constant"]}, "lora": {"init_lora_weights": "start.py:start"}}
    carried = {stage: record.code for stage, record in jobs(names).items()}
    assert carried == {
        "train": {"start.py:start": INITIALISER},
        "infer": {},
        "evaluate": {"metric.py:constant": METRIC},
    }
