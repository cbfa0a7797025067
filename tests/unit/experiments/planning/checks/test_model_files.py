"""Damaged files of a model or an adapter, and virtual tokens that fill a context, are told by the plan."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sft.exceptions import InvalidExperiments

HEADER = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
WHOLE = len(HEADER).to_bytes(8, "little") + HEADER + bytes(8)


@pytest.fixture
def line_of(plan_of: Callable[..., Any], project: Path, raw: Callable[..., Any]) -> Callable[..., str]:
    """What the plan of a config says, in one line, without the experiment and the file; nothing where it is sound."""

    def told(*patches: dict[str, Any]) -> str:
        try:
            plan_of(project, a=raw(*patches))
        except InvalidExperiments as error:
            found = error
        else:
            return ""
        assert found.exit_code == 2
        (line,) = found.lines
        return line.removeprefix('#1 "a": ').removesuffix(" [grid.json]")

    return told


def test_a_model_that_is_cut(project: Path, line_of: Callable[..., str]) -> None:
    file = project / "model" / "model.safetensors"
    file.write_bytes(WHOLE)
    assert line_of() == ""
    file.write_bytes(WHOLE[:-3])
    size = len(WHOLE)
    told = f"{file} is cut or damaged: it has {size - 3} bytes, and {size} by its header; copy it again"
    assert line_of() == f"model.name: {told}"
    assert line_of({"model": {"model_args": {"variant": "fp16"}}}) == ""
    described = project / "model" / "config.json"
    other = {**json.loads(described.read_text()), "transformers_weights": "other.safetensors"}
    described.write_text(json.dumps(other))
    assert line_of() == ""


def test_a_model_without_weights(project: Path, line_of: Callable[..., str]) -> None:
    folder = project / "model"
    for file in [path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin")]:
        file.unlink()
    told = "holds no weights (model.safetensors, or model.safetensors.index.json with its parts); copy them there"
    assert line_of() == f"model.name: {folder} {told}"
    (folder / "pytorch_model.bin").touch()
    assert line_of() == ""


def test_a_model_of_which_a_part_is_missing(project: Path, line_of: Callable[..., str]) -> None:
    (project / "model" / "model.safetensors").rename(project / "model" / "first.safetensors")
    index = {"weight_map": {"a": "first.safetensors", "b": "second.safetensors"}}
    (project / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
    told = (
        "has 1 of the 2 files that model.safetensors.index.json names; second.safetensors is not there; copy it again"
    )
    assert line_of() == f"model.name: {project / 'model'} {told}"


@pytest.mark.parametrize(
    ("described", "name"),
    [
        ({"adapter_config.json": '{"peft_type": "LORA", "r": 8}'}, "adapter_model.safetensors"),
        ({"method.json": '{"method": "ssf", "options": {}}'}, "method.safetensors"),
    ],
    ids=["peft", "own"],
)
def test_a_trained_adapter_that_is_cut(
    described: dict[str, str], name: str, project: Path, line_of: Callable[..., str], zero_shot: dict[str, Any]
) -> None:
    folder = project / "mine"
    folder.mkdir()
    for file, content in described.items():
        (folder / file).write_text(content)
    measured = {"model": {"adapter": "mine"}}
    assert line_of(zero_shot, measured).startswith(f"model.adapter: {folder} has no {name}")
    (folder / name).write_bytes(WHOLE[:-3])
    said = line_of(zero_shot, measured)
    assert said.startswith(f"model.adapter: {folder / name} is cut or damaged: it has {len(WHOLE) - 3} bytes")
    (folder / name).write_bytes(WHOLE)
    assert line_of(zero_shot, measured) == ""


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning", "prefix_tuning", "cartridge"])
def test_virtual_tokens_that_fill_the_context(
    method: str, project: Path, line_of: Callable[..., str], zero_shot: dict[str, Any]
) -> None:
    file = project / "model" / "config.json"
    known = {**json.loads(file.read_text()), "max_position_embeddings": 32}
    file.write_text(json.dumps(known))

    def trained(**options: Any) -> dict[str, Any]:
        return {"lora": ..., "adapter": {"method": method, **options}}

    told = "virtual tokens leave nothing of the model's context of"
    rest = "to prompts and answers; take fewer than"
    assert line_of(trained(num_virtual_tokens=31)) == ""
    assert line_of(trained(num_virtual_tokens=32)) == f"adapter.num_virtual_tokens: 32 {told} 32 tokens {rest} 32"
    longer = {"model": {"model_args": {"max_position_embeddings": 64}}}
    assert line_of(trained(num_virtual_tokens=32), longer) == ""
    file.write_text(json.dumps({**known, "max_position_embeddings": 20}))
    assert line_of(trained()) == f"adapter.num_virtual_tokens: 20 {told} 20 tokens {rest} 20"
    (project / "mine").mkdir()
    saved = {"peft_type": method.upper(), "num_virtual_tokens": 25}
    (project / "mine" / "adapter_config.json").write_text(json.dumps(saved))
    (project / "mine" / "adapter_model.safetensors").write_bytes(WHOLE)
    assert line_of(zero_shot, {"model": {"adapter": "mine"}}) == f"model.adapter: 25 {told} 20 tokens {rest} 20"
    file.write_text(json.dumps({key: value for key, value in known.items() if "max_position" not in key}))
    assert line_of(trained(num_virtual_tokens=99)) == ""
