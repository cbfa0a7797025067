"""Splitting texts into words with a Hugging Face tokenizer, for BLEU and ROUGE."""

from collections.abc import Callable
from typing import Protocol


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used."""

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without special tokens."""


def word_splitter(tokenizer: Tokenizer) -> Callable[[str], list[str]]:
    """A function that splits a text into the tokenizer's tokens, each as its text."""

    def split(text: str) -> list[str]:
        return list(tokenizer.tokenize(text))

    return split
