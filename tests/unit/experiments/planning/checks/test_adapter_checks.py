"""What is wrong with an adapter only on a model of a certain kind is told by the plan, from the model's files."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import InvalidExperiments

LORA = {"trainable_token_indices": [3], "modules_to_save": ["lm_head"]}


@pytest.mark.parametrize(
    ("written", "is_told"),
    [
        ({"tie_word_embeddings": True}, True),
        ({"text_config": {"tie_word_embeddings": True}}, True),
        ({"tie_word_embeddings": False}, False),
        ({}, False),
    ],
    ids=str,
)
def test_rows_of_an_embedding_that_is_the_head_too_and_the_head_in_full(
    plan_of: Callable[..., Any], project: Path, raw: Callable[..., Any], written: dict[str, Any], is_told: bool
) -> None:
    file = project / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | written))
    if not is_told:
        assert plan_of(project, a=raw({"lora": LORA})).experiments
        return
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=raw({"lora": LORA}))
    (line,) = caught.value.lines
    assert "lora.trainable_token_indices: trains rows of the model's embedding, which is its output head too" in line


def test_repeated_layers_of_a_model_that_lists_their_kinds(
    plan_of: Callable[..., Any], project: Path, raw: Callable[..., Any]
) -> None:
    repeated = raw({"lora": {"layer_replication": [[0, 2], [0, 2]]}})
    assert plan_of(project, a=repeated).experiments
    file = project / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"layer_types": ["full_attention"] * 2}))
    with pytest.raises(InvalidExperiments, match=r"lora\.layer_replication: repeats the layers of this model but not"):
        plan_of(project, a=repeated)


@pytest.mark.parametrize(("written", "is_told"), [({}, True), ({"num_local_experts": 4}, False)], ids=str)
@pytest.mark.parametrize("args", [{"metric_for_best_model": "eval_aux_loss"}, {"router_aux_loss_coef": 0.01}], ids=str)
def test_the_loss_that_balances_experts_needs_experts(
    plan_of: Callable[..., Any],
    project: Path,
    raw: Callable[..., Any],
    written: dict[str, Any],
    is_told: bool,
    args: dict[str, Any],
) -> None:
    file = project / "model" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | written))
    config = raw({"lora": {}, "training": {"trainer_args": args}})
    if not is_told:
        assert plan_of(project, a=config).experiments
        return
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=config)
    (line,) = caught.value.lines
    assert "needs a mixture-of-experts model" in line


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({}, None),
        ({"training": {"save_method": "adapter"}, "adapter": {"method": "bottleneck"}, "lora": ...}, None),
        ({"model": {"quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bit": True}}}}, None),
        ({"adapter": {"method": "bottleneck"}, "lora": ...}, "bottleneck"),
    ],
    ids=str,
)
def test_what_cannot_be_merged_is_not_exported(
    plan_of: Callable[..., Any],
    project: Path,
    raw: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    patch: dict[str, Any],
    told: str | None,
) -> None:
    config = raw({"training": {"save_method": "merged"}}, patch)
    if told is None:
        assert plan_of(project, a=config).experiments
        return
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=config)
    (line,) = caught.value.lines
    assert "training.save_method: 'merged': " in line
    assert told in line
    assert "; write 'adapter', or leave it out" in line


NARROW = {
    "hidden_size": 12,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
"""Of which the smallest side of a layer is 6."""


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({"lora": {}}, "lora: r is by default 8, above the size of layer "),
        ({"lora": {"r": 8}}, "lora.r: 8, above the size of layer "),
        ({"lora": {"r": 4, "rank_pattern": {"k_proj": 7}}}, "lora.rank_pattern: 7, above the size of layer "),
        ({"lora": ..., "adapter": {"method": "lora"}}, "adapter: r is by default 8, above the size of layer "),
        (
            {"lora": ..., "adapter": {"method": "adalora", "target_r": 12}},
            "adapter: init_r is by default 12: must be ",
        ),
        ({"lora": {}, "model": {"adapter": "mine"}}, "lora: r is by default 8, as it is left out, but model.adapter"),
        ({"lora": ..., "adapter": {"method": "trainable_tokens"}}, "adapter.token_indices: "),
    ],
    ids=str,
)
def test_what_holds_by_default_is_not_told_as_if_it_were_written(
    plan_of: Callable[..., Any], project: Path, raw: Callable[..., Any], patch: dict[str, Any], told: str
) -> None:
    file = project / "model" / "config.json"
    if "model" not in patch:
        file.write_text(json.dumps(json.loads(file.read_text()) | NARROW))
    (project / "mine").mkdir()
    (project / "mine" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    (project / "mine" / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=raw({"lora": ...}, patch))
    (line,) = caught.value.lines
    assert line.startswith(f'#1 "a": {told}')


@pytest.mark.parametrize(
    ("file", "content", "method", "told"),
    [
        (
            "adapter_config.json",
            '{"peft_type": "IA3"}',
            "ssf",
            ": model.adapter: /.*mine is a ia3 adapter, not ssf",
        ),
        ("adapter_config.json", '{"peft_type": "IA3"}', "lora", "mine is a ia3 adapter, not lora"),
        ("method.json", '{"method": "ssf", "options": {}}', "ia3", "mine is a ssf adapter, not ia3"),
        (
            "method.json",
            '{"method": "fss", "options": {}}',
            "ssf",
            "model.adapter: .*the adapter method 'fss', which is not",
        ),
        ("method.json", '{"method": ', "ssf", "model.adapter: .*method.json cannot be read .*; copy the folder again"),
    ],
)
def test_what_cannot_be_gone_on_with_is_one_line_with_the_experiment(
    plan_of: Callable[..., Any],
    project: Path,
    raw: Callable[..., Any],
    file: str,
    content: str,
    method: str,
    told: str,
) -> None:
    (project / "mine").mkdir()
    (project / "mine" / file).write_text(content)
    for weights in ("adapter_model.safetensors", "method.safetensors"):
        (project / "mine" / weights).write_bytes((2).to_bytes(8, "little") + b"{}")
    on = raw({"lora": None, "adapter": {"method": method}, "model": {"adapter": "mine"}})
    with pytest.raises(InvalidExperiments) as caught:
        plan_of(project, a=on)
    (line,) = caught.value.lines
    assert re.search(told, line), line
    assert line.count("adapter: ") == 1
