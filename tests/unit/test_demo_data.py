"""How the demo's further models and data are made, without the package index."""

import importlib
import json
import struct
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DEMO = Path(__file__).parents[2] / "etc" / "demo"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives a module of the demo by its name."""
    monkeypatch.syspath_prepend(DEMO)

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return module


def catalogue(pairs: dict[str, str]) -> bytes:
    """A compiled catalogue of translations."""
    ids, texts = sorted(pairs), [pairs[key] for key in sorted(pairs)]
    begin, blob, table = 28 + 16 * len(ids), b"", b""
    for text in [*ids, *texts]:
        raw = text.encode()
        table += struct.pack("<II", len(raw), begin + len(blob))
        blob += raw + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, len(ids), 28, 28 + 8 * len(ids), 0, begin) + table + blob


def test_a_package_that_was_damaged_is_not_taken(
    demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packages = demo("packages")
    (tmp_path / "pycountry-26.2.16-py3-none-any.whl").write_bytes(b"cut")
    asked: list[list[str]] = []

    def offline(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(packages.subprocess, "run", offline)
    with pytest.raises(SystemExit, match=r"pycountry==26\.2\.16 could not be downloaded"):
        packages.package_file("pycountry", tmp_path)
    assert "--require-hashes" in asked[0]
    assert list(tmp_path.iterdir()) == [tmp_path / "pycountry-26.2.16-py3-none-any.whl"]


def test_every_package_is_pinned_by_hash(demo: Any) -> None:
    for line in demo("packages").DOWNLOADS.read_text().splitlines():
        name, _, rest = line.partition("==")
        assert name
        assert len(rest.partition("--hash=sha256:")[2]) == 64


def test_names_that_need_no_translation_placeholders_and_repeats_are_left_out(
    demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translations = demo("translations")
    files = {
        "Django": {
            "django/conf/locale/de/LC_MESSAGES/django.mo": {"": "Project: x\n", "Yes": "Ja", "%s left": "%s da"}
        },
        "pycountry": {
            "pycountry/locales/de/LC_MESSAGES/iso3166-1.mo": {"Spain": "Spanien", "Peru": "Peru", "Yes": "Jaja"},
            "pycountry/locales/fr/LC_MESSAGES/iso3166-1.mo": {"Spain": "Espagne"},
        },
    }
    for package, members in files.items():
        with zipfile.ZipFile(tmp_path / f"{package}.whl", "w") as wheel:
            for name, texts in members.items():
                wheel.writestr(name, catalogue(texts))
    monkeypatch.setattr(translations, "package_file", lambda name, folder: folder / f"{name}.whl")
    assert list(translations.pairs("de", tmp_path)) == [("Yes", "Ja", "message"), ("Spain", "Spanien", "name")]
    assert list(translations.pairs("fr", tmp_path)) == [("Spain", "Espagne", "name")]


PROSE = "It looks at every row of the table, one after the other, and keeps those that are of use to anybody."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Keep useful rows.\n\n{PROSE}\n\nParameters\n----------\nrows : list", (PROSE, "Keep useful rows.")),
        (f"Keep useful rows.\n\n{PROSE}\n\n.. note:: no\n\nMore prose.", (PROSE, "Keep useful rows.")),
        ("Keep useful rows.\n\nToo short.", None),
        (f"Keep useful rows, which\nmay be many.\n\n{PROSE}", None),
        (f"keep_rows(table)\n\n{PROSE}", None),
        ("", None),
    ],
)
def test_a_docstring_is_a_synopsis_and_the_prose_below_it(
    demo: Any, text: str, expected: tuple[str, str] | None
) -> None:
    assert demo("synopses").split_docstring(text) == expected


def test_made_texts_hold_words_of_their_topics_and_of_no_other(demo: Any) -> None:
    topics = demo("topics")
    words = [word for text in topics.TOPICS.values() for word in text.split()]
    assert len(set(words)) == len(words), "a word of two topics would be wrong for one of them"
    draw = topics.random.Random(topics.SEED)
    for _ in range(200):
        text, names = topics.made_row(draw)
        written = {word.strip(".,;").lower() for word in text.split()}
        assert [name for name in sorted(topics.TOPICS) if written & set(topics.TOPICS[name].split())] == names


def test_rows_of_equal_text_are_on_one_side_and_files_that_are_there_stay(demo: Any, tmp_path: Path) -> None:
    written = demo("written")
    assert not written.is_written(tmp_path)
    written.write_splits(tmp_path, [(f"text {n % 40}", {"text": f"text {n % 40}", "n": n}) for n in range(80)])
    assert written.is_written(tmp_path)
    rows = {
        split: [json.loads(line) for line in (tmp_path / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train", "test")
    }
    texts = {split: {row["text"] for row in own} for split, own in rows.items()}
    assert sum(map(len, rows.values())) == 80
    assert texts["test"]
    assert not texts["train"] & texts["test"]
    before = (tmp_path / "train.jsonl").stat().st_mtime_ns
    topics = demo("topics")
    topics.write_topics(tmp_path)
    assert (tmp_path / "train.jsonl").stat().st_mtime_ns == before


def test_the_small_t5_is_a_model_that_the_auto_classes_read(
    demo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    small_t5 = demo("small_t5")
    for name, value in {"STEPS": 3, "WARM_UP": 1, "BATCH": 2, "WIDTH": 12, "LAYERS": 1, "HEADS": 2}.items():
        monkeypatch.setattr(small_t5, name, value)
    pairs = [("translate English to German: house", "Haus"), ("translate English to German: mouse", "Maus")] * 3
    small_t5.train_small_t5(pairs, tmp_path / "t5")
    assert [path.name for path in tmp_path.iterdir()] == ["t5"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "t5")
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "t5")
    read = tokenizer("translate English to German: house", return_tensors="pt")
    assert read.input_ids[0, -1] == tokenizer.eos_token_id
    assert model.config.vocab_size == len(tokenizer)
    assert model.generate(**read, max_new_tokens=3).shape[0] == 1
