"""A task type and an objective from outside: one file, and a line in each of the two mappings."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.objectives import objective_registry
from sft.tasks import task_registry

OURS = """
import json

from sft.evaluation.outputs import SplitOutput
from sft.inference.answering import Answered
from sft.models.objective import Answers, Objective
from sft.runs.records import EVAL
from sft.tasks.task import Task


class LastWord:
    def has_step(self, config, step):
        return step < 7

    def rows_at_once(self, config, step, device):
        return 70 - step

    def answer_tokens(self, inputs, prompts):
        return 0

    def answer(self, asked, job):
        lines = [f"{row.row.text('text').split()[-1]}\\n" for rows in asked.rows.values() for row in rows]
        job.texts.write_text("".join(lines))
        return Answered(job.texts, "words are read one by one")


ANSWERING = LastWord()


def refuse(model, tokenizer, rows, dev_rows, settings, progress):
    raise NotImplementedError(f"{model.peft_config['default'].task_type} of {len(rows)} rows")


def read_words(infers, inputs, folder):
    return {"test": SplitOutput(infers[EVAL].texts.read_text().split())}


OBJECTIVE = Objective(
    name="last_word",
    auto_class="AutoModelForCausalLM",
    classes="MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    model_kinds=("decoder",),
    peft_task_type="FEATURE_EXTRACTION",
    trainer=f"{__name__}:refuse",
    answers={"texts": Answers(infer=f"{__name__}:ANSWERING", read=f"{__name__}:read_words")},
    key_fields={"objective": "last_word"},
)
TASK = Task(
    name="word",
    objectives=("last_word",),
    output="texts",
    settings=frozenset({"dataset.labels"}),
    counts_per_label=False,
    default_metrics=("exact_match",),
    label_set=lambda dataset, splits, column: None,
    answer=lambda row, column, labels: row.text(column),
)


def share_of_hits(predictions, references):
    return sum(map(str.__eq__, predictions, references)) / len(references)
"""


@pytest.fixture
def words(
    project: Path,
    raw: Callable[..., dict[str, Any]],
    zero_shot: dict[str, Any],
    plan_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The planned experiment of the task type of ours."""
    (project / "site").mkdir()
    (project / "site" / "words_of_mine.py").write_text(OURS)
    monkeypatch.syspath_prepend(str(project / "site"))
    monkeypatch.setitem(objective_registry, "last_word", "words_of_mine:OBJECTIVE")  # type: ignore[arg-type]
    monkeypatch.setitem(task_registry, "word", "words_of_mine:TASK")  # type: ignore[arg-type]
    patch = {"dataset": {"task_type": "word"}, "evaluation": {"metrics": ["words_of_mine:share_of_hits"]}}
    patch |= {"inference": {"generation_args": {"max_new_tokens": 5}}}
    return plan_of(project, a=raw(zero_shot, patch)).experiments[0]


def test_its_settings_and_key_fields_are_in_the_plan(words: Any) -> None:
    from sft.pipeline.unused_keys import without_effect

    config, keys = words.experiment.config, words.keys
    assert without_effect(config) == ["inference.generation_args"]
    assert keys.fields[keys.infer]["objective"] == "last_word"
    assert "generation_args" not in keys.fields[keys.infer]
    assert "objective" not in keys.fields[keys.evaluate]


def test_its_memory_steps_are_asked(words: Any) -> None:
    from sft.inference.memory import Sizes, batch_limits
    from sft.pipeline.jobs import has_memory_step
    from sft.runs.records import JobRecord

    config = words.experiment.config
    record = JobRecord("infer", "0" * 16, "a", config.model_dump(mode="json"), "", {})
    asked = [has_memory_step(record, step) for step in (0, 6, 7)]
    assert asked == [True, True, False]
    limits = batch_limits(config, 2, Sizes(10, 10, 10, 1), "cpu", None)
    assert limits is not None
    assert limits.rows == 68


def test_its_answers_are_written_read_and_scored(words: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sft.evaluation.stage import run as evaluate
    from sft.inference import stage
    from sft.pipeline.jobs import ExperimentFolders, jobs_of
    from sft.runs.files import ResultsFolder
    from sft.runs.progress import Progress

    asked: list[str] = []
    monkeypatch.setattr(stage, "load_model", lambda source, objective: _model(asked, objective))
    results = ResultsFolder(project / "results")
    jobs = jobs_of(words.experiment, words.keys, ExperimentFolders(results), results, "metrics")
    for job, run in zip(jobs, (stage.run, evaluate), strict=True):
        job.folder.path.mkdir(parents=True)
        run(job.folder, job.record, Progress(job.folder.progress, job.record.stage), time.perf_counter())
    assert asked == ["last_word"]
    inference = json.loads(jobs[0].folder.inference.read_text())
    assert (inference["batch_size"], inference["slow_reason"]) == (70, "words are read one by one")
    assert json.loads(jobs[1].folder.metrics.read_text())["results"]["share_of_hits"] == 1


def test_its_trainer_gets_the_model_with_an_adapter_of_its_task_type(
    words: Any, project: Path, raw: Callable[..., Any], plan_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sft.pipeline.jobs import ExperimentFolders, jobs_of
    from sft.runs.files import ResultsFolder
    from sft.runs.progress import Progress
    from sft.training import stage

    asked: list[str] = []
    monkeypatch.setattr(stage, "load_model", lambda source, objective: _model(asked, objective))
    patch = {"dataset": {"task_type": "word"}, "evaluation": {"metrics": ["words_of_mine:share_of_hits"]}}
    planned = plan_of(project, a=raw(patch)).experiments[0]
    results = ResultsFolder(project / "results")
    (job,) = jobs_of(planned.experiment, planned.keys, ExperimentFolders(results), results, "adapter")
    job.folder.path.mkdir(parents=True)
    with pytest.raises(NotImplementedError, match="FEATURE_EXTRACTION of 2 rows"):
        stage.run(job.folder, job.record, Progress(job.folder.progress, "train"), time.perf_counter())
    assert asked == ["last_word"]


def _model(asked: list[str], objective: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    asked.append(objective.name)
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=20))
