"""A folder with tiny data and a tiny model, complete enough to be planned: nothing here is ever loaded by torch."""

import copy
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LABELS = ("bad", "good")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def write_model(folder: Path) -> None:
    """A model folder: a byte-level tokenizer that lowers letters, a config, and weights of no tensor."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(["<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<eos>"])
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": len(vocabulary)}))
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")


def write_project(folder: Path) -> None:
    """`model/` and `data/` with 4 training and 2 test rows per label."""
    write_model(folder / "model")
    for split, count in (("train", 4), ("test", 2)):
        rows = [{"text": f"{split} {word} {number}", "label": word} for number in range(count) for word in LABELS]
        write_jsonl(folder / "data" / f"{split}.jsonl", rows)


def config(**changes: Any) -> dict[str, Any]:
    """A sound zero-shot config of that folder; a change is `section__key=value`, or a whole section."""
    written: dict[str, Any] = {
        "dataset": {"path": "data", "task_type": "classification", "shots": 0},
        "model": {"name": "model"},
        "prompting": {"input_columns": ["text"], "output_column": "label"},
    }
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = written
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = copy.deepcopy(value)
    return written


def write_bad_data(folder: Path) -> None:
    """Data folders, each with one fault, named by it; `fine_texts` has none."""
    good, bad = {"text": "a", "label": "good"}, {"text": "b", "label": "bad"}
    one_of_each = [good, bad]
    test = [{"text": "x", "label": "good"}]
    write_jsonl(folder / "one" / "train.jsonl", one_of_each)
    write_jsonl(folder / "tested" / "test.jsonl", one_of_each)
    for name, train, tested in (
        ("broken", one_of_each, test),
        ("outside", one_of_each, [*test, {"text": "y", "label": "ugly"}]),
        ("holes", [good, {"text": "", "label": "bad"}], test),
        ("unlabelled", [good, {"text": "so so", "label": ""}], test),
    ):
        write_jsonl(folder / name / "train.jsonl", train)
        write_jsonl(folder / name / "test.jsonl", tested)
    with (folder / "broken" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "c", "la\n')
    for name, text in (("latin", "text,label\ncaf\xe9,good\n"), ("cells", "text,label\na,b,good\n")):
        (folder / name).mkdir()
        (folder / name / "train.csv").write_bytes(text.encode("latin-1"))
        (folder / name / "test.csv").write_text("text,label\nx,good\n", "utf-8")
    (folder / "locked.xlsx").write_bytes(b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"))
    (folder / "cut.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "around.json").write_text(json.dumps({"a": one_of_each, "b": one_of_each}))
    for name, answer in (("texts", "one\n\ntwo"), ("fine_texts", "one\ntwo")):
        rows = [{"text": f"question {number}", "answer": answer if number == 1 else "yes"} for number in range(4)]
        write_jsonl(folder / name / "train.jsonl", rows)
        write_jsonl(folder / name / "test.jsonl", [{"text": "last question", "answer": "no"}])
