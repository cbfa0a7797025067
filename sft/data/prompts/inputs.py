"""The question: input columns as one text."""

import re
from collections.abc import Mapping, Sequence

from sft.errors import UserError

_FIELD = re.compile(r"\{([^{}\n\"']*)\}")


def check_template(template: str | None, columns: Sequence[str]) -> None:
    """Refuse a template that names another column, or none.

    A brace that holds quotes or a line break is the user's own text (a JSON example, say) and stays.

    Raises:
        UserError: with the columns that may be named.
    """
    if template is None:
        return
    named = _FIELD.findall(template)
    allowed = ", ".join(f"{{{column}}}" for column in columns)
    for name in named:
        if name not in columns:
            raise UserError(f"prompting.input_template names {{{name}}}; its fields can be: {allowed}")
    if not named:
        raise UserError(f"prompting.input_template shows no column; write at least one of: {allowed}")


def question_text(template: str | None, inputs: Mapping[str, str]) -> str:
    """The text of a row: the filled template, else the one column as it is, else a `Column: text` line for each."""
    if template is not None:
        return _FIELD.sub(lambda match: inputs[match.group(1)], template)
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    return "\n".join(f"{column}: {text}" for column, text in inputs.items())
