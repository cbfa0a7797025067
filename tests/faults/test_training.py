"""Trainings of a real tiny model that are stopped, killed, poisoned, or that diverge."""

import gc
import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sft.exceptions import StageFailure, UserError
from sft.pipeline import stage_registry
from sft.pipeline.jobs import ExperimentFolders, has_memory_step, jobs_of
from sft.processes import signals
from sft.processes.signals import STOPPED_EXIT_CODE, StopRequested
from sft.registry import load
from sft.runs.files import JobFolder, ResultsFolder
from sft.runs.manifest import is_done
from sft.runs.progress import Progress, read_progress
from sft.runs.records import JobRecord, write_record

ARGS = {"learning_rate": 1e-3, "num_train_epochs": 3, "per_device_train_batch_size": 2}
"""Of 6 rows: 9 steps."""

SIGMOID_HEAD = {
    "dataset": {"task_type": "multilabel", "labels_separator": ";"},
    "model": {"auto_class": "AutoModelForSequenceClassification"},
}
"""A new head with one output for each label, each judged by itself."""

PATIENCE = 120.0
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Job:
    """The job of one stage."""

    folder: JobFolder
    record: JobRecord

    def run(self, memory_step: int = 0) -> None:
        """Run the stage in this process."""
        record = replace(self.record, memory_step=memory_step)
        run = load(stage_registry, record.stage, "stage")
        run(self.folder, record, Progress(self.folder.progress, record.stage), time.perf_counter())


