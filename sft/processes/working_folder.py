"""The working folder as a place of imports: the last one, so that no file of a user takes a library's name."""

import os
import sys


def import_from_it_last() -> None:
    """Move the working folder to the end of `sys.path`, where this process runs a command of this package.

    `python -m` puts it first. A program that only imports this package keeps its path as it is.
    """
    here, words = os.getcwd(), sys.orig_argv
    named = [word[2:] or after for word, after in zip(words, [*words[1:], ""], strict=True) if word.startswith("-m")]
    runs_it = os.path.basename(sys.argv[0]) == "sft" or any(name.partition(".")[0] == "sft" for name in named[:1])
    if runs_it and any(_is(entry, here) for entry in sys.path):
        sys.path[:] = [*(entry for entry in sys.path if not _is(entry, here)), here]


def is_imported_from() -> bool:
    """Whether this process imports from its working folder."""
    return any(_is(entry, os.getcwd()) for entry in sys.path)


def _is(entry: str, folder: str) -> bool:
    return os.path.abspath(entry or ".") == folder
