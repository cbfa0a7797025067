"""Training, inference, inspection and the checks of a plan give one row the same ids, or this says who does not."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.experiments.planning.checks import tokenizer_child
from sft.inference import generation as generating
from sft.inference import stage as inference_stage
from sft.inference.encoder_decoder import scoring as source_scoring
from sft.inference.label_scoring import scoring
from sft.inference.label_scoring.grouping import PassLimits
from sft.models.loading import ModelSource, load_config
from sft.pipeline import prompts
from sft.pipeline.inspection import inspect_experiment
from sft.pipeline.jobs import ExperimentFolders, jobs_of
from sft.prompts import Encoded, PromptBuilder
from sft.prompts.train_row import SourceRow
from sft.runs.files import ResultsFolder
from sft.runs.progress import Progress
from sft.tasks.prompting import PromptMaker
from sft.training import stage as training_stage
from sft.training import trainer
from tests.support.encoder_decoders import become_t5

MAKERS: dict[str, ModuleType] = {
    "training": training_stage,
    "inference": inference_stage,
    "inspection": prompts,
    "plan": tokenizer_child,
}
Ids = tuple[tuple[int, ...], tuple[int, ...] | None]
"""Prompt and completion of a row; None where its user makes no completion."""


class _Handed(BaseException):
    """What a stage hands to its model."""


@dataclass(frozen=True)
class Users:
    """Those who make ids of the rows of one experiment, whose test rows are its train rows."""

    experiment: Any
    keys: Any
    patch: pytest.MonkeyPatch
    openings: dict[str, set[tuple[int, ...]]] = field(default_factory=dict)
    """What a decoder of its own begins with, by user."""

    def ids(self) -> dict[str, list[Ids]]:
        """The ids of all rows by user, in the order of the rows."""
        return {
            "training": self._training(),
            "inference": self._inference(),
            "inspection": self._inspected("test"),
            "inspection of training": self._inspected("train"),
            "plan": self._plan(),
        }

    def _training(self) -> list[Ids]:
        self.patch.setattr(training_stage, "attach_adapter", lambda *arguments: arguments[0])
        rows = self._handed("train", trainer, "train_model")[2]
        if isinstance(rows[0], SourceRow):
            self.openings["training"] = {row.opening for row in rows}
            return [(row.input_ids, row.labels) for row in rows]
        starts = [sum(label == -100 for label in row.labels) for row in rows]
        return [(row.input_ids[:start], row.input_ids[start:]) for row, start in zip(rows, starts, strict=True)]

    def _inference(self) -> list[Ids]:
        self.patch.setattr(inference_stage, "_limits", lambda *arguments: PassLimits(tokens=64, rows=1))
        if self.experiment.config.dataset.task_type == "generation":
            _, _, prompts, settings, *_ = self._handed("infer", generating, "generate_texts")
            self.openings["inference"] = {settings.opening}
            return [(ids, None) for ids in prompts]
        if self.experiment.config.model.auto_class:
            _, rows, opening, labels, *_ = self._handed("infer", source_scoring, "score_labels")
            self.openings["inference"] = {opening}
        else:
            _, rows, labels, *_ = self._handed("infer", scoring, "score_labels")
        golds = [["bad", "good", "mixed"].index(row["label"]) for row in self._rows()]
        return [(ids, (*labels[gold][0], *labels[gold][1])) for ids, gold in zip(rows, golds, strict=True)]

    def _inspected(self, split: str) -> list[Ids]:
        rows = [row for row in inspect_experiment(self.experiment, 100)["rows"] if row["split"] == split]
        self.openings[f"inspection of {split}"] = {tuple(row.get("opening_ids", ())) for row in rows}
        return [(tuple(row["prompt_ids"]), tuple(row["completion_ids"])) for row in rows]

    def _plan(self) -> list[Ids]:
        made: dict[str, Encoded] = {}
        encode = PromptBuilder.encode

        def kept(builder: PromptBuilder, rounds: Any, row: Any, *limits: Any, **cut: Any) -> Encoded:
            made[row.inputs["text"]] = encoded = encode(builder, rounds, row, *limits, **cut)
            return encoded

        rows, labels = self._rows(), self.experiment.fingerprints.labels
        question = {
            "config": self.experiment.config.resolved(),
            "folder": str(self.experiment.folder),
            "labels": labels,
            "rows": [["", {"text": row["text"]}, row["label"]] for row in rows],
            "revision": None,
            "template_revision": None,
            "texts": [],
        }
        with self.patch.context() as patch:
            patch.setattr(PromptBuilder, "encode", kept)
            assert tokenizer_child.examine(question).findings == []
        return [(made[row["text"]].prompt_ids, made[row["text"]].completion_ids) for row in rows]

    def _handed(self, stage: str, home: ModuleType, model_call: str) -> Any:
        def hand(*arguments: Any) -> None:
            raise _Handed(arguments)

        module = training_stage if stage == "train" else inference_stage
        results = ResultsFolder(self.experiment.folder / "results")
        jobs = jobs_of(self.experiment, self.keys, ExperimentFolders(results), results, "predictions")
        job = next(job for job in jobs if job.record.stage == stage)
        model = SimpleNamespace(config=load_config(ModelSource("model", self.experiment.folder)))
        self.patch.setattr(module, "load_model", lambda *arguments: model)
        self.patch.setattr(module, "load_adapter", lambda model, folder: model, raising=False)
        self.patch.setattr(module, "context_length", lambda model: None)
        self.patch.setattr(home, model_call, hand)
        with pytest.raises(_Handed) as caught:
            module.run(job.folder, job.record, Progress(self.experiment.folder / "progress.json", stage), 0.0)
        return caught.value.args[0]

    def _rows(self) -> list[dict[str, Any]]:
        lines = (self.experiment.folder / "data" / "test.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def users(
    project: Path,
    plan_of: Callable[..., Any],
    raw: Callable[..., Any],
    rewrite: Callable[..., None],
    generation: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Users]:
    def make(task: str, format: str) -> Users:
        rows = [json.loads(line) for line in (project / "data" / "train.jsonl").read_text().splitlines()]
        rewrite(project, "test", lambda _: rows)
        if format == "source":
            become_t5(project / "model")
        changes = [{"dataset": {"shots": "all"}, "prompting": {"format": format if format != "source" else "auto"}}]
        changes += [generation] if task == "generation" else []
        planned = plan_of(project, a=raw(*changes)).experiments[0]
        return Users(planned.experiment, planned.keys, monkeypatch)

    return make


@pytest.mark.parametrize("format", ["chat", "plain", "source"])
@pytest.mark.parametrize("task", ["classification", "generation"])
def test_all_users_give_a_row_the_same_ids(users: Callable[..., Users], task: str, format: str) -> None:
    asked = users(task, format)
    made = asked.ids()
    assert all(opening == asked.openings["inspection of test"] for opening in asked.openings.values())
    expected = made["inspection"]
    assert len({prompt for prompt, _ in expected}) == len(expected) > 3
    for user, rows in made.items():
        assert [prompt for prompt, _ in rows] == [prompt for prompt, _ in expected], user
        assert [completion or right for (_, completion), (_, right) in zip(rows, expected, strict=True)] == [
            completion for _, completion in expected
        ], user


@pytest.mark.parametrize("altered", MAKERS)
def test_the_comparison_sees_whoever_makes_others(
    users: Callable[..., Users], altered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(config: ExperimentConfig, *arguments: Any) -> PromptMaker:
        prompting = config.prompting.model_copy(update={"instruction": "Other."})
        return PromptMaker(config.model_copy(update={"prompting": prompting}), *arguments)

    monkeypatch.setattr(MAKERS[altered], "PromptMaker", other)
    made = users("classification", "chat").ids()
    right = [rows for user, rows in made.items() if not user.startswith(altered)]
    wrong = [rows for user, rows in made.items() if user.startswith(altered)]
    assert all(rows == right[0] for rows in right)
    assert all(one != two for rows in wrong for one, two in zip(rows, right[0], strict=True))
