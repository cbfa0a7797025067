"""Which choices of in-context examples are in which keys."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sft.config.experiment import ExperimentConfig
from sft.pipeline.experiment import Experiment, Fingerprints
from sft.pipeline.keys import infer_fields, stage_keys

Raw = Callable[..., dict[str, Any]]
CONTENT = Fingerprints(
    data={"train": "sha256:1", "test": "sha256:2"},
    model="sha256:3",
    labels=[["bad", "bad"], ["good", "good"], ["mixed", "mixed"]],
    encoders={"training": "sha256:4", "inference": "sha256:4"},
)
GENERATION = {"dataset": {"task_type": "generation"}}
SEED = {"seeds": {"icl": 14}}


def both(**fields: Any) -> dict[str, Any]:
    return {"training": fields, "inference": fields}


K = both(icl_examples=1)
NEAREST = both(icl_examples=1, icl_selection="nearest")
ENCODED = both(icl_examples=1, icl_selection="nearest", icl_encoder="some/encoder")


def experiment(raw: Raw, *patches: dict[str, Any], content: Fingerprints = CONTENT) -> Experiment:
    fingerprints = replace(content, labels=None) if GENERATION in patches else content
    return Experiment("any", ExperimentConfig.model_validate(raw(*patches)), Path("/anywhere"), fingerprints)


def moved(before: Experiment, after: Experiment) -> str:
    old, new = stage_keys(before), stage_keys(after)
    own = stage_keys(replace(after, config=after.config.model_copy(update={"training": before.config.training})))
    found = ("t", old.train, new.train), ("i", old.infer, own.infer)
    return "".join(letter for letter, one, other in found if one != other)


@pytest.mark.parametrize(
    ("base", "change", "expected"),
    [
        ([K], both(icl_selection="random"), ""),
        ([K], both(icl_selection="nearest"), "ti"),
        ([K], both(icl_encoder="some/encoder"), ""),
        ([], both(icl_selection="nearest", icl_encoder="some/encoder"), ""),
        ([NEAREST], both(icl_encoder="some/encoder"), "ti"),
        ([ENCODED], both(icl_encoder="another/name"), ""),
        ([NEAREST], {"inference": {"random_icl": True}}, ""),
        ([NEAREST], SEED, "ti"),
        ([K, GENERATION], SEED, "ti"),
        ([NEAREST, GENERATION], SEED, ""),
    ],
)
def test_a_choice_moves_the_stages_it_has_an_effect_on(
    raw: Raw, base: list[dict[str, Any]], change: dict[str, Any], expected: str
) -> None:
    assert moved(experiment(raw, *base), experiment(raw, *base, change)) == expected


@pytest.mark.parametrize(("section", "stage"), [("training", "train"), ("inference", "infer")])
def test_an_encoder_counts_by_its_content(raw: Raw, section: str, stage: str) -> None:
    edited = replace(CONTENT, encoders={**CONTENT.encoders, section: "sha256:5"})
    untrained = {"lora": ..., "training": ...} if section == "inference" else {}
    before, after = (stage_keys(experiment(raw, ENCODED, untrained, content=content)) for content in (CONTENT, edited))
    assert getattr(before, stage) != getattr(after, stage)
    if section == "training":
        assert before.infer != after.infer  # it reads another training


def test_prompts_without_a_row_have_the_key_of_the_fixed_set(raw: Raw) -> None:
    prompts = "content_free:contextual:3"
    random, near = experiment(raw, K), experiment(raw, ENCODED)
    assert infer_fields(random, None, prompts) == infer_fields(near, None, prompts)
    for name in (f"{prompts}:per_row", "train:4", "eval"):
        assert infer_fields(near, None, name)["icl_encoder"] == "sha256:4"
        assert "icl_selection" not in infer_fields(random, None, name)
