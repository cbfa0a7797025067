"""What must be equal of two results folders of one grid."""

import json
from pathlib import Path


def reproducible(results: Path) -> dict[str, bytes]:
    """Predictions and adapters as they are, of metrics the parts that are no times and no places; by path."""
    files = {
        path.relative_to(results).as_posix(): path.read_bytes()
        for pattern in ("experiments/*/result/predictions*", "stages/train/*/adapter/*")
        for path in sorted(results.glob(pattern))
    }
    for path in results.glob("experiments/*/result/metrics.json"):
        metrics = json.loads(path.read_text("utf-8"))
        part = {key: metrics[key] for key in ("results", "details", "data")}
        files[path.relative_to(results).as_posix()] = json.dumps(part, sort_keys=True).encode()
    return files
