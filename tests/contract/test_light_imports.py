"""What answers at once must not load what takes seconds: checks run where the heavy packages cannot be imported."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCKED = ("torch", "evaluate")
"""Cannot be imported at all; the others are looked at, as checks read the source of the installed package."""
UNTOUCHED = (
    *BLOCKED,
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "bitsandbytes",
    "pandas",
    "sklearn",
    "scipy",
    "ray",
)
HEAVY = (*UNTOUCHED, "datasets", "pyarrow", "numpy", "pydantic")

CHECKS = """
import json, sys
blocked, untouched = json.loads(sys.argv[1])
for name in blocked:
    sys.modules[name] = None
from pathlib import Path
from sft import api
from sft.terminal.plan import plan_lines
from sft.runs.files import ResultsFolder
results = ResultsFolder(Path("results"))
plan = api.plan("grid.json")
print(json.dumps({
    "plan": plan_lines(plan, results),
    "schema": sorted(api.schema()["properties"]),
    "methods": api.methods(),
    "loaded": [name for name in untouched if sys.modules.get(name) is not None],
}))
"""
BOARD = """
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from pathlib import Path
from sft import api
api.status(), api.logs("a"), api.logs("0123"), api.verify(), api.clean()
print(api.leaderboard([Path("results")]).to.path)
"""
IMPORTED = """
import json, sys
import sft
first = sorted(name for name in json.loads(sys.argv[1]) if name in sys.modules)
import sft.cli
second = sorted(name for name in json.loads(sys.argv[1]) if name in sys.modules)
print(json.dumps([first, second]))
"""


def _python(code: str, folder: Path, names: object) -> str:
    command = [sys.executable, "-c", code, json.dumps(names)]
    child = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    return child.stdout


def test_plan_schema_and_methods_need_no_heavy_package(project: Path, raw: Callable[..., dict[str, Any]]) -> None:
    """The tokenizer's child process is its own: there only torch is blocked."""
    configs = {
        "lora": raw({"evaluation": {"metrics": ["macro_f1", "ece"], "ece_bins": 5}}),
        "pissa": raw({"lora": {"init_lora_weights": "pissa"}}),
        "quantized": raw(
            {"model": {"quantization": {"config_class": "BitsAndBytesConfig", "args": {"load_in_4bit": True}}}}
        ),
        "texts": raw({"dataset": {"task_type": "generation"}, "inference": {"generation_args": {"do_sample": True}}}),
        "icl": raw({"lora": ..., "training": ..., "inference": {"icl_examples": 2}}),
        "nearest": raw({"lora": ..., "training": ..., "inference": {"icl_examples": 2, "icl_selection": "nearest"}}),
    }
    (project / "grid.json").write_text(json.dumps({"configs": configs}))
    found = json.loads(_python(CHECKS, project, (BLOCKED, UNTOUCHED)))
    assert found["loaded"] == []
    assert found["plan"][0] == "6 experiments from grid.json"
    assert "dataset" in found["schema"]
    assert all(name in found["methods"] for name in ("umap", "bleurt", "none", "generation"))


def test_views_of_results_need_neither_torch_nor_evaluate(tmp_path: Path) -> None:
    experiment = tmp_path / "results" / "experiments" / "a-01234567"
    experiment.mkdir(parents=True)
    (experiment / "config.json").write_text(json.dumps({"id": "0123456789abcdef", "names": ["a"], "config": {}}))
    (tmp_path / "results" / "run.lock").touch()
    _python(BOARD, tmp_path, BLOCKED)
    assert (tmp_path / "results" / "leaderboard.json").is_file()


def test_importing_the_package_and_its_commands_loads_nothing_heavy(tmp_path: Path) -> None:
    assert json.loads(_python(IMPORTED, tmp_path, HEAVY)) == [[], []]
