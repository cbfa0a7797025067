"""What 10,000 rows after 4,000 shared tokens cost on the CPU before a model sees the first of them.

Rows, tokenizer, labels and templates are real: tweets of the demo, made unlike by a number, after as many in-context
examples as make 4,000 tokens. The model is a tiny random one that is never run: its first pass ends the measurement.
"""

import json
import time
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import torch

from benchmarks.commands import DEMO
from benchmarks.report import Figure
from benchmarks.scoring.cases import MODEL, PHRASE_INSTRUCTION, SENTIMENTS
from benchmarks.scoring.thousand_labels import LABELS as PHRASES
from sft.config.experiment import ExperimentConfig
from sft.inference.label_scoring.grouping import PassLimits
from sft.inference.label_scoring.scoring import score_labels
from sft.tasks.encoding import evaluated_rows
from sft.tasks.inputs import Inputs, load_inputs
from sft.tasks.prompting import PromptMaker

ROWS, SHARED_TOKENS = 10_000, 4_000
TWEET_TOKENS = 32
"""Of a tweet of the demo on average, its turn and its answer counted."""
LIMITS = PassLimits(tokens=8192)
WANTED = 5.0


class _FirstPass(Exception):
    """The model was called."""


def figures(folder: Path) -> Iterator[Figure]:
    """The chat format with three labels, the plain format with 77 labels of several words."""
    torch.set_num_threads(1)
    model = _model()
    for form, labels in (("chat", SENTIMENTS), ("plain", PHRASES[:77])):
        inputs = _inputs(folder / form, form, labels)
        seconds, shared = _seconds(inputs, model)
        name = f"{ROWS:,} rows, {form} format, {len(labels)} labels"
        note = f"{shared} shared tokens; wanted: {WANTED:g}"
        yield Figure(f"{name}: before the first pass", seconds, "s of CPU", note)


def _seconds(inputs: Inputs, model: Any) -> tuple[float, int]:
    """CPU seconds from rows in memory to the first pass, and the tokens that the prompts share."""
    maker = PromptMaker(inputs.config, Path(), {}, inputs.labels)
    maker.tokenizer  # noqa: B018  read before the clock starts
    started = time.process_time()
    prompts = [row.encoded for row in evaluated_rows(inputs, maker, "test", None)]
    labels = maker.inference.labels
    maker.inference.builder.check_labels(prompts, labels)
    ids = [prompt.prompt_ids for prompt in prompts]
    try:
        score_labels(model, ids, [(label.answer_ids, label.stop_ids) for label in labels], LIMITS)
    except _FirstPass:
        seconds = time.process_time() - started
    else:
        raise RuntimeError("the model was never called")
    first, last = min(ids), max(ids)
    return seconds, next(place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)


def _inputs(folder: Path, form: str, labels: tuple[str, ...]) -> Inputs:
    """The rows of an experiment with as many examples as make the shared tokens."""
    folder.mkdir()
    train, test = (_tweets(split) for split in ("train", "test"))
    _write(folder / "train.jsonl", [{**row, "label": labels[place % len(labels)]} for place, row in enumerate(train)])
    rows = [{"text": f"{place} {test[place % len(test)]['text']}", "label": labels[0]} for place in range(ROWS)]
    _write(folder / "test.jsonl", rows)
    config = {
        "dataset": {"path": str(folder), "task_type": "classification", "shots": "all", "labels": list(labels)},
        "model": {"name": str(MODEL)},
        "prompting": {
            "format": form,
            "input_columns": ["text"],
            "output_column": "label",
            "instruction": PHRASE_INSTRUCTION,
        },
        "inference": {"icl_examples": ceil(SHARED_TOKENS / TWEET_TOKENS / len(labels))},
    }
    return load_inputs(ExperimentConfig.model_validate(config), folder, {})


def _tweets(split: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DEMO / "tweets" / f"{split}.jsonl").read_text("utf-8").splitlines()]


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _model() -> Any:
    """A model of the demo model's kind that refuses to run."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=8, num_key_value_heads=1, **sizes))

    def refuse(_module: Any, _arguments: Any) -> None:
        raise _FirstPass

    model.register_forward_pre_hook(refuse)
    return model
