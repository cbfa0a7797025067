"""Get the data of further task types: `python etc/demo/data_tasks.py [FOLDER]` (default data/demo).

Names and messages to translate, descriptions with one-line synopses, and made texts of several topics; where they come
from and under which licences: README.md beside this file. What is there already is left as it is.
"""

import sys
from pathlib import Path

from synopses import write_synopses
from topics import write_topics
from translations import write_translations


def main(folder: Path) -> None:
    """Leave `translations`, `synopses` and `topics` under `folder`, each with a train and a test file."""
    write_translations(folder / "translations", folder / "downloads")
    write_synopses(folder / "synopses")
    write_topics(folder / "topics")
    print(f"{folder}: translations, synopses and topics are there")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "data" / "demo")
