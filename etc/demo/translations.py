"""Names and messages in English and in another language, as translators of two packages wrote them.

Names (of countries, their parts, languages, scripts and currencies) are those of Debian's iso-codes, which the package
pycountry carries; messages are those that Django shows to users.
"""

import gettext
import io
import re
from collections.abc import Iterator
from pathlib import Path

from packages import package_file, unpacked
from written import is_written, write_splits

from sft.runs.atomic import write_text

NAMES, MESSAGES = "pycountry", "Django"
TRANSLATOR_MARKS = re.compile(r"[%{}<>\n\x04]")
"""Placeholders, markup and contexts: no plain text."""
LICENCES = {
    NAMES: ("pycountry-26.2.16.dist-info/licenses/", "LICENSE.txt"),
    MESSAGES: ("django-5.2.19.dist-info/licenses/", "LICENSE"),
}


def write_translations(folder: Path, downloads: Path) -> None:
    """Leave English and German names and messages, as `translation: {en, de}` and the `kind` of text."""
    if is_written(folder):
        return
    for package, (prefix, name) in LICENCES.items():
        licence = unpacked(package_file(package, downloads), prefix)[name]
        write_text(folder / f"LICENSE-{package.lower()}.txt", licence.decode("utf-8"))
    found = pairs("de", downloads)
    rows = [(en, {"translation": {"en": en, "de": de}, "kind": kind}) for en, de, kind in found]
    write_splits(folder, rows)


def pairs(language: str, downloads: Path) -> Iterator[tuple[str, str, str]]:
    """(English text, its translation, `name` or `message`), each English text once.

    A name that is the same in both languages says nothing about translating and is left out.

    Args:
        language: code, such as `de`.
        downloads: where the packages are kept.
    """
    seen: set[str] = set()
    for kind, package, prefix in (("message", MESSAGES, "django/"), ("name", NAMES, "pycountry/locales/")):
        for english, translated in _catalogue(package_file(package, downloads), prefix, language):
            if english not in seen and english != translated:
                seen.add(english)
                yield english, translated, kind


def names_that_stay(language: str, downloads: Path) -> list[str]:
    """The names that are the same in both languages, from which a model can learn to copy."""
    translated = {english for english, _, _ in pairs(language, downloads)}
    names = _catalogue(package_file(NAMES, downloads), "pycountry/locales/", language)
    return sorted({english for english, own in names if english == own} - translated)


def _catalogue(wheel: Path, prefix: str, language: str) -> Iterator[tuple[str, str]]:
    files = unpacked(wheel, prefix)
    for name in sorted(files):
        if not re.search(rf"(^|/){language}/LC_MESSAGES/(?!djangojs)[^/]+\.mo$", name):
            continue
        translations = gettext.GNUTranslations(io.BytesIO(files[name]))
        for english, translated in translations._catalog.items():  # the only way to list them
            if not isinstance(english, str) or not english or not translated:
                continue
            if not TRANSLATOR_MARKS.search(english + translated):
                yield english.strip(), translated.strip()
