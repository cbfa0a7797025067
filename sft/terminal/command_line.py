"""The command line that was typed, without its secrets."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from sft.config.secrets import is_secret, masked
from sft.runs.secrets_masking import MIN_LENGTH, holds_secret, secret_values

VARIABLE_OPTIONS = ("--ext-str", "--ext-code", "--tla-str", "--tla-code")
HIDDEN = "***"


def shown_command(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """The words as a shell reads them; a secret as the variable that holds it, else as `***`.

    Args:
        words: of the command.
        environment: what variables hold.
    """
    names = {value: name for name, value in environment.items() if holds_secret(name)}
    variables = {value: names[value] for value in secret_values(environment) if value in names}
    hidden = dict(_given(words))
    shown = []
    for place, word in enumerate(words):
        if found := [value for value in variables if value in word]:
            secret = found[0]
            pieces = [shlex.quote(masked(piece)) if piece else "" for piece in word.split(secret)]
            shown.append(f'"${variables[secret]}"'.join(pieces))
        else:
            shown.append(shlex.quote(masked(word.replace(hidden[place], HIDDEN) if place in hidden else word)))
    return " ".join(shown)


def given_secrets(words: Sequence[str]) -> tuple[str, ...]:
    """Values of options that are secrets, by the names they are given; none so short that it stands in any text."""
    return tuple(value for _, value in _given(words) if len(value) >= MIN_LENGTH)


def _given(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Place among the words, and the value there that is a secret."""
    for place, word in enumerate(words):
        option, assigned = words[place - 1] if place else "", word
        if inline := re.match(r"(--[a-z-]+)=(.*)", word, re.DOTALL):
            option, assigned = inline.groups()
        name, separator, value = assigned.partition("=")
        if not (separator and value):
            continue
        is_variable = option in VARIABLE_OPTIONS and holds_secret(name)
        key = name.rpartition(".")[2]
        if is_variable or (option in (*VARIABLE_OPTIONS, "--set") and is_secret(key, value.strip('"'))):
            yield place, value
