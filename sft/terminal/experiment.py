"""What one experiment's results look like on the terminal."""

import json
from typing import Any

from sft.runs.files import JobFolder
from sft.runs.records import read_json_or_none

TEXT_WIDTH = 70


def experiment_text(folder: JobFolder, rows: int) -> str:
    """The metrics of an experiment, where there are any, and its first rows with prediction and gold."""
    record = read_json_or_none(folder.metrics)
    lines = []
    if isinstance(record, dict):
        width = max(len(name) for name in record["results"])
        lines += [
            f"{name:<{width}}  {'n/a' if value is None else f'{value:.4f}'}"
            for name, value in record["results"].items()
        ]
    config = json.loads(folder.config.read_text("utf-8"))["config"]
    output_column = config["prompting"]["output_column"]
    with folder.predictions("test", "jsonl").open(encoding="utf-8") as file:
        for _, line in zip(range(rows), file, strict=False):
            lines += ["", *_row_lines(json.loads(line), output_column)]
    return "\n".join(lines) + "\n\n"


def _row_lines(row: dict[str, Any], output_column: str) -> list[str]:
    """The inputs first, then prediction and gold below each other, where the eye compares them."""
    ours = ("predictions", "index", "source_index", "label_logprobs", "probabilities", "icl_indices", output_column)
    inputs = [f"{name}: {_short(value)}" for name, value in row.items() if name not in ours]
    return [*inputs, f"  prediction: {_short(row['predictions'])}", f"  gold:       {_short(row.get(output_column))}"]


def _short(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= TEXT_WIDTH else f"{text[: TEXT_WIDTH - 3]}..."
