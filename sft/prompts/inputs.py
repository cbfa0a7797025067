"""The question: input columns as one text."""

import re
from collections.abc import Mapping, Sequence

from sft.exceptions import UserError
from sft.wording import listed

_FORMATTING = ("!", ":", ".", "[")
_BRACES = "write {{ and }} for literal braces"


class InputTemplate:
    """Text with a `{column}` field for every input column; `{{` and `}}` are literal braces.

    A field is a listed column's name as it is, whatever characters that has: nothing in it is a conversion, a format
    or an attribute.
    """

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        """
        Raises:
            UserError: a brace opens no field of these columns, or a column is left out. The message goes on from
                `prompting.input_template `.
        """
        self._pieces: list[tuple[str, str | None]] = []
        """Text, and the column that follows it."""
        pattern = _pattern(columns)
        end, literal = 0, ""
        for match in pattern.finditer(text):
            literal += text[end : match.start()]
            end = match.end()
            if match["column"] is not None:
                self._pieces.append((literal, match["column"]))
                literal = ""
            elif match["brace"] is not None:
                literal += match["brace"][0]
            else:
                raise _wrong_brace(text[match.start() :], columns)
        self._pieces.append((literal + text[end:], None))
        _check_shown({column for _, column in self._pieces}, columns)

    def filled(self, inputs: Mapping[str, str]) -> str:
        """The text with these texts in its fields."""
        return "".join([text if column is None else text + inputs[column] for text, column in self._pieces])


def question_text(template: InputTemplate | None, inputs: Mapping[str, str]) -> str:
    """The text of a row: the filled template, else the one column as it is, else a `Column: text` line for each."""
    if template is not None:
        return template.filled(inputs)
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    return "\n".join(f"{column}: {text}" for column, text in inputs.items())


def _pattern(columns: Sequence[str]) -> re.Pattern[str]:
    """A field, a doubled brace, or a brace that is neither; the longest name wins, as one may begin another."""
    names = "|".join(re.escape(column) for column in sorted(columns, key=len, reverse=True))
    return re.compile(rf"\{{(?P<column>{names})\}}|(?P<brace>\{{\{{|\}}\}})|[{{}}]")


def _wrong_brace(rest: str, columns: Sequence[str]) -> UserError:
    """What is wrong with the brace that the rest of a template begins with."""
    written, closing, _ = rest[1:].partition("}")
    if rest[0] == "}":
        return UserError(f"closes a field that is not open; {_BRACES}")
    if not closing:
        return UserError(f"opens a field that it does not close: {rest[:30]!r}; {_BRACES}")
    if written.strip() in columns:
        return UserError(f"names {{{written}}}; write {{{written.strip()}}}, without blanks around the column's name")
    written = " ".join(written.split())
    known = f"which is not in input_columns ({listed(columns)}); {_BRACES}"
    if any(written.startswith(column) and written[len(column) :].startswith(_FORMATTING) for column in columns):
        known += ", and a column's name alone in a field: it has no format, conversion or attribute"
    return UserError(f"names {{{written}}}, {known}")


def _check_shown(shown: set[str | None], columns: Sequence[str]) -> None:
    left_out = [f"{{{column}}}" for column in columns if column not in shown]
    if len(left_out) == len(columns):
        raise UserError(f"shows no column; write each of {', '.join(left_out)} into it")
    if left_out:
        raise UserError(
            f"leaves out {', '.join(left_out)}; show every column of input_columns in it, or list fewer columns"
        )
