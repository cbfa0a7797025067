"""One experiment of each example that needs no hub, made small, through all its stages in real processes.

They run as one grid, so that the libraries are imported once for all of them.
"""

import json
from typing import Any

import pytest

import sft
from sft.api.grids import GridRun
from sft.experiments.grids.loading import GridOptions, load_grid
from sft.experiments.running.settings import RunSettings
from sft.runs.records import StatusRecord
from sft.tasks.inputs import task_of
from tests.support.examples import FOLDER, HUB, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing("json/tweets_lora.json") is not None, reason="needs make demo-data"),
]

FOUR_ROWS = ("dataset.max_n_test=4",)
ONE_STEP = ("training.trainer_args.max_steps=1", "training.trainer_args.per_device_train_batch_size=2")
FEW_LAYERS = ('lora.target_modules=["q_proj", "v_proj"]',)
"""Each of them is decomposed."""
SHORT = ("inference.generation_args.max_new_tokens=4",)

# Example, or example and what tells its experiment from another of it -> the experiment that is run (None: there is
# one), and what makes it small.
CHOSEN: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "json/conversations.json": (None, (*ONE_STEP, *SHORT)),
    "json/quantized_4bit.json": (None, ("dataset.shots=0",)),
    "json/quantized_8bit.json": (None, ()),
    "json/tickets.json": (None, ()),
    "json/translation.json": (None, SHORT),
    "json/tweets_head.json": (None, ("dataset.shots=1", *ONE_STEP)),
    "json/tweets_lora.json": (None, ("dataset.shots=1", *ONE_STEP)),
    "json/tweets_t_few.json": (None, ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/calibration.jsonnet": ("in-context-2/domain", ("inference.calibration_args.num_estimations=2",)),
    "jsonnet/encoder_decoder.jsonnet: label": ("kind/trained", ("dataset.shots=2", *ONE_STEP)),
    "jsonnet/encoder_decoder.jsonnet: text": ("german/as-it-is", SHORT),
    "jsonnet/generation.jsonnet": ("in-context-drawn", SHORT),
    "jsonnet/heads_and_prompts.jsonnet": ("head-lora-16/seed13", ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/initialisers.jsonnet": ("orthogonal/seed13", ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/label_words.jsonnet": ("simple/in-context", ()),
    "jsonnet/many_labels.jsonnet": ("listed/mean", ()),
    "jsonnet/many_setups.jsonnet": ("in-context-1/batch/seed13", ()),
    "jsonnet/methods.jsonnet": ("ia3/seed13", ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/names.jsonnet": ("seq2seq-as-it-is", SHORT),
    "jsonnet/nearest_examples.jsonnet": ("nearest", ()),
    "jsonnet/own_initializer.jsonnet": ("row_sketch/seed13", ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/plain_format.jsonnet": ("plain/in-context-2", ()),
    "jsonnet/quantized.jsonnet": ("4bit/lora-pissa", ("dataset.shots=1", *ONE_STEP, *FEW_LAYERS)),
    "jsonnet/quickstart.jsonnet": ("zero-shot", ()),
    "jsonnet/several_columns.jsonnet": ("template/in-context", ()),
    "jsonnet/summarization.jsonnet": ("lora", ("dataset.shots=2", *ONE_STEP, *SHORT)),
    "jsonnet/synopses.jsonnet": ("seq2seq-lora", ("dataset.shots=2", *ONE_STEP, *SHORT)),
    "jsonnet/topics.jsonnet: head": ("head-lora-fit", ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/topics.jsonnet: prompt": ("prompt-lora", ("dataset.shots=1", *ONE_STEP)),
    "jsonnet/translation.jsonnet": ("zero-shot", SHORT),
    "jsonnet/tweets_demo.jsonnet": ("in-context-04", ()),
    "jsonnet/whole_texts.jsonnet": ("lora-032", ("dataset.shots=4", *ONE_STEP)),
}


class Silent:
    """Shows nothing while the jobs run."""

    def began(self, work: object) -> None:
        """Before the first job."""

    def opened(self, found: object) -> None:
        """What earlier runs left."""

    def started(self, job: object, status: StatusRecord) -> None:
        """A job was started."""

    def ticked(self, running: object) -> None:
        """What runs now."""

    def ended(self, job: object, status: StatusRecord) -> None:
        """A job has ended."""

    def say(self, line: str) -> None:
        """A line that belongs to no job."""

    def closed(self) -> None:
        """After the last job."""


def example_of(chosen: str) -> str:
    """The file of a key of `CHOSEN`."""
    return chosen.partition(": ")[0]


def test_every_example_without_the_hub_is_run() -> None:
    names = {path.relative_to(FOLDER).as_posix() for kind in ("json", "jsonnet") for path in (FOLDER / kind).iterdir()}
    examples = {name for name in names if name.endswith((".json", ".jsonnet"))}
    assert examples - HUB == set(map(example_of, CHOSEN))


TOO_LONG = "too long"


def written(chosen: str, *more: str) -> Any:
    """The config of an experiment that is chosen."""
    only, overrides = CHOSEN[chosen]
    loaded = load_grid(FOLDER / example_of(chosen), GridOptions(overrides=(*FOUR_ROWS, *overrides, *more), only=only))
    (config,) = loaded.configs.values()
    return config


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> GridRun:
    """All of them that can run, each under the name of its example.

    Paths lead as far up from either folder of examples.
    """
    configs = {
        example: {**written(example), "name": example} for example in CHOSEN if missing(example_of(example)) is None
    }
    too_long = {**written("json/quantized_8bit.json", "inference.max_seq_length=4"), "name": TOO_LONG}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.chdir(FOLDER / "jsonnet")
        settings = RunSettings(jobs=1)
        grid = {"configs": {**configs, TOO_LONG: too_long}}
        return sft.run(grid, tmp_path_factory.mktemp("examples"), settings=settings, display=Silent())


@pytest.mark.parametrize("example", CHOSEN)
def test_an_example_runs(example: str, ran: GridRun) -> None:
    if (reason := missing(example_of(example))) is not None:
        pytest.skip(reason)
    failed = ran.outcome.statuses.get(example)
    assert failed is None, failed.error
    (planned,) = [planned for planned in ran.plan.experiments if planned.experiment.name == example]
    rows = json.loads(ran.results.leaderboard("json").read_text("utf-8"))["rows"]
    (row,) = [row for row in rows if row["name"] == example]
    assert row["state"] == "done"
    config = planned.experiment.config
    metrics = config.evaluation.metrics or task_of(config).default_metrics
    prefixes = ("", "dev_") if planned.data.n_dev else ("",)
    numbers = [row["results"][f"{prefix}{name}"] for name in metrics for prefix in prefixes]
    assert all(isinstance(number, float | int) for number in numbers), row["results"]
    folder = ran.outcome.folders[example]
    assert len((folder.predictions("test", "jsonl")).read_text("utf-8").splitlines()) == 4
    if config.trains:
        adapter = ran.results.stage("train", planned.keys.train or "").adapter
        assert list(adapter.glob("*.safetensors"))


def test_rows_that_are_too_long_after_all_cuts_fail_the_experiment(ran: GridRun) -> None:
    status = ran.outcome.statuses[TOO_LONG]
    assert status.state == "failed"
    assert status.error is not None
    assert status.error.kind == "data"
    assert "are too long after all cuts" in status.error.message
    assert "test rows " in status.error.message
