"""Rows and a tokenizer in memory, for trainings of a few steps."""

import gc
from functools import cache
from typing import Any

from sft.prompts.train_row import IGNORED, HeadRow, SourceRow, TrainRow

PAD, EOS = 60, 61


@cache
def keep_modules() -> None:
    """Keep what is imported by now out of the search for garbage; once for each process.

    Each training searches, which takes longer than itself where all modules are looked at.
    """
    gc.freeze()


def tiny_tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {f"w{number}": number for number in range(60)} | {"<pad>": PAD, "<eos>": EOS, "<unk>": 62, "<bos>": 63}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
    )


def tiny_rows() -> list[TrainRow]:
    """12 rows with prompts of 3 to 6 tokens, an answer of one token and two stop tokens."""
    made = []
    for number in range(12):
        prompt = tuple(range(number, number + 3 + number % 4))
        completion = (30 + number, EOS, 59)
        made.append(TrainRow(prompt + completion, (IGNORED,) * len(prompt) + completion))
    return made


def tiny_head_rows() -> list[HeadRow]:
    """12 rows with texts of 3 to 6 tokens, of three labels in turn."""
    return [HeadRow(tuple(range(number + 1, number + 4 + number % 4)), (number % 3,)) for number in range(12)]


def tiny_source_rows() -> list[SourceRow]:
    """12 rows of which an encoder reads 3 to 6 tokens and a decoder writes one token and two stop tokens."""
    return [
        SourceRow(tuple(range(number, number + 3 + number % 4)), (30 + number, EOS, 59), opening=(PAD,))
        for number in range(12)
    ]
