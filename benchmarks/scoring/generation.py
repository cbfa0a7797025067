"""Answers that the demo model writes after 12 shared in-context examples: plain `generate` and ours.

Both sides get the same token ids, run batches of the same size and stop at the same token; they must write the same
texts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.commands import DEMO
from benchmarks.report import Figure
from benchmarks.scoring.cases import MODEL, SENTIMENTS, Case, prompts_of
from sft.inference.generation import GenerationSettings, generate_texts
from sft.models.loading import ModelSource, load_model
from sft.models.tokenizers import load_tokenizer
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

EXAMPLES = 12
TWEETS = 24
BATCH_SIZE = 8
NEW_TOKENS = 8
ROUNDS = 2
TARGET = 3.0
END = "<|im_end|>"

Write = Callable[[Any, Any, Sequence[Sequence[int]]], list[str]]


def figures(_folder: Path) -> Iterator[Figure]:
    """Both sides by turns, after a batch that does not count."""
    torch.set_num_threads(1)
    model = load_model(ModelSource(name=str(MODEL), folder=DEMO, model_args={"dtype": "float32"}), CAUSAL_LM).eval()
    tokenizer = load_tokenizer(str(MODEL), DEMO)
    prompts = prompts_of(Case("answers", SENTIMENTS, TWEETS, EXAMPLES)).ids
    sides: dict[str, Write] = {"generate": _plain, "sft": _ours}
    took: dict[str, list[float]] = {name: [] for name in sides}
    texts: dict[str, list[str]] = {}
    _ours(model, tokenizer, prompts[:BATCH_SIZE])
    for _ in range(ROUNDS):
        for name, write in sides.items():
            started = time.perf_counter()
            texts[name] = write(model, tokenizer, prompts)
            took[name].append(time.perf_counter() - started)
    different = sum(first != second for first, second in zip(*texts.values(), strict=True))
    if different:
        raise RuntimeError(f"{different} of {TWEETS} texts are not those of plain generate")
    lengths = [len(prompt) for prompt in prompts]
    case = f"{TWEETS} answers of up to {NEW_TOKENS} tokens, {EXAMPLES} examples"
    note = f"median of {ROUNDS}; batches of {BATCH_SIZE}, prompts of {min(lengths)} to {max(lengths)} tokens"
    for name, seconds in took.items():
        yield Figure(f"{case}: {name}", median(seconds), "s", note)
    ratio = median(took["generate"]) / median(took["sft"])
    yield Figure(f"{case}: generate / sft", ratio, "x", f"wanted: {TARGET:g}; the same texts")


def _plain(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]]) -> list[str]:
    texts = []
    for start in range(0, len(prompts), BATCH_SIZE):
        batch = {"input_ids": [list(prompt) for prompt in prompts[start : start + BATCH_SIZE]]}
        inputs = tokenizer.pad(batch, padding_side="left", return_tensors="pt")
        with torch.inference_mode():
            output = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=False,
                max_new_tokens=NEW_TOKENS,
                eos_token_id=tokenizer.convert_tokens_to_ids(END),
            )
        written = output[:, inputs["input_ids"].shape[1] :]
        texts += [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
    return texts


def _ours(model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]]) -> list[str]:
    args = {"do_sample": False, "num_beams": 1, "max_new_tokens": NEW_TOKENS}
    stop = (tokenizer.convert_tokens_to_ids(END),)
    settings = GenerationSettings(args, stop, END, BATCH_SIZE, seed=13)
    return generate_texts(model, tokenizer, prompts, settings)
