"""docs/nyuntam.md and the presets say what the table says, and the table names keys that there are."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sft.adapters.method import adapter_method
from sft.config.canonical import canonical_json
from sft.config.library.defaults import dataclass_defaults, init_defaults
from sft.config.library.keys import LORA_CONFIG, QUANTIZATION_MODULE, SFT_CONFIG, dataclass_fields
from sft.config.reading import read_experiment
from sft.deployment.nyuntam_parameters import (
    EIGHT_BIT,
    FOUR_BIT,
    QUANTIZATION,
    SECTIONS,
    TEXT_GENERATION,
    TRAINER,
    TRAINING,
    Parameter,
)
from sft.experiments.grids.jsonnet import BACKEND_VARIABLE, JsonnetOptions, evaluate_jsonnet
from sft.experiments.planning.checks.sections import SectionChecks
from sft.inference.options import DEFAULT_NEW_TOKENS, effective_generation_args
from sft.training.options import ALIASES, REFUSED, known_defaults
from tests.contract.documents import DOCUMENTS, ROOT
from tests.contract.test_document_tables import known_fields
from tests.contract.tiny_project import config, write_project

BITSANDBYTES = f"{QUANTIZATION_MODULE}:BitsAndBytesConfig"
FACTS = {
    "Methods": ["LoRA", "DoRA", "SSF", "FULL_FINE_TUNING", "LAST_LAYER_TUNING"],
    "LoRA": ["r", "alpha", "dropout", "target_modules", "fan_in_fan_out", "init_lora_weights"],
    "DoRA": ["r", "alpha", "dropout", "target_modules", "fan_in_fan_out"],
    "4 bit Quantization": [
        *("load_in_4bit", "bnb_4bit_compute_dtype", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant"),
    ],
    "8 bit Quantization": [
        *("load_in_8bit", "llm_int8_threshold", "llm_int8_skip_modules", "llm_int8_enable_fp32_cpu_offload"),
        "llm_int8_has_fp16_weight",
    ],
    "Common Training Parameters": [
        *("DO_TRAIN", "DO_EVAL", "NUM_WORKERS", "BATCH_SIZE", "EPOCHS", "OPTIMIZER", "LR", "SCHEDULER_TYPE"),
        *("WEIGHT_DECAY", "BETA1", "BETA2", "ADAM_EPS", "INTERVAL", "INTERVAL_STEPS", "NO_OF_CHECKPOINTS", "FP16"),
        *("RESUME_FROM_CHECKPOINT", "GRADIENT_ACCUMULATION_STEPS", "GRADIENT_CHECKPOINTING", "SAVE_METHOD"),
    ],
    "Text Generation": ["packing", "dataset_text_field", "max_seq_length", "flash_attention2"],
    "Text Classification": ["subtask"],
    "Summarization": [
        *("MAX_TRAIN_SAMPLES", "MAX_EVAL_SAMPLES", "max_input_length", "max_target_length", "eval_metric"),
        "generation_max_length",
    ],
    "Translation": [
        *("max_input_length", "max_target_length", "eval_metric", "source_lang", "target_lang", "PREFIX"),
    ],
}
"""The parameters of these sections as nyuntam_adapt documents them."""
NO_NUMBER = {
    *(f"{TRAINER}.{name}" for name in ("dataloader_num_workers", "save_strategy", "save_steps", "save_total_limit")),
    "training.save_method",
}
"""Keys that change speed or files, and no number."""
ELSEWHERE = {
    "dataset.task_type": "required",
    "evaluation.metrics": "by the task type",
    "model.model_args.attn_implementation": "by the machine",
    "prompting.output_column": "required",
}
"""Keys without a default of their own, and what the page says in its place."""
PRESETS = ROOT / "etc" / "configs" / "jsonnet" / "lib" / "methods.libsonnet"


def known_keys(key: str) -> set[str]:
    """The keys of the section of a config that a dotted key lies in."""
    section = key.rpartition(".")[0]
    if section == TRAINER:
        return {f"{section}.{name}" for name in {*dataclass_fields(SFT_CONFIG), *ALIASES} - set(REFUSED)}
    if section == "adapter":
        return {f"{section}.{name}" for name in ("method", *dataclass_fields(LORA_CONFIG))}
    if section == QUANTIZATION:
        return {f"{section}.{name}" for name in init_defaults(BITSANDBYTES)}
    if section == "inference.generation_args":
        return {f"{section}.{name}" for name in effective_generation_args({}, None)}
    if section == "model.model_args":
        return {f"{section}.attn_implementation"}
    return set(known_fields())


def default_here(key: str) -> Any:
    """What a key means here where it is left out; LookupError where the machine or the model decides."""
    place, _, name = key.rpartition(".")
    if place == TRAINER:
        return known_defaults({}, "lora")[name]
    if place == QUANTIZATION:
        return init_defaults(BITSANDBYTES)[name]
    if place == "adapter" and name != "method":
        return {**dataclass_defaults(LORA_CONFIG), **adapter_method("lora").known_defaults(continued=False)}[name]
    if place == "inference.generation_args":
        return {"max_new_tokens": DEFAULT_NEW_TOKENS}[name]
    if key in ("adapter.method", "training.last_layer", "training.save_method"):
        return {"adapter.method": "none", "training.last_layer": False, "training.save_method": "adapter"}[key]
    if key in ELSEWHERE:
        raise LookupError(key)
    return known_fields()[key].default


def shown_default(key: str | None) -> str:
    if key is None:
        return ""
    try:
        return f"`{canonical_json(default_here(key))}`".replace('"', "")
    except LookupError:
        return ELSEWHERE[key]


def row(parameter: Parameter) -> str:
    """One line of a table of the page."""
    key = "none" if parameter.key is None else f"`{parameter.key}`"
    values = [f"{there} = `{value}`" for there, value in parameter.values.items()]
    note = "; ".join([*values, *([parameter.note] if parameter.note else [])])
    default = canonical_json(parameter.default).replace('"', "")
    return f"| `{parameter.name}` | `{default}` | {key} | {shown_default(parameter.key)} | {note} |"


def parameters() -> Iterator[tuple[str, Parameter]]:
    for section, listed in SECTIONS.items():
        yield from ((section, parameter) for parameter in listed)


def test_every_parameter_has_a_row() -> None:
    assert {section: [one.name for one in listed] for section, listed in SECTIONS.items()} == FACTS


@pytest.mark.parametrize(("section", "parameter"), list(parameters()))
def test_a_parameter_has_a_key_that_there_is_or_a_reason(section: str, parameter: Parameter) -> None:
    assert parameter.note if parameter.key is None else parameter.key in known_keys(parameter.key)


def test_the_page_has_the_table() -> None:
    text = DOCUMENTS["docs/nyuntam.md"]
    wanted = {section: [row(one) for one in listed] for section, listed in SECTIONS.items()}
    shown = {
        title: re.findall(r"^\| `.*", text.partition(f"\n## {title}\n")[2].partition("\n## ")[0], re.MULTILINE)
        for title in SECTIONS
    }
    assert shown == wanted


def leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, f"{prefix}{key}.")
        else:
            yield prefix + key, inner


def evaluated(tmp_path: Path, code: str) -> Any:
    (tmp_path / "grid.jsonnet").write_text(f"local presets = import '{PRESETS.name}'; {code}")
    return evaluate_jsonnet(tmp_path / "grid.jsonnet", JsonnetOptions(jpath=(PRESETS.parent,)))


@pytest.mark.parametrize("backend", ["rjsonnet", "reference"])
def test_presets_have_the_defaults_that_differ_from_ours(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BACKEND_VARIABLE, backend)
    found = evaluated(tmp_path, "presets.nyuntam(16)")
    assert set(found) == {"lora", "dora", "ssf", "full", "last_layer"}
    for method, preset in found.items():
        options = SECTIONS.get({"lora": "LoRA", "dora": "DoRA"}.get(method, ""), ())
        asked = {one.key: one.default for one in (*options, *TRAINING) if one.key and one.key not in NO_NUMBER}
        asked = {key: value for key, value in asked.items() if value is not None and value != default_here(key)}
        assert dict(leaves(preset)) == {"dataset.shots": 16, "lora": None, "adapter.method": method, **asked}


def test_presets_of_bases_and_of_packing_have_the_defaults(tmp_path: Path) -> None:
    found = evaluated(tmp_path, "[presets.four_bit, presets.eight_bit, presets.packed]")
    four, eight, packed = (dict(leaves(preset)) for preset in found)
    named = {"model.quantization.config_class": "BitsAndBytesConfig"}
    assert four == named | {one.key: one.default for one in FOUR_BIT if one.default != default_here(str(one.key))}
    assert eight == named | {f"{QUANTIZATION}.load_in_8bit": True}
    assert [one for one in EIGHT_BIT[1:] if one.default != default_here(str(one.key))] == []
    assert packed == {one.key: one.default for one in TEXT_GENERATION if str(one.key).startswith(TRAINER)}


def test_presets_are_sound_on_every_base(tmp_path: Path) -> None:
    """But for the methods that train the base's own weights, which `full` does not take quantised."""
    write_project(tmp_path)
    bases = "{plain: {}, four: presets.four_bit, eight: presets.eight_bit}"
    grid = f"(import 'sft/grid.libsonnet').product({json.dumps(config())}, [{bases}, presets.nyuntam(2)])"
    checks = SectionChecks(tmp_path)
    refused = {}
    for name, raw in evaluated(tmp_path, grid)["configs"].items():
        experiment, wrong = read_experiment(raw, name)
        assert experiment is not None, wrong
        refused[name] = [path for path, _ in checks.findings(experiment)]
    assert len(refused) == 15
    wanted = {"four/full": ["adapter.method"], "eight/full": ["adapter.method"]}
    assert {name: paths for name, paths in refused.items() if paths and "last_layer" not in name} == wanted
