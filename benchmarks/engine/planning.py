"""Planning a grid of 10,000 experiments, in a process in which torch must not be imported."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.commands import seconds_of
from benchmarks.engine.tiny_project import config, write_project
from benchmarks.report import Figure

PROGRAM = """
import json, resource, sys, time
started = time.perf_counter()
import sft
plan = sft.plan('large.jsonnet')
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([len(plan.experiments), seconds, peak, 'torch' in sys.modules]), file=open('planned.json', 'w'))
"""
GRID = """
local grid = import 'sft/grid.libsonnet';
local values(name, n, patch) = {{ [name + std.toString(i)]: patch(i) for i in std.range(1, n) }};
grid.product({base}, [
  values('rank', 10, function(i) {{ lora: {{ r: i }} }}),
  values('rate', 10, function(i) {{ training: {{ trainer_args: {{ learning_rate: i * 1e-4 }} }} }}),
  values('icl', 5, function(i) {{ inference: {{ icl_examples: i - 1 }} }}),
  grid.seeds(std.range(1, 20)),
])
"""


def figures(folder: Path) -> Iterator[Figure]:
    """Seconds and memory of `sft.plan`."""
    write_project(folder)
    base = config(lora={}, dataset=config()["dataset"] | {"shots": 4})
    (folder / "large.jsonnet").write_text(GRID.format(base=json.dumps(base)), "utf-8")
    seconds_of([sys.executable, "-c", PROGRAM], folder)
    count, seconds, peak, torch = json.loads((folder / "planned.json").read_text("utf-8"))
    if torch:
        raise RuntimeError("planning imported torch")
    yield Figure(f"planning {count:,} experiments", seconds, "s", "torch not imported")
    yield Figure(f"planning {count:,} experiments, peak memory", peak / 1e6, "MB")