class Training(Job):
    """The job of one train stage."""

    def checkpoint(self, step: int) -> Path:
        return self.folder.checkpoints / f"checkpoint-{step}"

    @property
    def adapter(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.adapter.iterdir()}

    @property
    def outcome(self) -> Any:
        return json.loads(self.folder.training.read_text())

    @property
    def curve(self) -> Any:
        return self.outcome["loss_curve"]

    def assert_nothing_made(self) -> None:
        assert not self.folder.adapter.exists()
        assert not self.folder.manifest.exists()
        assert not self.folder.training.exists()


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def planned(project: Path, plan_of: Callable[..., Any], tmp_path: Path, one_thread: None) -> Callable[..., Any]:
    """The jobs of a config on a random model, in a results folder."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = json.loads((project / "model" / "config.json").read_text())
    torch.manual_seed(0)
    settings.pop("architectures")
    LlamaForCausalLM(LlamaConfig(**settings, initializer_range=0.2)).save_pretrained(project / "model")

    def jobs(results: str, config: Any, goal: Any) -> Any:
        found = plan_of(project, a=config).experiments[0]
        place = ResultsFolder(tmp_path / results)
        made = jobs_of(found.experiment, found.keys, ExperimentFolders(place), place, goal)
        for job in made:
            write_record(job.folder.job, job.record)
        return made

    return jobs


@pytest.fixture
def make(raw: Callable[..., Any], planned: Callable[..., Any]) -> Callable[..., Training]:
    """A train job of a LoRA with dropout, in a results folder of its own."""

    def build(results: str, args: Any = None, patch: Any = None, **lora: Any) -> Training:
        training = {"trainer_args": {**ARGS, **(args or {})}}
        own = {"lora": {"lora_dropout": 0.2, **lora}, "training": training}
        (job,) = planned(results, raw(own, {"dataset": {"splits": {"test": "test"}}}, patch or {}), "adapter")
        return Training(job.folder, job.record)

    return build


@pytest.fixture(autouse=True)
def short_collections() -> None:
    """Each training collects garbage, which takes longer than itself where all modules are looked at."""
    if "trl" in sys.modules and not gc.get_freeze_count():
        gc.freeze()


@pytest.fixture
def during_step(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Does something at the beginning of a step: `at` is its number, `do` is called with the trainer and its rows."""
    from sft.training.checked_trainer import CheckedTrainer

    plan = SimpleNamespace(at=None, do=lambda trainer, rows: None)
    step = CheckedTrainer.training_step

    def watched(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if plan.at in (None, self.state.global_step + 1):
            plan.do(self, inputs["input_ids"])
        return step(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(CheckedTrainer, "training_step", watched)
    return plan


@pytest.fixture
def listening() -> Iterator[None]:
    """Answers SIGTERM as a worker does."""
    before = signal.getsignal(signal.SIGTERM)
    signals.listen()
    yield
    signals.listen()  # forgets the request
    signal.signal(signal.SIGTERM, before)


def terminate(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def die(*_: Any) -> None:
    raise KeyboardInterrupt


def interrupted(training: Training, during_step: SimpleNamespace, at: int) -> None:
    """Kill a training in a step."""
    during_step.at, during_step.do = at, die
    with pytest.raises(KeyboardInterrupt):
        training.run()
    during_step.do = lambda *_: None


SAVING = {"save_strategy": "steps", "save_steps": 2}


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize(
    ("init", "patch"),
    [(True, {}), (True, SIGMOID_HEAD), pytest.param("pissa", {}, marks=pytest.mark.slow)],
    ids=["lora", "sigmoid_head", "pissa"],
)
def test_on_sigterm_a_training_saves_and_goes_on_later__row_8(make, during_step, init, patch):
    whole, stopped = (make(name, patch=patch, init_lora_weights=init) for name in ("whole", "stopped"))
    whole.run()
    during_step.at, during_step.do = 4, terminate
    with pytest.raises(StopRequested):
        stopped.run()
    stopped.assert_nothing_made()
    assert {path.name for path in stopped.folder.checkpoints.iterdir()} == {"start", "checkpoint-4"}
    signals.listen()
    during_step.do = lambda *_: None
    stopped.run()
    assert stopped.adapter == whole.adapter
    assert stopped.curve == whole.curve
    assert (whole.outcome["n_resumed_from"], stopped.outcome["n_resumed_from"]) == (None, 4)
    assert is_done(stopped.folder)
    assert not stopped.folder.checkpoints.exists()


@pytest.mark.usefixtures("listening")
def test_asked_in_its_last_step_a_training_finishes__row_8(make, during_step):
    training = make("results")
    during_step.at, during_step.do = 9, terminate
    training.run()
    assert is_done(training.folder)
    assert not training.folder.checkpoints.exists()


def worker(job: JobFolder) -> subprocess.Popen[bytes]:
    """The worker of a job in a process of its own."""
    job.attempt(1).path.mkdir(parents=True, exist_ok=True)
    settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    with job.attempt(1).stderr.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "sft.worker", str(job.path)], env=os.environ | settings, stderr=log
        )


def has_begun(job: JobFolder, process: subprocess.Popen[bytes]) -> None:
    """Wait until a worker knows how much there is to do."""
    deadline = time.monotonic() + PATIENCE
    while (told := read_progress(job.progress)) is None or told.total == 0:
        assert process.poll() is None, job.attempt(1).stderr.read_text()
        assert time.monotonic() < deadline, "the worker never began"
        time.sleep(0.01)


@pytest.mark.slow
def test_the_worker_exits_75_and_its_successor_ends_with_the_same_adapter__row_8(make):
    args = {"num_train_epochs": 60}
    whole, stopped = make("whole", args, init_lora_weights="pissa"), make("stopped", args, init_lora_weights="pissa")
    assert worker(whole.folder).wait(PATIENCE) == 0, whole.folder.attempt(1).stderr.read_text()
    process = worker(stopped.folder)
    has_begun(stopped.folder, process)
    process.terminate()
    assert process.wait(PATIENCE) == STOPPED_EXIT_CODE
    stopped.assert_nothing_made()
    stopped.folder.progress.unlink()
    assert worker(stopped.folder).wait(PATIENCE) == 0, stopped.folder.attempt(1).stderr.read_text()
    step = stopped.outcome["n_resumed_from"]
    assert 0 < step < 180
    assert f"the training goes on from step {step}" in stopped.folder.attempt(1).stderr.read_text()
    assert (stopped.adapter, stopped.curve) == (whole.adapter, whole.curve)


CHECKPOINT_FILES = (
    *("adapter.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth"),
    *("trainer_state.json", "piece.json", "manifest.json"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) for name in CHECKPOINT_FILES[1:]] + [CHECKPOINT_FILES[0]]
)
def test_a_half_written_checkpoint_falls_back_to_the_one_before__row_36(make, during_step, caplog, name):
    whole, killed = make("whole", SAVING), make("killed", SAVING)
    whole.run()
    interrupted(killed, during_step, at=6)
    assert {path.name for path in killed.checkpoint(4).iterdir()} == set(CHECKPOINT_FILES)
    cut = killed.checkpoint(4) / name
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    killed.run()
    assert "checkpoint of step 4 is not used: " in caplog.text
    assert killed.outcome["n_resumed_from"] == 2
    assert (killed.adapter, killed.curve) == (whole.adapter, whole.curve)


