"""The commands on one config, as a user calls them, with a tiny model."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow

TRAINER_ARGS = {"num_train_epochs": 2, "per_device_train_batch_size": 6, "learning_rate": 0.01}


def running(events: list[Any]) -> list[str]:
    """The stages that experiments needed."""
    started = [event["stage"] for event in events if event["state"] == "running"]
    return [stage for stage in started if stage != "baseline"]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


class TrainedPlace:
    """`train` in results/, then `predict` in predictions/ and `evaluate` in results/, of one file."""

    def __init__(self, place: Any) -> None:
        self.place = place
        arguments = TRAINER_ARGS | {"output_dir": "mine/adapter"}
        self.config = place.trained(training={"trainer_args": arguments}, inference={"icl_examples": 1})
        self.too_early = place.run("predict", self.config, expected=2)
        self.trained = place.run("train", self.config)
        self.predicted = place.run("predict", self.config)
        self.evaluated = place.run("evaluate", self.config)

    @property
    def adapter(self) -> Path:
        """The folder that `train` printed."""
        printed = next(line for line in self.trained.splitlines() if line.endswith("/adapter"))
        return Path(self.place.folder, printed)


@pytest.fixture(scope="module")
def steps(make_place: Callable[[str], Any]) -> TrainedPlace:
    return TrainedPlace(make_place("commands"))


def test_predict_before_train_names_the_command(steps: TrainedPlace):
    assert "not trained yet" in steps.too_early
    assert "sft train" in steps.too_early


def test_train_prints_the_adapter_and_copies_it(steps: TrainedPlace):
    assert (steps.adapter / "adapter_config.json").is_file()
    copied, trained = digests(steps.place.folder / "mine" / "adapter"), digests(steps.adapter)
    assert trained.items() <= copied.items()
    assert copied.keys() - trained.keys() == {"chat_template.jinja", "tokenizer.json", "tokenizer_config.json"}


def test_predict_finds_the_adapter_of_results(steps: TrainedPlace):
    assert running(steps.place.events("predictions")) == ["infer", "evaluate"]
    result = steps.place.experiment("predictions") / "result"
    assert {path.name for path in result.iterdir()} == {"predictions.jsonl", "predictions.tsv"}
    assert steps.place.lines("predictions") == steps.place.lines("results")
    assert str(steps.place.experiment("predictions").relative_to(steps.place.folder)) in steps.predicted
    status = json.loads((result.parent / "status.json").read_text("utf-8"))
    assert status["state"] == "predicted"


def test_evaluate_uses_the_adapter_of_its_own_results(steps: TrainedPlace):
    assert running(steps.place.events("results")) == ["train", "infer", "evaluate"]
    metrics = steps.place.metrics("results")
    assert f"{metrics['results']['accuracy']:.4f}" in steps.evaluated
    assert steps.evaluated.count("  prediction: ") == 3
    assert metrics["data"]["n_train"] == 12
    assert metrics["resources"]["trainable_parameters"] > 0


def test_train_again_starts_nothing(steps: TrainedPlace):
    before = len(steps.place.events("results"))
    steps.place.run("train", steps.config)
    assert running(steps.place.events("results")[before:]) == []


def test_a_trained_adapter_alone_is_measured(steps: TrainedPlace):
    """With the pool and the examples of the training, so that the prompts are the same."""
    config = steps.place.classification(
        dataset={"shots": 4},
        adapter={"method": "none"},
        model={"adapter": "mine/adapter"},
        inference={"icl_examples": 1},
    )
    steps.place.run("run-experiment", config, "--results-path", "measured")
    assert running(steps.place.events("measured")) == ["infer", "evaluate"]
    own = [line["label_logprobs"] for line in steps.place.lines("results")]
    assert [line["label_logprobs"] for line in steps.place.lines("measured")] == own


def test_a_training_goes_on_from_an_adapter(steps: TrainedPlace):
    arguments = {"trainer_args": TRAINER_ARGS | {"learning_rate": 1e-9}}
    config = steps.place.trained(model={"adapter": "mine/adapter"}, training=arguments, inference={"icl_examples": 1})
    steps.place.run("run-experiment", config, "--results-path", "continued")
    for line, start in zip(steps.place.lines("continued"), steps.place.lines("results"), strict=True):
        assert line["label_logprobs"] == pytest.approx(start["label_logprobs"], abs=1e-3)
    config["lora"]["r"] = 2
    said = steps.place.run("run-experiment", config, "--results-path", "continued", expected=2)
    assert "lora.r" in said
    assert "exported_rank 4" in said


def test_train_of_a_config_that_trains_nothing(place: Any):
    assert "trains nothing" in place.run("train", place.classification(), expected=2)


def test_predictions_first_then_metrics(place: Any):
    config = place.classification()
    place.run("run-experiment", config, "--no-do-eval")
    assert place.json("results", "leaderboard.json")["rows"][0]["state"] == "predicted"
    before = len(place.events())
    first = place.lines()
    assert "accuracy" in place.run("evaluate", config)
    assert running(place.events()[before:]) == ["evaluate"]
    assert place.json("results", "leaderboard.json")["rows"][0]["state"] == "done"
    assert place.lines() == first


def test_rows_without_gold_are_predicted(place: Any):
    rows = [json.loads(line) for line in (place.tiny / "tickets" / "test.jsonl").read_text("utf-8").splitlines()[:5]]
    for row in rows:
        del row["label"]
    (place.folder / "new.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    config = place.classification(dataset={"splits": {"test": "new.jsonl"}, "max_n_test": None})
    assert "label" in place.run("evaluate", config, expected=2)
    place.run("predict", config)
    assert [line["ticket"] for line in place.lines("predictions")] == [0, 1, 2, 3, 4]
    assert all("label" not in line for line in place.lines("predictions"))


def test_boards_rank_on_dev_rows(place: Any):
    dev = {"dataset": {"splits": {"dev": "dev"}, "max_n_dev": 9}}
    other = {"prompting": {"instruction": None}}
    configs = {"plain": place.classification(**dev), "bare": place.classification(**{**dev, **other})}
    place.run("run-experiments", {"configs": configs})
    metrics = place.metrics(name="plain-")
    assert {"accuracy", "dev_accuracy", "macro_f1", "dev_macro_f1"} <= set(metrics["results"])
    assert (metrics["data"]["n_test"], len(metrics["data"]["dev_indices"])) == (12, 9)
    assert metrics["details"]["dev"]["confusion_matrix"]
    lines = place.lines(name="plain-", file="predictions.dev.jsonl")
    right = sum(line["predictions"] == line["label"] for line in lines)
    assert metrics["results"]["dev_accuracy"] == pytest.approx(right / 9)
    (board,) = place.json("results", "leaderboard.json")["boards"]
    assert board["metric"] == "dev_macro_f1"
    rows = {row["name"]: row["results"] for row in place.json("results", "leaderboard.json")["rows"]}
    order = [rows[entry["name"]]["dev_macro_f1"] for entry in board["ranking"]]
    assert order == sorted(order, reverse=True)
    assert ["label_mass" in warning for warning in board["warnings"]] == [True], "a random model; none of test rows"


def test_generation(place: Any):
    arguments = {"num_train_epochs": 20, "per_device_train_batch_size": 4, "learning_rate": 0.02}
    lora = {"dataset": {"shots": 8}, "lora": {"r": 8}, "training": {"trainer_args": arguments}}
    format_plain = {"prompting": {"format": "plain"}, "inference": {"icl_examples": 2}}
    configs = {"zero": place.generation(), "trained": place.generation(**{**lora, **format_plain})}
    place.run("run-experiments", {"configs": configs})
    for name in ("zero-", "trained-"):
        metrics, lines = place.metrics(name=name), place.lines(name=name)
        assert list(metrics["results"]) == ["rougeL", "rouge1", "rouge2", "bleu", "chrf", "exact_match"]
        assert len(lines) == metrics["data"]["n_test"] == 6
        assert metrics["data"]["labels"] is None
        assert list(lines[0]) == ["question", "answer", "predictions", "index", "source_index"]
        assert all(isinstance(line["predictions"], str) and "<|im_end|>" not in line["predictions"] for line in lines)
    assert all("\n\n" not in line["predictions"] for line in place.lines(name="trained-"))
    (board,) = place.json("results", "leaderboard.json")["boards"]
    assert board["metric"] == "rougeL"


def test_plain_classification(place: Any):
    config = place.classification(prompting={"format": "plain"}, inference={"icl_examples": 2})
    place.run("run-experiment", config)
    (infer,) = (place.folder / "results" / "stages" / "infer").iterdir()
    text = json.loads((infer / "sample.json").read_text("utf-8"))["prompts"][0]["text"]
    assert text.count("\nAnswer:") == 7
    assert text.endswith("\nAnswer:")
    assert "<|im_start|>" not in text
    with np.load(infer / "scores.npz") as scores:
        assert scores["answer_logprobs"].shape == scores["stop_logprobs"].shape == (12, 3)
        assert (scores["stop_tokens"] >= 1).all()
        sums = scores["answer_logprobs"] + scores["stop_logprobs"]
    written = [list(line["label_logprobs"].values()) for line in place.lines()]
    np.testing.assert_array_equal(np.array(written), sums)


@pytest.fixture(scope="module")
def twice(make_place: Callable[[str], Any]) -> Any:
    """One config with all sources of chance, run in two folders: by forked processes, and by new interpreters."""
    place = make_place("twice")
    config = place.trained(
        dataset={"splits": {"dev": "dev"}, "max_n_dev": 6, "keep_columns": ["ticket"]},
        lora={"lora_dropout": 0.1},
        training={"icl_examples": 1},
        inference={"icl_examples": 2, "random_icl": True},
    )
    place.run("run-experiment", config, "--results-path", "first")
    replace(place, forks=False).run("run-experiment", config, "--results-path", "second")
    return place


def test_the_same_config_gives_the_same_bytes(twice: Any):
    first, second = (twice.experiment(results) / "result" for results in ("first", "second"))
    names = {"predictions.jsonl", "predictions.tsv", "predictions.dev.jsonl", "predictions.dev.tsv", "rows.npz"}
    assert {path.name for path in first.iterdir()} == names | {"metrics.json"}
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    for part in ("results", "details", "data", "config", "id"):
        assert json.dumps(twice.metrics("first")[part]) == json.dumps(twice.metrics("second")[part]), part
    adapters = [next((twice.folder / results / "stages/train").glob("*/adapter")) for results in ("first", "second")]
    assert digests(adapters[0]) == digests(adapters[1])


def test_random_examples_and_kept_columns(twice: Any):
    data = twice.metrics("first")["data"]
    assert data["icl_indices"] is None
    lines = twice.lines("first")
    assert list(lines[0])[:3] == ["label", "ticket", "icl_indices"]
    assert "text" not in lines[0]
    for line in lines:
        assert len(set(line["icl_indices"])) == 6
        assert set(line["icl_indices"]) <= set(data["train_indices"])
        assert sorted(index % 3 for index in line["icl_indices"]) == [0, 0, 1, 1, 2, 2]
    assert len({tuple(line["icl_indices"]) for line in lines}) > 1
