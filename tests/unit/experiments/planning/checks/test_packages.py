"""Packages that are there and cannot be imported: a plan says so before a stage fails of them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sft.exceptions import MachineError
from sft.experiments.planning.checks import packages
from sft.experiments.planning.checks.packages import require_importable

Fake = Callable[[str, str, str], None]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """Writes a package, with one requirement, to where this process and its children import from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    require_importable.cache_clear()

    def write(module: str, needs: str, text: str) -> None:
        path = tmp_path.joinpath(*module.split("."))
        path.mkdir(parents=True)
        for folder in [path, *path.parents][: len(module.split("."))]:
            (folder / "__init__.py").touch()
        (path / "__init__.py").write_text(text)
        package = module.partition(".")[0]
        about = tmp_path / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: {needs}\n"
        )

    yield write
    require_importable.cache_clear()


def test_a_package_of_every_model_that_is_half_installed_is_told_in_one_line(fake: Fake):
    fake("hqq.core.quantize", "termcolour-of-nobody", "import termcolour_of_nobody\n")
    with pytest.raises(MachineError) as told:
        require_importable(None)
    assert told.value.exit_code == 5
    assert str(told.value) == (
        "the package hqq is there but cannot be imported (install it again: pip install hqq): "
        "ModuleNotFoundError: No module named 'termcolour_of_nobody'"
    )


def test_a_package_with_all_that_it_needs_is_not_tried_for_models_that_do_not_use_it(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
):
    fake("hqq.core.quantize", "pytest; extra == 'test'", "raise SystemExit('imported')\n")
    monkeypatch.setattr(packages, "answer_of", lambda *question: pytest.fail(f"asked {question}"))
    require_importable(None)
    require_importable("BitsAndBytesConfig")


@pytest.mark.slow
def test_the_package_of_the_model_itself_is_always_tried(fake: Fake):
    fake("gptqmodel", "pytest", "def f(:\n")
    with pytest.raises(MachineError, match=r"the package gptqmodel is there but .*: SyntaxError"):
        require_importable("AwqConfig")
    require_importable("Mxfp4Config")
