"""Small tokenizers, built in memory."""

from typing import Any

import pytest

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CORPUS = [
    "the service was good and the food was great",
    "a bad film, the worst that we have seen; positive negative neutral",
    "user assistant system model Answer: yes no\n\nText of a question, numbers 1 12 123",
    "<|im_end|> <|im_start|> <think> </think>",
] * 4


def build(
    template: str | None = None,
    special: tuple[str, ...] = (),
    added: tuple[str, ...] = (),
    split: bool = True,
    flags: dict[str, Any] | None = None,
    bos: bool = False,
) -> Any:
    """A byte-level BPE tokenizer.

    `special` and `added` are its tokens besides <bos> and <eos>, all with `flags`; `split` parts words as GPT-2 does;
    `bos` puts the BOS before every text.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<bos>", "<eos>"]
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=names, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    written = {"normalized": False, **(flags or {})}
    backend.add_special_tokens([AddedToken(text, special=True, **written) for text in special])
    backend.add_tokens([AddedToken(text, special=False, **written) for text in added])
    if bos:
        backend.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<bos>", eos_token="<eos>")
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture(scope="session")
def build_tokenizer() -> Any:
    return build


@pytest.fixture(scope="session")
def smollm2() -> Any:
    return build(SMOLLM2, ("<|im_start|>", "<|im_end|>"), ("<think>", "</think>"))


@pytest.fixture(scope="session")
def bare() -> Any:
    return build()