@pytest.mark.slow
@pytest.mark.parametrize("broken", [["start"], ["checkpoint-2", "checkpoint-4"]], ids=str)
def test_without_any_whole_checkpoint_it_starts_anew_and_says_so__row_36(make, during_step, caplog, broken):
    whole, killed = make("whole", SAVING), make("killed", SAVING)
    whole.run()
    interrupted(killed, during_step, at=6)
    for name in broken:
        (killed.folder.checkpoints / name / "manifest.json").write_bytes(b'{"schema": 1, "fil')
    killed.run()
    assert "the training starts anew" in caplog.text
    assert killed.outcome["n_resumed_from"] is None
    assert (killed.adapter, killed.curve) == (whole.adapter, whole.curve)


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._canary,))


@pytest.mark.parametrize(
    ("name", "marked"),
    [
        ("optimizer.pt", False),
        ("rng_state.pth", True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("optimizer.pt", True),
                ("scheduler.pt", True),
                ("scheduler.pt", False),
                ("rng_state.pth", False),
                ("training_args.bin", True),
                ("optimizer.bin", False),
            )
        ),
    ],
)
def test_a_planted_pickle_is_never_unpickled__row_37(make, during_step, tmp_path, name, marked):
    """Without our manifest nothing in a checkpoint is read; under a forged one only what is no code."""
    from sft.training.checkpoints import CheckpointFolder

    canary = tmp_path / "canary"
    pickled = pickle.dumps(Planted(canary))
    pickle.loads(pickled)
    assert canary.exists(), "the pickle does what it should"
    canary.unlink()
    training = make("results", SAVING)
    interrupted(training, during_step, at=6)
    torch.save(Planted(canary), training.checkpoint(4) / name)
    if marked:
        CheckpointFolder(training.folder.checkpoints).complete(training.checkpoint(4))
    is_read = marked and not name.endswith(".bin")
    if is_read:
        with pytest.raises(StageFailure, match="holds more than tensors") as raised:
            training.run()
        assert raised.value.kind == "refused"
    else:
        training.run()
        assert training.outcome["n_resumed_from"] == (4 if marked else 2)
    assert not canary.exists()


def test_an_adapter_that_is_no_safetensors_is_refused__row_37(make, tmp_path):
    from sft.adapters.saving import load_adapter

    training = make("results")
    training.run()
    canary = tmp_path / "canary"
    torch.save(Planted(canary), training.folder.adapter / "adapter_model.bin")
    (training.folder.adapter / WEIGHTS).unlink()
    with pytest.raises(UserError, match="only safetensors are read"):
        load_adapter(torch.nn.Linear(2, 2), training.folder.adapter)
    assert not canary.exists()


@pytest.mark.parametrize("accumulation", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_diverging_training_ends_and_leaves_no_adapter__row_38(make, accumulation):
    args = {"learning_rate": 1e30, "gradient_accumulation_steps": accumulation, "logging_steps": 100, **SAVING}
    training = make("results", args | {"save_steps": 1})
    text = rf"loss became NaN at step 2 of {9 // accumulation} \(learning_rate 1e\+30\)\. The adapter was not saved\."
    with pytest.raises(StageFailure, match=text) as raised:
        training.run()
    assert raised.value.kind == "diverged"
    training.assert_nothing_made()
    assert not training.folder.checkpoints.exists(), "it would diverge again"


@pytest.mark.slow
@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1e38])
@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_a_gradient_that_is_not_finite_ends_the_training__row_38(make, during_step, factor, clip):
    """Finite gradients whose norm is infinite count: clipping would make each of them 0."""

    def spoil(trainer: Any, _rows: Any) -> None:
        next(p for p in trainer.model.parameters() if p.requires_grad).register_hook(
            lambda gradient: gradient + factor
        )

    training = make("results", {"max_grad_norm": clip, "gradient_accumulation_steps": 3})
    during_step.at, during_step.do = 2, spoil
    with pytest.raises(StageFailure, match=r"gradient became (NaN|infinite) at step 2 of 3") as raised:
        training.run()
    assert raised.value.kind == "diverged"
    training.assert_nothing_made()


