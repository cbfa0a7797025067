"""Finished stages that another kind of machine made."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from sft.experiments.executors.local import reused_devices
from sft.experiments.executors.local.gpu_question import Gpu
from sft.experiments.executors.local.reused_devices import device_warnings, precision_warnings
from sft.pipeline.jobs import PlannedJob
from sft.runs.records import JobRecord, StageName

NEW, OLD = Gpu("0", "GPU-a", capability=(9, 0)), Gpu("1", "GPU-b", capability=(7, 5))
UNKNOWN = Gpu("0", "GPU-a")
KEPT = "results are kept (a stage whose folder is deleted runs again)"


def finished(
    made: Any, key: str, device: Any, dtype: Any = None, stage: StageName = "infer", config: Any = None
) -> PlannedJob:
    text = json.dumps({"dtype": dtype, "environment": {"device": device}})
    folder = made.finish(made.stage(stage, key), stage, text)
    return PlannedJob(folder, JobRecord(stage, key, key, config or {}, "/", {}), ())


def warnings(experiments: dict[str, list[PlannedJob]], gpus: Sequence[Gpu] | None) -> list[str]:
    reused = {job.folder.path for jobs in experiments.values() for job in jobs}
    return device_warnings(experiments, reused, lambda: gpus)


def test_results_of_gpus_on_a_machine_without_are_one_line(made: Any) -> None:
    train = finished(made, "t", "cuda", stage="train")
    infers = [finished(made, f"i{number}", "cuda", "bfloat16") for number in range(3)]
    experiments = {f"e{number}": [train, infer] for number, infer in enumerate(infers)}
    experiments["here"] = [finished(made, "own", "cpu", "float32")]
    for gpus, here in ((None, "no NVIDIA GPU is found here"), ((), "this machine gives cpu")):
        assert warnings(experiments, gpus) == [
            f"in 3 experiments: e0, e1, e2: finished train and infer stages were computed on cuda, {here}; {KEPT}"
        ]
    (line,) = warnings(experiments, [NEW])
    assert (
        line == f"in 1 experiment: here: finished infer stages were computed on cpu, this machine gives cuda; {KEPT}"
    )


@pytest.mark.parametrize(
    ("dtype", "gpus", "here"),
    [
        ("bfloat16", [NEW], None),
        ("float32", [NEW], "bfloat16"),
        ("bfloat16", [OLD], "float32"),
        ("float32", [OLD], None),
        ("bfloat16", [NEW, OLD], None),
        ("bfloat16", [UNKNOWN], None),
        ("float16", [NEW], None),
        (None, [NEW], None),
    ],
)
def test_a_data_type_that_the_machine_chose_is_compared(made: Any, dtype: Any, gpus: list[Gpu], here: Any) -> None:
    told = warnings({"a": [finished(made, "a", "cuda", dtype)]}, gpus)
    expected = f"in 1 experiment: a: finished infer stages were computed in {dtype}, this machine gives {here}; {KEPT}"
    assert told == ([] if here is None else [expected])


@pytest.mark.parametrize(
    "config",
    [
        {"model": {"model_args": {"dtype": "float32"}}},
        {"model": {"model_args": {"torch_dtype": "auto"}}},
        {"model": {"quantization": {"config_class": "BitsAndBytesConfig"}}},
    ],
)
def test_a_data_type_that_the_config_says_is_not(made: Any, config: Any) -> None:
    assert warnings({"a": [finished(made, "a", "cuda", "float32", config=config)]}, [NEW]) == []


def test_a_stage_that_asks_for_no_gpu_is_of_the_cpu_everywhere(made: Any) -> None:
    job = finished(made, "a", "cpu", "float32", config={"resources": {"gpus": 0}})
    assert warnings({"a": [job]}, [NEW]) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"environment": 3}', '{"environment": {"device": 1}}'])
def test_nobody_is_asked_where_no_stage_tells(made: Any, text: str) -> None:
    folder = made.finish(made.stage("train", "t"), "train", text)
    job = PlannedJob(folder, JobRecord("train", "t", "t", {}, "/", {}), ())
    evaluate = PlannedJob(folder, JobRecord("evaluate", "t", "t", {}, "/", {}), ())
    to_run = finished(made, "i", "cuda")
    experiments = {"a": [job, evaluate, to_run]}
    assert device_warnings(experiments, {folder.path}, lambda: pytest.fail("asked")) == []


def test_of_very_many_some_are_read(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reused_devices, "READ_STAGES", 2)
    experiments = {str(number): [finished(made, f"i{number}", "cuda")] for number in range(4)}
    (line,) = warnings(experiments, None)
    assert line.startswith("in at least 2 experiments: 0, 2: ")


def training(made: Any, key: str, **args: Any) -> PlannedJob:
    config = {"training": {"trainer_args": args}, "resources": {"gpus": args.pop("gpus", None)}}
    return PlannedJob(made.stage("train", key), JobRecord("train", key, key, config, "/", {}), ())


def test_fp16_on_a_cpu_is_told_and_on_a_gpu_is_not(made: Any) -> None:
    experiments = {"a": [training(made, "a", fp16=True)], "b": [training(made, "b", fp16=True, use_cpu=True)]}
    experiments |= {"c": [training(made, "c", fp16=True, gpus=0)], "plain": [training(made, "p", fp16=False)]}
    (line,) = precision_warnings(experiments, set(), lambda: None)
    assert line.startswith("a and 2 more: training.trainer_args.fp16 has no effect on a CPU")
    (line,) = precision_warnings(experiments, set(), lambda: [NEW])
    assert line.startswith("b and 1 more: ")
    reused = {job.folder.path for jobs in experiments.values() for job in jobs}
    assert precision_warnings(experiments, reused, lambda: pytest.fail("asked")) == []
    assert precision_warnings({"plain": experiments["plain"]}, set(), lambda: pytest.fail("asked")) == []


def test_each_argument_that_needs_a_gpu_is_told_by_itself(made: Any) -> None:
    jobs = {"a": [training(made, "a", tf32=True, fp16=True)], "b": [training(made, "b", activation_offloading=True)]}
    fp16, tf32, offloading = precision_warnings(jobs, set(), lambda: None)
    assert fp16.startswith("a: training.trainer_args.fp16 has no effect")
    assert tf32.startswith("a: training.trainer_args.tf32 fails on a CPU")
    assert offloading.startswith("b: training.trainer_args.activation_offloading fails on a CPU")
    assert precision_warnings(jobs, set(), lambda: [NEW]) == []


def test_weights_whose_kernels_need_a_gpu_are_told_on_a_cpu(made: Any) -> None:
    def jobs(key: str, name: str) -> list[PlannedJob]:
        model = {"name": "m", "quantization": {"config_class": name, "args": {}}}
        return [finished(made, key, "cpu", config={"model": model})]

    experiments = {"fp8": jobs("f", "FineGrainedFP8Config"), "gptq": jobs("g", "GPTQConfig")}
    (line,) = precision_warnings(experiments, set(), lambda: None)
    assert line.startswith(
        "fp8: model.quantization FineGrainedFP8Config fails on a CPU: its kernels need a GPU; leave"
    )
    assert precision_warnings(experiments, set(), lambda: [NEW]) == []
