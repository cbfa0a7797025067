"""Arrays are read as numpy reads them, and damage is found."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from sft.runs import array_files
from sft.runs.array_files import read_arrays

ARRAYS = {
    "flags": np.array([True, False, True]),
    "numbers": np.arange(6, dtype=np.int64),
    "wide": np.asfortranarray(np.random.default_rng(0).random((4, 3))),
    "none": np.zeros((0, 2)),
    "texts": np.array(["a", "béta"]),
    "dev_é": np.float32(2.5),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.savez(tmp_path / "rows.npz", **ARRAYS)
    return tmp_path / "rows.npz"


def test_every_array_is_as_it_was_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_files.np, "load", None)  # the fast way alone
    found = read_arrays(path)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype
        assert found[name].flags.aligned
        assert found[name].flags.writeable


def test_compressed_files_are_read_too(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "rows.npz", **ARRAYS)
    np.testing.assert_array_equal(read_arrays(tmp_path / "rows.npz")["wide"], ARRAYS["wide"])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_byte_that_changed_is_found(path: Path, share: float) -> None:
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("wide.npy").header_offset
        size = archive.getinfo("wide.npy").file_size
    content = bytearray(path.read_bytes())
    start = path.read_bytes().index(b"\x93NUMPY", place)
    content[start + int(share * (size - 1))] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        read_arrays(path)


@pytest.mark.parametrize("kept", [0, 1, 40, 300])
def test_a_cut_file_is_an_error(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises((ValueError, EOFError, zipfile.BadZipFile)):
        read_arrays(path)


def test_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", correct=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_arrays(tmp_path / "rows.npz")


def test_whatever_bytes_changed_it_is_the_same_arrays_or_a_value_error(path: Path) -> None:
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 20)):
            damaged[place] = int(rng.integers(256))
        path.write_bytes(bytes(damaged))
        try:
            read_arrays(path)
        except ValueError:
            continue
