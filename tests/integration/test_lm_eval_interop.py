"""lm-evaluation-harness measures an adapter of ours on the task that `sft inspect --lm-eval` writes.

It runs unmocked, in an environment of its own, by the very command that is printed.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]
PEERS = REPOSITORY / ".venv-peers" / "bin"
DEMO = REPOSITORY / "data" / "demo"
MODEL = DEMO / "SmolLM2-135M-Instruct"
TWEETS = DEMO / "tweets"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
N_TWEETS = 12
NATS = 1e-4
"""fp32 on both sides."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (PEERS / "lm_eval").is_file(),
        reason=f"NOT TESTED: lm-evaluation-harness is not in {PEERS}; install it with `make peers`",
    ),
]


class Sample(NamedTuple):
    """What lm-eval found of one row."""

    index: int
    logprobs: list[float]


class Peer(NamedTuple):
    """What lm-eval reported."""

    acc: float
    samples: list[Sample]


def on_tweets() -> dict[str, Any]:
    """PiSSA on a few tweets: what is on disk has twice the rank that was trained."""
    return {
        "dataset": {
            "path": str(TWEETS),
            "task_type": "classification",
            "shots": 4,
            "max_n_test": N_TWEETS,
            "labels": ["negative", "neutral", "positive"],
        },
        "model": {"name": str(MODEL)},
        "lora": {"r": 4, "init_lora_weights": "pissa", "target_modules": ["q_proj", "v_proj"]},
        "prompting": {"instruction": "Mood: {labels}?", "input_columns": ["text"], "output_column": "label"},
        "training": {"trainer_args": {"learning_rate": 3e-4, "max_steps": 3, "per_device_train_batch_size": 4}},
    }


def measured_by_lm_eval(task: dict[str, Any], folder: Path) -> Peer:
    """Run the printed command with `.venv-peers` in front of the path, and read what it logged."""
    command = f"{task['command']} --log_samples --output_path {folder}"
    path = f"{PEERS}{os.pathsep}{os.environ['PATH']}"
    settings = os.environ | OFFLINE | {"PATH": path, "HF_DATASETS_CACHE": str(folder / "cache")}
    settings.pop("PYTHONPATH", None)
    ended = subprocess.run(command, shell=True, env=settings, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    (results,), (samples,) = folder.rglob("results_*.json"), folder.rglob("samples_*.jsonl")
    acc = json.loads(results.read_text("utf-8"))["results"][task["task"]]["acc,none"]
    return Peer(acc, [sample_of(json.loads(line)) for line in samples.read_text("utf-8").splitlines()])


def sample_of(logged: dict[str, Any]) -> Sample:
    return Sample(logged["doc"]["index"], [float(score) for score, _ in logged["filtered_resps"]])


def differences(place: Any, written: dict[str, Any]) -> list[list[float]]:
    """Evaluate, hand over, measure again; for each row what lm-eval has more than we have, by label, in nats."""
    place.run("run-experiment", written)
    task = json.loads(place.run("inspect", written, "--lm-eval", "task", "--json").splitlines()[0])["lm_eval"]
    peer = measured_by_lm_eval(task, place.folder / "peer")
    accuracy, lines = place.metrics()["results"]["accuracy"], place.lines()
    assert task["accuracy"] == accuracy
    assert peer.acc == pytest.approx(accuracy, abs=1e-9)
    assert sorted(sample.index for sample in peer.samples) == [line["index"] for line in lines]
    ours = [list(lines[sample.index]["label_logprobs"].values()) for sample in peer.samples]
    pairs = zip(peer.samples, ours, strict=True)
    return [[one - own for one, own in zip(sample.logprobs, own_row, strict=True)] for sample, own_row in pairs]


@pytest.mark.skipif(
    not (MODEL / "model.safetensors").is_file() or not (TWEETS / "test.jsonl").is_file(),
    reason=f"NOT TESTED: the demo model and tweets are not in {DEMO}; make them with `make demo-data`",
)
def test_a_real_adapter_has_the_same_accuracy_and_scores(place: Any) -> None:
    apart = differences(place, on_tweets())
    assert len(apart) == N_TWEETS
    assert max(max(row) - min(row) for row in apart) < NATS
    # The line break that ends the prompt counts to every label there: nearly certain, and never more than that.
    assert all(-1e-2 < more < NATS for row in apart for more in row)


def test_labels_of_several_tokens_after_examples_in_plain_format(place: Any) -> None:
    written = place.trained(prompting={"format": "plain"}, inference={"icl_examples": 1})
    apart = differences(place, written)
    assert len(apart) == 12
    assert max(abs(more) for row in apart for more in row) < NATS
