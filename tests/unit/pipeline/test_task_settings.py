"""What a task type does not use changes no key and is told as without effect; what it uses does neither."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.pipeline.unused_keys import without_effect
from sft.tasks import task_registry
from sft.tasks.inputs import task_named
from sft.tasks.task import SETTINGS, Setting

VALUES: dict[Setting, Any] = {
    "inference.generation_args": {"max_new_tokens": 5},
    "inference.tokenizer_name": "model",
    "evaluation.tokenizer_name": "model",
    "dataset.labels": ["mixed", "good", "bad"],
    "prompting.max_output_length": 7,
    "inference.label_scoring": {"normalization": "mean"},
    "inference.calibration_args": {"calibration_fn": "batch"},
    "dataset.labels_separator": ";",
    "dataset.negatives": 1,
    "prompting.label_template": "Is it {label}?",
    "inference.threshold": 0.7,
    "evaluation.baseline_encoder": "model",
}

WITH_SHOTS = {"dataset.negatives", "evaluation.baseline_encoder"}
"""What has an effect where there are shots."""


def test_every_setting_is_tried_here() -> None:
    assert set(VALUES) == set(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", task_registry)
def test_a_setting_has_an_effect_where_the_task_type_uses_it(
    project: Path,
    raw: Callable[..., dict[str, Any]],
    zero_shot: dict[str, Any],
    plan_of: Callable[..., Any],
    rewrite: Callable[..., None],
    name: str,
    setting: Setting,
) -> None:
    section, key = setting.split(".")
    common = {"dataset": {"task_type": name}, "prompting": {"instruction": "Answer."}}
    patch = {} if setting in WITH_SHOTS else zero_shot
    plain = raw(patch, common)
    written = raw(patch, common, {section: {key: VALUES[setting]}})
    if task_named(name).has_label_sets:
        for split in ("train", "dev", "test"):
            rewrite(project, split, lambda rows: [row | {"label": [row["label"]]} for row in rows])
    if task_named(name).reads == "whole":
        for config in (plain, written):
            del config["prompting"]["input_columns"], config["prompting"]["instruction"]
    before, after = plan_of(project, a=plain, b=written).experiments
    is_used = task_named(name).uses(setting)
    keys = [(one.keys.experiment_id, one.keys.baseline) for one in (before, after)]
    assert (keys[0] != keys[1]) == is_used
    told = without_effect(after.experiment.config)
    assert [path.startswith(setting) for path in told] == ([] if is_used else [True])
