"""Quantised base models: loaded, trained for two steps, saved, loaded again, and then the same scores."""

import importlib.util
from typing import Any

from sft.adapters.saving import load_adapter, save_adapter
from sft.config.model import QuantizationConfig
from tests.gpu.bench import Bench
from tests.gpu.in_process import adapted, apart, loaded, scored, train
from tests.gpu.report import Findings, Skipped

PACKAGE = "bitsandbytes"
NATS = 0.02
"""Between the scores of the trained model and of the saved one: the same codes, the same fp32 adapter."""
LEARNING_RATE = 0.01
"""So large that two steps move the scores by more than a hundred times the bound would hide."""


def run_nf4(bench: Bench, found: Findings) -> None:
    """Four bits, in the NormalFloat type of QLoRA."""
    arguments = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": bench.expected_dtype}
    _run(bench, "nf4", "Linear4bit", arguments, found)


def run_int8(bench: Bench, found: Findings) -> None:
    """Eight bits, with outlying columns in 16."""
    _run(bench, "int8", "Linear8bitLt", {"load_in_8bit": True}, found)


def _run(bench: Bench, name: str, layer: str, arguments: dict[str, Any], found: Findings) -> None:
    if importlib.util.find_spec(PACKAGE) is None:
        raise Skipped(f"{PACKAGE} is not installed; nothing is known of {name} on this machine")
    quantization = QuantizationConfig(config_class="BitsAndBytesConfig", args=arguments)
    model = loaded(bench, quantization=quantization)
    count = sum(any(kind.__name__ == layer for kind in type(module).__mro__) for module in model.modules())
    found.figure(f"layers of class {layer}", count, "", "> 0")
    found.require(count > 0, f"no layer was quantised: no {layer}")
    untrained = scored(bench, model)
    model = adapted(bench, model)
    record = train(bench, model, {"max_steps": 2, "learning_rate": LEARNING_RATE})
    found.same("steps", record.n_steps, 2)
    found.require(
        all(point.loss is not None and point.grad_norm for point in record.loss_curve), "a step had no gradient"
    )
    trained = scored(bench, model)
    folder = bench.folder / f"adapter-{name}"
    save_adapter(model, "lora", folder)
    del model
    bench.release()
    reloaded = scored(bench, load_adapter(loaded(bench, quantization=quantization), folder))
    moved = apart(trained, untrained)
    found.figure("how far training moved a score", moved, "nats", f"> {NATS:g}")
    found.require(
        moved > NATS, f"two steps moved the scores by {moved:.2g} nats only: equal scores would show nothing"
    )
    found.at_most("scores after loading again from the trained ones", apart(reloaded, trained), NATS, "nats")