def test_out_of_memory_in_the_stage_is_answered_by_less_of_it__row_15(make, during_step, caplog):
    """As the runner does: each time the stage runs out of memory it is run again, one step further."""
    from sft.worker.failures import error_record

    caplog.set_level(logging.ERROR)
    wide = {"per_device_train_batch_size": 6, "num_train_epochs": 4}
    whole, small = make("whole", wide, lora_dropout=0.0), make("small", wide, lora_dropout=0.0)
    whole.run()

    def too_large(_trainer: Any, rows: Any) -> None:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    during_step.do = too_large
    for step in range(3):
        assert has_memory_step(small.record, step + 1)
        with pytest.raises(torch.OutOfMemoryError) as raised:
            small.run(memory_step=step)
        assert error_record(raised.value).kind == "oom_gpu"
        small.assert_nothing_made()
    small.run(memory_step=3)
    outcome = small.outcome
    assert (outcome["memory_step"], whole.outcome["memory_step"]) == (3, 0)
    recorded = {"micro_batch_size": 1, "gradient_accumulation_steps": 6, "gradient_checkpointing": True}
    assert {name: outcome[name] for name in recorded} == recorded
    assert (outcome["effective_batch_size"], outcome["n_steps"]) == (6, 4)
    losses = [point["loss"] for point in whole.curve]
    assert [point["loss"] for point in small.curve] == pytest.approx(losses, abs=1e-4)


@pytest.mark.slow
def test_a_smaller_micro_batch_goes_on_from_the_checkpoint__row_15(make, during_step):
    args = {"per_device_train_batch_size": 4, "gradient_checkpointing": True, **SAVING}
    training = make("results", args)

    def late(trainer: Any, rows: Any) -> None:
        if trainer.state.global_step == 4 and len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    during_step.do = late
    with pytest.raises(torch.OutOfMemoryError):
        training.run()
    training.run(memory_step=1)
    outcome = training.outcome
    assert (outcome["n_resumed_from"], outcome["n_steps"], outcome["effective_batch_size"]) == (4, 6, 4)
    assert [point["step"] for point in training.curve] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_a_model_that_knows_no_gradient_checkpointing_goes_on_without__row_15(make, monkeypatch, caplog):
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "supports_gradient_checkpointing", False)
    training = make("results")
    training.run(memory_step=2)
    outcome = training.outcome
    assert (outcome["gradient_checkpointing"], outcome["micro_batch_size"]) == (False, 1)
    assert "knows no gradient checkpointing" in caplog.text


@pytest.mark.slow
def test_an_adapter_without_a_manifest_is_made_again(make, during_step):
    """The process ended between the adapter and the manifest."""
    training = make("results")
    training.run()
    adapter = training.adapter
    training.folder.manifest.unlink()
    shutil.copytree(training.folder.adapter, training.folder.path / "kept")
    (training.folder.adapter / WEIGHTS).write_bytes(b"half")
    training.run()
    assert training.adapter == adapter
    assert json.loads(adapter["adapter_config.json"])["task_type"] == "CAUSAL_LM"


@pytest.fixture
def measured(raw: Callable[..., Any], zero_shot: Any, planned: Callable[..., Any]) -> list[Job]:
    """The jobs of a zero-shot experiment."""
    jobs = planned("results", raw(zero_shot, {"dataset": {"splits": {"test": "test"}}}), "metrics")
    return [Job(job.folder, job.record) for job in jobs]


@pytest.mark.usefixtures("listening")
def test_an_inference_that_is_asked_to_stop_ends_at_once__row_8(measured, monkeypatch):
    from sft.inference.label_scoring import scoring

    def asked(*_: Any) -> None:
        terminate()
        raise AssertionError("went on")

    monkeypatch.setattr(scoring, "score_labels", asked)
    infer = measured[0]
    with pytest.raises(StopRequested):
        infer.run()
    assert {path.name for path in infer.folder.path.iterdir()} <= {"job.json", "progress.json"}


def test_an_inference_out_of_memory_takes_fewer_rows_at_once__row_15(measured, monkeypatch):
    from sft.inference.label_scoring import scoring

    infer, evaluate = measured
    infer.run()
    evaluate.run()
    before = json.loads(evaluate.folder.metrics.read_text())
    predictions = evaluate.folder.predictions("test", "jsonl").read_text()
    score = scoring.score_labels

    def too_large(model: Any, prompts: Any, labels: Any, limits: Any, progress: Any) -> Any:
        if limits.tokens > 128:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return score(model, prompts, labels, limits, progress)

    monkeypatch.setattr(scoring, "score_labels", too_large)
    with pytest.raises(torch.OutOfMemoryError):
        infer.run(memory_step=1)
    infer.run(memory_step=2)
    evaluate.run()
    after = json.loads(evaluate.folder.metrics.read_text())
    assert "memory_steps" not in before["resources"]
    assert after["resources"]["memory_steps"] == {"infer": 2, "batch_size": None, "batch_tokens": 128}
    assert after["results"] == pytest.approx(before["results"], abs=1e-5)
    assert len(evaluate.folder.predictions("test", "jsonl").read_text().splitlines()) == len(predictions.splitlines())
