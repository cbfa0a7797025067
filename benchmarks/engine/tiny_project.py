"""A random model of two layers and a few rows to classify: nearly all the time of its grid is the engine's own."""

import json
import random
from pathlib import Path
from typing import Any

LABELS = ("billing", "support", "other")
WORDS = {
    "billing": ("invoice", "refund", "card", "payment", "price"),
    "support": ("crash", "error", "screen", "update", "login"),
    "other": ("office", "job", "address", "event", "thanks"),
}
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_project(folder: Path) -> None:
    """`model/` and `tickets/{train,test}.jsonl`."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    rows = {split: _rows(seed) for seed, split in enumerate(("train", "test"))}
    for split, items in rows.items():
        path = folder / "tickets" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(row)}\n" for row in items), "utf-8")
    tokenizer = _tokenizer([row["text"] for row in rows["train"]])
    set_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")


def config(**patch: Any) -> dict[str, Any]:
    """A zero-shot experiment over that folder, with sections replaced."""
    written: dict[str, Any] = {
        "dataset": {"path": "tickets", "task_type": "classification", "shots": 0},
        "model": {"name": "model"},
        "prompting": {"instruction": "One of {labels}.", "input_columns": ["text"], "output_column": "label"},
    }
    return written | patch


def grid_of_30() -> dict[str, Any]:
    """Ten settings under three seeds: zero-shot, in-context, and LoRA with several rates and ranks."""
    data = config()["dataset"]
    settings: dict[str, dict[str, Any]] = {
        f"icl-{k}": config(dataset=data | {"shots": 4}, adapter={"method": "none"}, inference={"icl_examples": k})
        for k in (1, 2, 3, 4)
    }
    for rank in (2, 4, 8):
        for rate in (1e-3, 1e-2):
            arguments = {"learning_rate": rate, "num_train_epochs": 1, "per_device_train_batch_size": 6}
            settings[f"lora-r{rank}-{rate:g}"] = config(
                dataset=data | {"shots": 4}, lora={"r": rank}, training={"trainer_args": arguments}
            )
    return {
        "configs": {
            f"{name}/seed{seed}": setting | {"seed": seed}
            for name, setting in settings.items()
            for seed in (13, 14, 15)
        }
    }


def _rows(seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    labels = [LABELS[number % len(LABELS)] for number in range(30)]
    return [
        {"text": f"about my {' '.join(chance.sample(WORDS[label], 3))}, case {seed}-{number}", "label": label}
        for number, label in enumerate(labels)
    ]


def _tokenizer(texts: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    marks = ("<|im_start|>", "<|im_end|>", "<pad>")
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in marks])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    return tokenizer
