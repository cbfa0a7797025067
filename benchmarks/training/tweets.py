"""What is trained on: tweets of the demo as the quickstart grid renders them."""

from pathlib import Path
from typing import Any

from benchmarks.commands import DEMO
from sft.config.experiment import ExperimentConfig
from sft.prompts.train_row import TrainRow
from sft.tasks.encoding import training_rows
from sft.tasks.inputs import load_inputs
from sft.tasks.prompting import PromptMaker

MODEL = DEMO / "SmolLM2-135M-Instruct"
LORA = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
RATE = 3e-4
SHOTS = 16
"""For each of the three labels."""


def config(**trainer_args: Any) -> dict[str, Any]:
    """An experiment of the quickstart grid, with arguments of its trainer over its own."""
    return {
        "dataset": {"path": str(DEMO / "tweets"), "task_type": "classification", "shots": SHOTS, "max_n_test": 4},
        "model": {"name": str(MODEL), "model_args": {"dtype": "float32"}},
        "prompting": {
            "instruction": "Classify the sentiment of the tweet. Answer with one word: {labels}.",
            "input_columns": ["text"],
            "output_column": "label",
        },
        "lora": LORA,
        "training": {"trainer_args": {"learning_rate": RATE, **trainer_args}},
        "evaluation": {"metrics": ["macro_f1"]},
    }


def rows() -> list[dict[str, Any]]:
    """Ids and labels of all shots, in an order in which labels take turns."""
    experiment = ExperimentConfig.model_validate(config())
    inputs = load_inputs(experiment, Path(), {})
    maker = PromptMaker(experiment, Path(), {}, inputs.labels)
    made = [TrainRow.of(row.encoded) for row in training_rows(inputs, maker, None)]
    turns = [row for start in range(SHOTS) for row in made[start::SHOTS]]
    return [{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in turns]
