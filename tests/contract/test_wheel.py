"""What is built is what runs: the wheel holds the data files and finds them where it is installed."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GRID = "(import 'sft/grid.libsonnet').seeds([13, 14])"
EVALUATE = """
import json, sys
from pathlib import Path
import sft
from sft.experiments.grids.jsonnet import JsonnetOptions, evaluate_jsonnet
print(json.dumps([sft.__file__, evaluate_jsonnet(Path(sys.argv[1]), JsonnetOptions())]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "sft", source / "sft", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    built = subprocess.run(
        [*pip, "-w", str(source / "dist"), str(source)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (made,) = (source / "dist").glob("*.whl")
    return made


@pytest.mark.slow
def test_it_holds_every_module_the_grid_library_and_the_type_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"sft/grid.libsonnet", "sft/py.typed", "sft/cli/__main__.py"} <= names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sft").rglob("*.py")}
    assert modules <= names
    page = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sft/reporting/page").glob("*/*.*")}
    assert page - {name for name in page if "__pycache__" in name} <= names
    assert not [name for name in names if name.startswith(("tests/", "etc/"))]


@pytest.mark.slow
def test_a_grid_is_evaluated_with_the_library_of_the_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(target)
    (tmp_path / "grid.jsonnet").write_text(GRID)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    command = [sys.executable, "-c", EVALUATE, "grid.jsonnet"]
    child = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    place, value = json.loads(child.stdout)
    assert Path(place).is_relative_to(target)
    assert value == {"seed13": {"seed": 13}, "seed14": {"seed": 14}}


@pytest.mark.slow
def test_the_console_script_is_named(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "sft = sft.cli:main" in archive.read(name).decode()
