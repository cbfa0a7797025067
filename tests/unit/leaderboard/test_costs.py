"""What a set-up costs, from the records of its runs."""

from pathlib import Path
from typing import Any

import pytest

from sft.leaderboard.collect import ExperimentRecord
from sft.leaderboard.costs import ANSWERING, WHOLE_STAGES, costs_of, devices_of
from tests.support.records import config, metrics
from tests.support.results import ResultsBuilder

UNTRAINED: dict[str, Any] = {"lora": None, "training": None, "dataset": {"shots": 0}}


def run(folder: Path = Path("none"), *, trained: bool = True, **parts: Any) -> ExperimentRecord:
    own = config() if trained else config(**UNTRAINED)
    return ExperimentRecord("a", "a" * 16, "done", folder, own, metrics({"macro_f1": 0.5}, **parts))


def test_costs_are_means_over_runs() -> None:
    runs = [
        run(
            timing={"train": 10.0 * number, "infer": 50.0},
            resources={"answer_seconds": 3.0 * number, "adapter_bytes": 800, "trainable_parameters": 64},
            data={"n_test": 200, "n_dev": 100, "prompt_tokens": {"min": 1, "mean": 20.0 * number, "max": 99}},
        )
        for number in (1, 3)
    ]
    found = costs_of(runs)
    assert (found.train_seconds, found.seconds_per_1000, found.seconds_cover) == (20.0, 20.0, ANSWERING)
    assert (found.prompt_tokens, found.adapter_bytes, found.trainable_parameters) == (40.0, 800, 64)
    assert (found.peak_rss_bytes, found.peak_gpu_bytes, found.devices) == (1 << 30, None, ())


def test_peaks_of_stages_are_apart_and_those_of_earlier_versions_are_of_the_largest() -> None:
    told = {"peak_rss_bytes": 9, "infer_peak_rss_bytes": 4, "train_peak_rss_bytes": 9, "infer_peak_gpu_bytes": None}
    found = costs_of([run(resources=told)])
    assert (found.infer_peak_rss_bytes, found.train_peak_rss_bytes, found.infer_peak_gpu_bytes) == (4, 9, None)
    earlier = costs_of([run(resources={"peak_rss_bytes": 9})])
    assert (earlier.infer_peak_rss_bytes, earlier.train_peak_rss_bytes) == (None, 9)
    untrained = costs_of([run(trained=False, resources={"peak_rss_bytes": 4})])
    assert (untrained.infer_peak_rss_bytes, untrained.train_peak_rss_bytes) == (4, None)


def test_what_one_run_does_not_tell_is_not_the_mean_of_the_others() -> None:
    found = costs_of([run(resources={"trainable_parameters": 64, "peak_gpu_bytes": 5}), run()])
    assert (found.trainable_parameters, found.peak_gpu_bytes) == (None, None)


def test_seconds_with_loading_the_model_are_named_so() -> None:
    mixed = costs_of([run(resources={"answer_seconds": 1.0}), run(timing={"infer": 5.0})])
    assert (mixed.seconds_per_1000, mixed.seconds_cover) == (15.0, WHOLE_STAGES)
    assert costs_of([run(timing={"infer": None})]).seconds_cover is None


def test_where_nothing_is_trained_nothing_was_spent_on_it() -> None:
    found = costs_of([run(trained=False, timing={"train": None})])
    assert (found.train_seconds, found.adapter_bytes, found.trainable_parameters) == (None, None, 0.0)


@pytest.mark.parametrize("is_pruned", [False, True])
def test_the_adapter_of_an_earlier_version_is_measured_by_its_manifest(tmp_path: Path, *, is_pruned: bool) -> None:
    folder = ResultsBuilder(tmp_path)
    train = folder.finish(folder.stage("train", "t"), "train")
    job = folder.planned("a", "a", config(), train="t")
    if is_pruned:
        (train.adapter / "adapter_model.safetensors").unlink()
    assert costs_of([run(job.path)]).adapter_bytes == len(b"weights of the adapter")
    assert costs_of([run(tmp_path / "gone")]).adapter_bytes is None


def test_devices_are_those_of_training_and_of_answering() -> None:
    def on(**environment: Any) -> list[str]:
        return devices_of(run(environment=environment))

    card = {"device": "cuda", "device_name": "H200", "threads": 4}
    trained = {f"training_{key}": value for key, value in card.items()}
    assert on() == []
    assert on(**card, **trained) == ["H200"]
    assert on(device="cpu", device_name="EPYC", threads=1, **trained) == ["H200", "EPYC, threads 1"]
    assert on(device="cpu", device_name="EPYC", threads=2, training_device="cpu") == ["EPYC, threads 2"]
    assert on(**card, training_device="cpu") == ["cpu", "H200"]
