"""`python -m sft.experiments.planning.checks.metric_child`: loads metrics; it may import anything."""

import json
import sys
from pathlib import Path

from sft.errors import SftError
from sft.evaluation.metrics.hub import arguments_key, try_hub_metric
from sft.evaluation.selection import entry_of, options_of, result_name, source_of
from sft.registry import import_object


def main() -> None:
    """Load the metrics that standard input names."""
    question = json.load(sys.stdin)
    folder = Path(question["folder"])
    for name in question["metrics"]:
        if source_of(name) == "hub":
            try_hub_metric(name, question["options"].get(arguments_key(result_name(name)), {}), folder)
        else:
            entry = entry_of(name)
            import_object(entry.module).require(**options_of(entry, question["options"], folder))


if __name__ == "__main__":
    try:
        main()
    except SftError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
