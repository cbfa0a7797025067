"""A small T5 for the demo: trained from random weights on train rows alone, its tokenizer trained on the same texts.

It shows how encoder-decoders are trained and compared; a minute or two on two cores teaches it some names and little
more.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration, T5Tokenizer

SEED = 13
VOCABULARY, SENTINELS = 3000, 100
WIDTH, LAYERS, HEADS = 128, 2, 4
STEPS, BATCH, MOST_TOKENS = 500, 32, 48
PEAK_RATE, WARM_UP = 2e-3, 100

Pair = tuple[str, str]
"""What the encoder reads and what the decoder is to write."""


def train_small_t5(pairs: Sequence[Pair], folder: Path) -> None:
    """Train a model on pairs of texts and leave it in `folder`, with its tokenizer, once all of it is done.

    The number of steps is fixed, so that a slower machine takes longer and trains the same model.
    """
    started = time.perf_counter()
    torch.manual_seed(SEED)
    tokenizer = T5Tokenizer(extra_ids=SENTINELS).train_new_from_iterator(
        [text for pair in pairs for text in pair], VOCABULARY - SENTINELS
    )
    model = _random_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP, (STEPS - step) / (STEPS - WARM_UP))
    )
    losses = []
    for batch in _batches(pairs):
        loss = _loss(model, tokenizer, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rate.step()
        losses.append(loss.item())
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder.parent) as temporary:
        written = Path(temporary) / folder.name
        model.eval().save_pretrained(written)
        tokenizer.save_pretrained(written)
        written.rename(folder)
    seconds, last = time.perf_counter() - started, sum(losses[-50:]) / 50
    print(f"{folder}: {model.num_parameters():,} parameters, loss {losses[0]:.2f} -> {last:.2f} in {seconds:.0f} s")


def _random_model(tokenizer: PreTrainedTokenizerBase) -> T5ForConditionalGeneration:
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=WIDTH,
            d_kv=WIDTH // HEADS,
            d_ff=2 * WIDTH,
            num_layers=LAYERS,
            num_heads=HEADS,
            dropout_rate=0.05,
            decoder_start_token_id=tokenizer.pad_token_id,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    ).train()


def _batches(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    """Batches of pairs of similar length, so that little is padding, in an order drawn anew for each pass."""
    draw = random.Random(SEED)
    steps = 0
    while True:
        mixed = sorted(draw.sample(pairs, len(pairs)), key=lambda pair: len(pair[0]) // 16)
        batches = [mixed[begin : begin + BATCH] for begin in range(0, len(mixed), BATCH)]
        for batch in draw.sample(batches, len(batches)):
            if steps == STEPS:
                return
            steps += 1
            yield batch


def _loss(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, batch: Sequence[Pair]
) -> torch.Tensor:
    limits = {"padding": True, "truncation": True, "max_length": MOST_TOKENS, "return_tensors": "pt"}
    read = tokenizer([source for source, _ in batch], **limits)
    written = tokenizer([target for _, target in batch], **limits)
    labels = written.input_ids.masked_fill(written.attention_mask == 0, -100)
    loss: torch.Tensor = model(input_ids=read.input_ids, attention_mask=read.attention_mask, labels=labels).loss
    return loss
