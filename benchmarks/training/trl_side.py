"""TRL's own trainer, run by the interpreter of .venv-peers: `trl_side.py default|no-checkpointing MODEL_FOLDER`.

`default`: what TRL does where nothing is said of a CPU but fp32, among it the recomputing of activations.
"""

import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from benchmarks.training.answering import answer_requests

LORA = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}


class _Clock(TrainerCallback):  # type: ignore[misc]
    def __init__(self, step_done: Callable[[], None]) -> None:
        self._step_done = step_done

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        """A step is over."""
        self._step_done()


def main(kind: str, folder: str) -> None:
    """Answer requests until there are no more."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **LORA))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chosen = {} if kind == "default" else {"gradient_checkpointing": False}

    def train(request: dict[str, Any], step_done: Callable[[], None]) -> list[float]:
        args = SFTConfig(
            output_dir=tempfile.gettempdir(),  # nothing is written
            per_device_train_batch_size=request["batch_size"],
            max_steps=request["steps"],
            learning_rate=request["rate"],
            train_sampling_strategy="sequential",
            logging_steps=1,
            use_cpu=True,
            bf16=False,
            max_length=None,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **chosen,
        )
        rows = Dataset.from_list(request["rows"])
        trainer = SFTTrainer(
            model=model, args=args, train_dataset=rows, processing_class=tokenizer, callbacks=[_Clock(step_done)]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    answer_requests(model, train)


if __name__ == "__main__":
    main(*sys.argv[1:])
