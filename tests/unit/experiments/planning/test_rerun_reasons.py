"""Why stages would run: the nearest finished stage is found, and thousands of stages stay a few lines."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft.experiments.planning import rerun_reasons
from sft.experiments.planning.rerun_reasons import rerun_reasons as reasons_of
from sft.experiments.planning.rerun_reasons import why_lines
from sft.pipeline.jobs import PlannedJob
from sft.runs.files import ResultsFolder
from sft.runs.records import JobRecord, write_record


def fields(**changed: Any) -> dict[str, Any]:
    base = {"stage": "train", "trainer_args": {"learning_rate": 0.1}, "options": {"r": 8}, "init_seed": 1}
    return base | changed


def planned(results: ResultsFolder, key: str, own: dict[str, Any], name: str | None = None) -> PlannedJob:
    folder = results.stage("train", key)
    config = {
        "lora": own["options"], "training": {"trainer_args": own["trainer_args"]}, "seeds": {"init": own["init_seed"]},
    }  # fmt: skip
    return PlannedJob(folder, JobRecord("train", key, name or key, config, "/", {}, key_fields=own), ())


def lines_of(jobs: list[PlannedJob], results: ResultsFolder, told: dict[Path, str]) -> list[str]:
    return why_lines(jobs, reasons_of(jobs, told, results))


def finish(made: Any, key: str, own: dict[str, Any]) -> None:
    job = planned(made.results, key, own)
    made.finish(job.folder, "train")

    write_record(job.folder.job, job.record)


def test_the_nearest_finished_stage_is_the_one_compared_with(made: Any) -> None:
    finish(made, "far", fields(options={"r": 16}, init_seed=2))
    finish(made, "near", fields(options={"r": 16}))
    new = planned(made.results, "new", fields())
    assert lines_of([new], made.results, {}) == [
        "Why (keys that differ from the nearest finished stage):",
        "  1 train stage (new): lora.r 16 -> 8",
    ]


def test_another_value_is_nearer_than_none(made: Any) -> None:
    old = fields()
    del old["init_seed"]
    job = planned(made.results, "none", fields())
    made.finish(job.folder, "train")
    write_record(job.folder.job, replace(job.record, key_fields=old))
    finish(made, "other", fields(init_seed=5))
    (line,) = lines_of([planned(made.results, "new", fields(init_seed=2))], made.results, {})[1:]
    assert line.endswith("seeds.init 5 -> 2")


def test_stages_that_differ_in_the_same_keys_are_one_line(made: Any) -> None:
    finish(made, "old", fields())
    new = [planned(made.results, f"s{seed}", fields(init_seed=seed)) for seed in range(10, 15)]
    new.append(planned(made.results, "rate", fields(trainer_args={"learning_rate": 0.2})))
    assert lines_of(new, made.results, {})[1:] == [
        "  5 train stages (s10, s11, s12 and 2 more): seeds.init 1 -> 10 (and 4 other changes)",
        "  1 train stage (rate): training.trainer_args.learning_rate 0.1 -> 0.2",
    ]


def test_a_stage_that_was_tried_says_so_instead(made: Any) -> None:
    finish(made, "old", fields())
    job = planned(made.results, "new", fields(init_seed=2))
    told = {job.folder.path: "at train: stopped by SIGINT"}
    assert lines_of([job], made.results, told)[1] == "  1 train stage (new): at train: stopped by SIGINT"


def test_what_is_not_finished_or_says_nothing_of_its_key_is_no_neighbour(made: Any) -> None:
    made.finish(made.stage("train", "silent"), "train")
    half = planned(made.results, "half", fields())
    made.stop(half.folder, "train", "failed")
    (made.results.path / "stages" / "train" / "broken").mkdir()
    (made.results.path / "stages" / "train" / "broken" / "job.json").write_text("{")
    lines = lines_of([planned(made.results, "new", fields())], made.results, {})
    assert lines[1] == "  1 train stage (new): no finished stage to compare with"


def test_nothing_to_run_needs_no_reason(made: Any) -> None:
    assert lines_of([], made.results, {}) == []


def test_many_keys_and_many_groups_are_cut(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun_reasons, "SHOWN_GROUPS", 2)
    monkeypatch.setattr(rerun_reasons, "SHOWN_DIFFERENCES", 1)
    finish(made, "old", fields())
    new = [
        planned(made.results, "a", fields(init_seed=2)),
        planned(made.results, "b", fields(init_seed=2, options={"r": 4})),
        planned(made.results, "c", fields(trainer_args={"learning_rate": 0.2})),
    ]
    lines = lines_of(new, made.results, {})
    assert lines[2:] == [
        "  1 train stage (b): lora.r 8 -> 4; and 1 more key",
        "  ... and 1 train stage in 1 other group",
    ]


def test_of_too_many_finished_stages_only_some_are_compared(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(10):
        finish(made, f"old{seed}", fields(init_seed=seed))
    monkeypatch.setattr(rerun_reasons, "MAX_COMPARISONS", 2)
    (line,) = lines_of([planned(made.results, "new", fields(init_seed=99))], made.results, {})[1:]
    assert line.startswith("  1 train stage (new): seeds.init ")


def test_the_folder_may_be_new(made: Any) -> None:
    nowhere = ResultsFolder(Path("nowhere"))
    assert lines_of([planned(nowhere, "new", fields())], nowhere, {})[1].endswith("no finished stage to compare with")
