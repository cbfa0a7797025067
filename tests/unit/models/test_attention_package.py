"""Attention that needs a package of its own is found before anything runs."""

import importlib.util
from typing import Any

import pytest

from sft.exceptions import PackageMissing
from sft.models.model_args import require_attention_package

FLASH = {"attn_implementation": "flash_attention_2"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that there are; a test adds to them."""
    there: set[str] = set()

    def find(name: str) -> Any:
        return object() if name in there else None

    monkeypatch.setattr(importlib.util, "find_spec", find)
    return there


def test_flash_attention_needs_its_package_or_the_hub_s_kernels(installed: set[str]) -> None:
    told = (
        r"attn_implementation flash_attention_2, which runs on GPUs only, needs the package flash-attn.* or write sdpa"
    )
    with pytest.raises(PackageMissing, match=told):
        require_attention_package(FLASH)
    for package in ("flash_attn", "kernels"):
        installed.add(package)
        require_attention_package(FLASH)
        installed.clear()


@pytest.mark.parametrize("args", [{}, {"attn_implementation": "sdpa"}, {"attn_implementation": None}])
def test_other_attention_needs_none(installed: set[str], args: dict[str, Any]) -> None:
    require_attention_package(args)
