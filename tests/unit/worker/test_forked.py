"""What a forked worker changes of what it got from the server."""

import functools
import os
import sys
from types import SimpleNamespace

import pytest

from sft.worker import forked


@pytest.mark.parametrize(
    ("server", "job", "asks_again"),
    [
        ({}, {"CUDA_VISIBLE_DEVICES": ""}, True),
        ({}, {"CUDA_VISIBLE_DEVICES": "GPU-a"}, False),
        ({"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": ""}, False),
    ],
)
def test_libraries_find_out_again_whether_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch, server: dict[str, str], job: dict[str, str], asks_again: bool
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in forked.THREAD_COUNTS:
        monkeypatch.setenv(name, "1")
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    has_gpu = functools.lru_cache(lambda: os.environ.get("CUDA_VISIBLE_DEVICES") != "")
    library = SimpleNamespace(is_torch_cuda_available=has_gpu, other=1)
    monkeypatch.setitem(sys.modules, "transformers.utils.import_utils", library)
    monkeypatch.setattr(forked, "REMEMBER_DEVICES", ("transformers.utils.import_utils", "not.imported"))
    in_server = has_gpu()
    forked._set_variables(job)
    assert has_gpu() is (not in_server if asks_again else in_server)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_the_functions_that_keep_what_they_found_are_where_we_look() -> None:
    from transformers.utils import import_utils

    assert import_utils.__name__ in forked.REMEMBER_DEVICES
    assert hasattr(import_utils.is_torch_cuda_available, "cache_clear")
