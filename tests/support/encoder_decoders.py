"""Tiny random encoder-decoders of five families, with tokenizers that put around texts what those of the family do."""

import json
from pathlib import Path
from typing import Any

FAMILIES = ("t5", "bart", "mbart", "marian", "pegasus")
"""Whose models differ in where they begin, what they scale, and how they know positions."""
TEXT = (
    "about my case invoice refund card payment price crash error screen update login office job address event thanks "
    "say billing technical support other Which team answers this Choose one of good bad yes no"
)
WORDS = TEXT.split()
GENERATES = "ForConditionalGeneration"
SIZES = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "init_std": 0.3,
}


def tiny_tokenizer(family: str) -> Any:
    """Words and digits; a text that is read or written gets what the family's real tokenizers put around it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import MBartTokenizer, PreTrainedTokenizerFast

    words = [*WORDS, *",.:-?|0123456789"]
    if family == "mbart":
        special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
        return MBartTokenizer(vocab=[*special, *(("▁" + word, -2.0) for word in words), ("<mask>", 0.0)])
    special_names = ["<pad>", "</s>", "<unk>", "<s>"]
    vocabulary = {text: number for number, text in enumerate([*special_names, *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    single = "<s> $A </s>" if family == "bart" else "$A </s>"
    ends = [(text, vocabulary[text]) for text in ("<s>", "</s>")]
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=ends)
    bos = {"bos_token": "<s>"} if family == "bart" else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", **bos
    )


def tiny_model(family: str, vocabulary: int, pad: int, eos: int, start: int | None) -> Any:
    """Weights so large that a wrong position, mask or start shows."""
    import torch
    import transformers

    torch.manual_seed(5)
    ids: dict[str, Any] = {"vocab_size": vocabulary, "pad_token_id": pad, "eos_token_id": eos, "bos_token_id": 3}
    if family == "t5":
        config = transformers.T5Config(
            d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=pad, **ids
        )
        model = transformers.T5ForConditionalGeneration(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return model.eval()
    named = {"bart": "Bart", "mbart": "MBart", "marian": "Marian", "pegasus": "Pegasus"}
    name, ending = named[family], "MTModel" if family == "marian" else GENERATES
    config = getattr(transformers, f"{name}Config")(**SIZES, **ids, decoder_start_token_id=start)
    return getattr(transformers, f"{name}{ending}")(config).eval()


def tiny_pair(family: str) -> tuple[Any, Any]:
    """A model and its tokenizer."""
    tokenizer = tiny_tokenizer(family)
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    start = {"bart": eos, "marian": pad, "pegasus": pad}.get(family)
    return tiny_model(family, len(tokenizer), pad, eos, start), tokenizer


def become_t5(folder: Path) -> int:
    """Make a model folder that of a T5, whose texts end with `</s>`; gives the id that its decoder starts from."""
    from tokenizers import Tokenizer, processors

    path = str(folder / "tokenizer.json")
    backend = Tokenizer.from_file(path)
    start, end = map(backend.token_to_id, ("<s>", "</s>"))
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", end)])
    backend.save(path)
    told = {"model_type": "t5", "vocab_size": backend.get_vocab_size(), "d_model": 16, "num_layers": 1}
    (folder / "config.json").write_text(json.dumps({**told, "decoder_start_token_id": start}), "utf-8")
    return int(start)


def write_pair(family: str, folder: Path) -> Path:
    """The same as a folder that can be named in a config."""
    model, tokenizer = tiny_pair(family)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
