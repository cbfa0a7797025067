"""Fields and braces of `prompting.input_template`: one grammar, in the plan and in every prompt."""

import pytest

from sft.exceptions import UserError
from sft.prompts.inputs import InputTemplate

TEXTS = {
    "text": "TEXT",
    "What's your view?": "VIEW",
    "a.b": "AB",
    "x:y": "XY",
    "x": "X",
    "{": "OPEN",
    'the "q"\n': "Q",
}


@pytest.mark.parametrize(
    ("template", "columns", "filled"),
    [
        ("{text}\nView: {What's your view?}", ["text", "What's your view?"], "TEXT\nView: VIEW"),
        ("{a.b}, {x:y}, {x}", ["a.b", "x", "x:y"], "AB, XY, X"),
        ('{the "q"\n}{{}', ['the "q"\n', "{"], "QOPEN"),
        ('Reply {{"label": "..."}}. {text}', ["text"], 'Reply {"label": "..."}. TEXT'),
        ("{{{text}}} {{text}} {{}}", ["text"], "{TEXT} {text} {}"),
        ("{text}{text}", ["text"], "TEXTTEXT"),
    ],
)
def test_fields_are_the_listed_names_and_doubled_braces_are_single_ones(template, columns, filled):
    assert InputTemplate(template, columns).filled(TEXTS) == filled


def test_what_stands_in_a_cell_is_no_field():
    assert InputTemplate("{a}{b}", ["a", "b"]).filled({"a": "{b}", "b": "{{"}) == "{b}{{"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{text} {titel}", r"names {titel}, which is not in input_columns \(text, title\); write {{ and }}"),
        ('{text} {title} {"a": 1}', r'names {"a": 1}, which is not in input_columns'),
        ("{text!r} {title}", r"names {text!r}, .* it has no format, conversion or attribute"),
        ("{text:>9} {title}", r"names {text:>9}, .* no format"),
        ("{text.x} {title}", r"names {text.x}, .* no format"),
        ("{text[0]} {title}", r"names {text\[0\]}, .* no format"),
        ("{text} {title", "opens a field that it does not close: '{title'"),
        ("{text} {title}}", "closes a field that is not open"),
        ("{text} { title }", "names { title }; write {title}, without blanks around the column's name"),
        ("{text} {", "opens a field that it does not close"),
        ("{text} {}{title}", "names {}, which is not in input_columns"),
        ("{text} {{title}}", "leaves out {title}"),
        ("no field", "shows no column; write each of {text}, {title} into it"),
    ],
)
def test_every_other_brace_and_a_column_left_out_are_refused_in_one_line(template, told):
    with pytest.raises(UserError, match=told) as caught:
        InputTemplate(template, ["text", "title"])
    assert "\n" not in str(caught.value)


def test_blanks_of_a_column_are_seen_where_a_field_lacks_them():
    with pytest.raises(UserError, match=r"names {title}, which is not in input_columns \(text, ' title'\)"):
        InputTemplate("{text} {title}", ["text", " title"])
