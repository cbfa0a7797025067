"""What the headers of safetensors tell of files that are cut, or not all there, before anything is loaded."""

import json
import os
from pathlib import Path

import pytest

from sft.models.reading import model_fault, weights_fault

PARTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def write_whole(path: Path, values: int = 3) -> bytes:
    import numpy as np
    from safetensors.numpy import save_file

    path.parent.mkdir(exist_ok=True)
    save_file({"a": np.arange(values, dtype=np.float32), "b": np.ones((2, 2))}, path, metadata={"format": "pt"})
    return path.read_bytes()


def write_parts(folder: Path) -> None:
    for name in PARTS:
        write_whole(folder / name)
    index = {"metadata": {}, "weight_map": {"a": PARTS[0], "b": PARTS[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_a_file_is_whole_where_the_library_opens_it(tmp_path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    file = tmp_path / "model.safetensors"
    whole = write_whole(file)
    for content in (*(whole[:size] for size in range(len(whole) + 1)), whole + b"\0", b"<html>" * 99):
        file.write_bytes(content)
        try:
            with safe_open(str(file), "np"):
                opens = True
        except SafetensorError:
            opens = False
        assert (weights_fault(file) is None) is opens, len(content)


def test_what_a_cut_file_has_and_should_have_is_told(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    whole = write_whole(file)
    file.write_bytes(whole[:-5])
    size = len(whole)
    assert weights_fault(file) == (
        f"{file} is cut or damaged: it has {size - 5} bytes, and {size} by its header; copy it again"
    )
    file.write_bytes(whole[:9])
    assert weights_fault(file) == (
        f"{file} is cut or damaged: its 9 bytes do not begin with a whole header; copy it again"
    )
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    assert weights_fault(file) == f"{file} is a pointer of Git LFS: git lfs pull brings the file"


def test_the_header_alone_is_read(tmp_path: Path) -> None:
    """The rest of this file is a hole of 64 GiB."""
    file, length = tmp_path / "model.safetensors", 2**36
    header = json.dumps({"a": {"dtype": "U8", "shape": [length], "data_offsets": [0, length]}}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    os.truncate(file, 8 + len(header) + length)
    assert weights_fault(file) is None
    os.truncate(file, 8 + len(header) + length - 1)
    assert "by its header" in str(weights_fault(file))


def test_every_file_of_a_model_in_parts_must_be_there_and_whole(tmp_path: Path) -> None:
    write_parts(tmp_path)
    assert model_fault(tmp_path) is None
    last = tmp_path / PARTS[1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-1])
    assert str(model_fault(tmp_path)).startswith(f"{last} is cut or damaged: it has {len(whole) - 1} bytes")
    last.unlink()
    told = f"has 1 of the 2 files that model.safetensors.index.json names; {PARTS[1]} is not there; copy it again"
    assert model_fault(tmp_path) == f"{tmp_path} {told}"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": '])
def test_a_damaged_list_of_parts(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    assert model_fault(tmp_path) == f"{tmp_path}/model.safetensors.index.json is cut or damaged; copy it again"


def test_files_that_are_not_read_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "consolidated.safetensors").touch()
    assert model_fault(tmp_path) is None
    write_parts(tmp_path)
    (tmp_path / PARTS[0]).unlink()
    write_whole(tmp_path / "model.safetensors")
    assert model_fault(tmp_path) is None
