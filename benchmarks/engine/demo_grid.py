"""Twelve experiments of the demo model: as a grid, one by one, and as a shell loop of the libraries' own commands.

3 initialisations x {0, 2} in-context examples per label x 2 metrics, each 16 shots per label. The loop trains and
scores the same number of rows with the same batch sizes; its command has no choice of initialisation, which costs it
nothing. Steps and test rows are few on all sides, so that what is compared stays within minutes.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.commands import DEMO, PEERS, seconds_of, sft
from benchmarks.report import Figure

INSTRUCTION = "Classify the sentiment of the tweet. Answer with one word: {}."
LABELS = ("negative", "neutral", "positive")
SHOTS, TEST_ROWS, EPOCHS, RATE, BATCH = 16, 20, 1, 3e-4, 8
REPEATS = 2
ICL, METRICS, INITS = (0, 2), ("macro_f1", "accuracy"), (True, "pca", "pissa")


def figures(folder: Path) -> Iterator[Figure]:
    """The grid first, then the same twelve alone, then the loop, all with the threads that the machine gives."""
    grid = {"configs": dict(_experiments())}
    (folder / "grid.json").write_text(json.dumps(grid), "utf-8")
    together = seconds_of(sft("run-experiments", "grid.json", "--results-path", "together"), folder)
    yield Figure("12 experiments of the demo model as a grid", together, "s")
    alone = 0.0
    measured = [name for name in grid["configs"] if name.endswith(METRICS[0])]
    for number, name in enumerate(measured):
        arguments = ("--only", name, "--start", "fresh", "--results-path", f"alone/{number}")
        alone += len(METRICS) * seconds_of(sft("run-experiments", "grid.json", *arguments), folder)
    note = f"{len(measured)} were run, each counted {len(METRICS)} times: the other metric costs the same"
    yield Figure("the same 12 one by one, fresh, nothing shared", alone, "s", note)
    yield Figure("one by one / grid", alone / together, "x")
    yield from _loop(folder, together)


def _experiments() -> Iterator[tuple[str, dict[str, Any]]]:
    for init in INITS:
        for k in ICL:
            for metric in METRICS:
                yield f"{init}/icl-{k}/{metric}".lower(), demo_config(init, k, metric)


def demo_config(init: bool | str, k: int, metric: str) -> dict[str, Any]:
    arguments = {"learning_rate": RATE, "num_train_epochs": EPOCHS, "per_device_train_batch_size": BATCH}
    return {
        "dataset": {
            "path": str(DEMO / "tweets"),
            "task_type": "classification",
            "shots": SHOTS,
            "max_n_test": TEST_ROWS,
        },
        "model": {"name": str(DEMO / "SmolLM2-135M-Instruct")},
        "prompting": {
            "instruction": INSTRUCTION.format("{labels}"),
            "input_columns": ["text"],
            "output_column": "label",
        },
        "lora": {"r": 8, "lora_alpha": 16, "init_lora_weights": init},
        "training": {"trainer_args": arguments},
        "inference": {"icl_examples": k, "batch_size": BATCH},
        "evaluation": {"metrics": [metric]},
    }


def _loop(folder: Path, together: float) -> Iterator[Figure]:
    """`trl sft` and `lm_eval` from an environment of their own."""
    if not (PEERS / "trl").exists():
        yield Figure("shell loop of trl sft and lm_eval", float("nan"), "s", "not installed: make peers")
        return
    _write_peer_data(folder / "peer")
    trainings, scorings = [], []
    for _ in range(REPEATS):
        shutil.rmtree(folder / "peer" / "adapter", ignore_errors=True)
        trainings.append(seconds_of(_train_command(folder / "peer"), folder))
        scorings.append(mean(seconds_of(_evaluate_command(folder / "peer", k), folder) for k in ICL))
    count = len(INITS) * len(ICL) * len(METRICS)
    trained, evaluated = count * mean(trainings), count * mean(scorings)
    note = f"{count} times the mean of {REPEATS}: the commands of the loop are the same"
    yield Figure(f"shell loop: {count} x trl sft", trained, "s", note)
    yield Figure(f"shell loop: {count} x lm_eval", evaluated, "s", note)
    yield Figure("shell loop / grid", (trained + evaluated) / together, "x")
    shared = trained * len(INITS) / count + evaluated * len(INITS) * len(ICL) / count
    note = "computed from the same times: a loop written so that it trains 3 times and scores 6 times"
    yield Figure("shell loop that shares by hand / grid", shared / together, "x", note)


def _write_peer_data(folder: Path) -> None:
    train, test = (_rows(split) for split in ("train", "test"))
    shots = [row for label in LABELS for row in [row for row in train if row["label"] == label][:SHOTS]]
    folder.mkdir(parents=True)
    system = {"role": "system", "content": INSTRUCTION.format(", ".join(LABELS))}
    conversations = [
        {
            "prompt": [system, {"role": "user", "content": row["text"]}],
            "completion": [{"role": "assistant", "content": row["label"]}],
        }
        for row in shots
    ]
    for place, rows in (("sft/train.jsonl", conversations), ("eval/train.jsonl", shots), ("eval/test.jsonl", test)):
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows[: max(TEST_ROWS, len(shots))]), "utf-8")
    files = {split: str(folder / "eval" / f"{split}.jsonl") for split in ("train", "test")}
    task = {
        "task": "tweets",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "output_type": "multiple_choice",
        "training_split": "train",
        "fewshot_split": "train",
        "test_split": "test",
        "description": INSTRUCTION.format(", ".join(LABELS)),
        "doc_to_text": "{{text}}",
        "doc_to_choice": list(LABELS),
        "doc_to_target": "label",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "tweets.yaml").write_text(json.dumps(task), "utf-8")


def _rows(split: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DEMO / "tweets" / f"{split}.jsonl").read_text("utf-8").splitlines()]


def _train_command(folder: Path) -> list[str]:
    options = {
        "model_name_or_path": DEMO / "SmolLM2-135M-Instruct",
        "dataset_name": folder / "sft",
        "output_dir": folder / "adapter",
        "use_peft": True,
        "lora_r": 8,
        "lora_alpha": 16,
        "lora_target_modules": "all-linear",
        "learning_rate": RATE,
        "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": BATCH,
        "gradient_checkpointing": False,
        "use_cpu": True,
        "bf16": False,
        "dtype": "float32",
        "report_to": "none",
        "save_strategy": "no",
    }
    return [str(PEERS / "trl"), "sft", *(text for key, value in options.items() for text in (f"--{key}", str(value)))]


def _evaluate_command(folder: Path, k: int) -> list[str]:
    model = f"pretrained={DEMO / 'SmolLM2-135M-Instruct'},peft={folder / 'adapter'},dtype=float32"
    command = [str(PEERS / "lm_eval"), "--model", "hf", "--model_args", model, "--device", "cpu"]
    command += ["--tasks", "tweets", "--include_path", str(folder), "--batch_size", str(BATCH)]
    command += ["--num_fewshot", str(k * len(LABELS)), "--apply_chat_template", "--limit", str(TEST_ROWS)]
    return command + (["--fewshot_as_multiturn"] if k else [])
