"""Texts of an experiment's rows that a tokenizer or a chat template may not take: blank ones, and what blanks do."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sft.config.experiment import ExperimentConfig
from sft.data.rows import Row
from sft.experiments.planning.checks.data import DataChecks
from sft.tasks.inputs import Inputs

BLANK_LINE = re.compile(r"\n\r?\n")


class OddRow(NamedTuple):
    """A row whose texts are tried on a tokenizer before anything runs."""

    name: str
    """Split and number, as messages name it."""
    inputs: dict[str, str]
    """Text of each input column; empty where its output is what is tried."""
    output: str | None


class OddTexts:
    """Finds the odd rows of experiments; each distinct selection of rows is searched once."""

    def __init__(self, data: DataChecks) -> None:
        self._data = data
        self._found: dict[tuple[object, ...], list[OddRow]] = {}

    def of(self, config: ExperimentConfig) -> list[OddRow]:
        """The rows of an experiment with blank inputs, and those with blanks in outputs that prompts show."""
        inputs = self._data.inputs(config)
        shows_outputs = inputs.labels is None and (config.trains or config.inference.icl_examples > 0)
        columns = tuple(dict.fromkeys([*config.prompting.input_columns, *config.inference_prompting.input_columns]))
        key = (id(inputs), columns, config.prompting.output_column, shows_outputs)
        if key not in self._found:
            found = list(_blank_inputs(inputs, columns))
            shown = inputs.selection.test if inputs.splits.folds else inputs.selection.pool
            found += _odd_outputs(shown, config.prompting.output_column) if shows_outputs else ()
            self._found[key] = found
        return self._found[key]


def _blank_inputs(inputs: Inputs, columns: Sequence[str]) -> Iterator[OddRow]:
    """One row for each way in which all input columns are blank."""
    seen = set()
    for split, rows in {"train": inputs.selection.shots, **inputs.evaluated()}.items():
        for row in rows:
            texts = {column: row.input_text(column) for column in columns if column in row.values}
            way = tuple(texts.values())
            if not "".join(way).strip() and way not in seen:
                seen.add(way)
                yield OddRow(f"{split} row {row.source_index}", texts, None)


def _odd_outputs(rows: Sequence[Row], column: str) -> Iterator[OddRow]:
    """Outputs with a blank line, which the plain format refuses, and one for each way of blanks around an output."""
    seen = set()
    for row in rows:
        text = row.text(column)
        way = tuple(text.partition(text.strip() or text)[::2]), not text.strip()
        if BLANK_LINE.search(text) or (way != (("", ""), False) and way not in seen):
            seen.add(way)
            yield OddRow(f"train row {row.source_index}", {}, text)
