"""Label scores on this device, in fp32 and in bf16, beside those of fp32 on the CPU."""

import torch
from transformers import AutoModelForCausalLM

from sft.inference.label_scoring.scoring import LabelScores
from tests.gpu.bench import Bench
from tests.gpu.in_process import LABEL_LENGTHS, apart, loaded, scored
from tests.gpu.report import Findings

FP32_NATS = 1e-3
"""Ten times the 1e-4 nats that scores keep to the slow reference on one device, as the sums run in another order."""
BF16_NATS_PER_TOKEN = 0.05
"""A number of bf16 has 8 bits: a logit near 4 is known to 1/64, and the error of all layers comes on top."""


def run(bench: Bench, found: Findings) -> None:
    """The weights are stored in bf16, so what differs is the computation alone."""
    exact = scored(bench, loaded(bench, {"dtype": "float32"}))
    truth = scored(bench, AutoModelForCausalLM.from_pretrained(bench.folder / "model", dtype=torch.float32))
    bench.release()
    half = scored(bench, loaded(bench, {"dtype": "bfloat16"}))
    nats = float((truth.answer_logprobs + truth.stop_logprobs).std())
    found.figure("spread of the scores (standard deviation)", nats, "nats")
    found.at_most(f"fp32 on {bench.device} from fp32 on the CPU", apart(exact, truth), FP32_NATS, "nats")
    longest = max(LABEL_LENGTHS) + 1
    difference = apart(half, truth)
    found.at_most(f"bf16 on {bench.device} from fp32 on the CPU", difference, BF16_NATS_PER_TOKEN * longest, "nats")
    found.require(difference > 0, "the bf16 scores are those of fp32: nothing was computed in bf16")
    _require_trees({"fp32": exact, "fp32 on the CPU": truth, "bf16": half}, found)


def _require_trees(scores: dict[str, LabelScores], found: Findings) -> None:
    for name, of in scores.items():
        found.require(of.slow_reason is None, f"{name} was scored the slow way: {of.slow_reason}")
