"""A model of a billion parameters: steps beside plain TRL's in bf16 and in 4 bits, memory over twenty trainings."""

import importlib.util
import os
from pathlib import Path

import torch

from sft.config.model import QuantizationConfig
from tests.gpu.bench import TINY, Bench, Sizes, make_bench
from tests.gpu.in_process import adapted, loaded, train, train_rows
from tests.gpu.quantized import PACKAGE
from tests.gpu.report import Findings
from tests.gpu.training import MIB, Comparison, compare_steps

LARGE = Sizes(
    2048, 8192, 16, 16, 32768, 0.02, words=60, batch=8, steps=10, prompts=4, prompt_tokens=200, train_tokens=512
)
"""1.1 billion parameters, the embeddings counted once."""
RUNS = 20
RUNS_OF_TINY = 4
LEFT_MIB = 64.0
"""That may be missing after a training beside what was taken after the first one."""
SHARED_RATIO, SHARED = 0.9, 0.75
"""Of the step times, ours to theirs, where rows begin with this share of their tokens in common."""
MEMORY_RATIO = 1.05


def run(bench: Bench, found: Findings) -> None:
    """Each comparison in turn; the small model of the other parts stays where it is."""
    sizes = LARGE if bench.sizes.layers > TINY.layers else TINY
    large = make_bench(bench.folder / "large", bench.device, sizes)
    apart, alike = train_rows(large), train_rows(large, int(SHARED * sizes.train_tokens))
    compare_steps(large, found, Comparison(apart, "bf16, nothing shared", most_memory=MEMORY_RATIO))
    large.release()
    compare_steps(large, found, Comparison(alike, f"bf16, {SHARED:.0%} shared", None, SHARED_RATIO, MEMORY_RATIO))
    large.release()
    if importlib.util.find_spec(PACKAGE) is None:
        found.figure("nf4", f"not run: {PACKAGE} is not installed")
    else:
        arguments = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": large.expected_dtype,
        }
        four_bits = QuantizationConfig(config_class="BitsAndBytesConfig", args=arguments)
        compare_steps(large, found, Comparison(apart, "nf4", four_bits, most_memory=MEMORY_RATIO))
        large.release()
    _train_again_and_again(large, found, RUNS if sizes is LARGE else RUNS_OF_TINY)


def _train_again_and_again(bench: Bench, found: Findings, runs: int) -> None:
    """Trainings in one process, each of a model of its own: what the first one leaves is all that is ever left."""
    left = []
    for _ in range(runs):
        model = adapted(bench, loaded(bench))
        train(bench, model, {"max_steps": 2, "per_device_train_batch_size": bench.sizes.batch})
        del model
        bench.release()
        left.append(_taken_mib(bench))
    found.figure("trainings in one process", runs)
    found.figure("memory after the first one", left[0], "MiB")
    if bench.on_gpu:
        found.at_most("most left after a later one, above that", max(left) - left[0], LEFT_MIB, "MiB")
    else:
        found.figure("most left after a later one, above that", max(left) - left[0], "MiB", "none on a CPU")


def _taken_mib(bench: Bench) -> float:
    """What tensors take on the GPU; on a CPU the resident memory of this process."""
    if bench.on_gpu:
        return torch.cuda.memory_allocated() / MIB
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB
