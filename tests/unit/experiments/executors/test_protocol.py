"""What stands between the runner and the machines: the runner's side names none of them."""

import ast
from pathlib import Path

import pytest

import sft
from sft.exceptions import UserError
from sft.experiments.executors import executor_registry, make_executor
from sft.experiments.executors.local.executor import LocalExecutor
from sft.experiments.executors.options import ExecutorOptions

PACKAGE = Path(sft.__file__).parent
EXECUTORS = PACKAGE / "experiments" / "executors"
OF_A_MACHINE = ("sft.processes.gpu_query", "sft.processes.memory", "pynvml")


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def test_nothing_above_an_executor_knows_its_machine() -> None:
    folders = tuple(f"sft.experiments.executors.{path.name}" for path in EXECUTORS.iterdir() if path.is_dir())
    assert "sft.experiments.executors.local" in folders
    above = [path for path in PACKAGE.rglob("*.py") if path.parent == EXECUTORS or EXECUTORS not in path.parents]
    assert {
        path: found for path in above if (found := [name for name in imports(path) if name.startswith(folders)])
    } == {}
    runner = [path for path in (PACKAGE / "experiments").rglob("*.py") if EXECUTORS not in path.parents]
    assert len(runner) > 20
    assert {path: found for path in runner if (found := imports(path).intersection(OF_A_MACHINE))} == {}


def test_an_executor_is_made_by_its_name() -> None:
    assert isinstance(make_executor(ExecutorOptions(), print), LocalExecutor)
    assert set(executor_registry) == {"local", "ray", "slurm"}
    with pytest.raises(UserError, match="unknown executor 'locl'"):
        make_executor(ExecutorOptions(executor="locl"), print)
