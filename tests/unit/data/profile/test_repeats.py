from collections.abc import Callable

from sft.data.cells.conversations import Conversation, ConversationColumn
from sft.data.leaks import normalised_input, normalised_inputs
from sft.data.profile.repeats import repeat_remarks, split_texts
from sft.data.rows import Rows, Splits
from sft.data.tables import ListColumn, ReadTable


def remarks(splits: Splits, label: str | None = "label") -> list[tuple[str, str]]:
    return [(found.kind, found.text) for found in repeat_remarks(split_texts(splits, ["text"], label))]


def test_inputs_by_column_are_those_by_row() -> None:
    cells = {"a": ListColumn([" Some  Text", None, "", "STRASSE", 3]), "b": ListColumn(["x", None, "", " ", None])}
    rows = Rows(ReadTable(5, cells), [4, 0, 1, 2, 3])
    for columns in (["a"], ["a", "b"], ["b", "none"]):
        assert normalised_inputs(rows, columns) == [normalised_input(row, columns) for row in rows]
        assert normalised_inputs(tuple(rows), columns) == normalised_inputs(rows, columns)


def test_conversations_are_alike_by_their_questions() -> None:
    turns = [[{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}] for text in ("A", "b", "a")]
    table = ReadTable(3, {"messages": ConversationColumn([Conversation(own) for own in turns])})
    rows = Rows(table, range(3))
    assert normalised_inputs(rows, ["messages"]) == ["a", "b", "a"]
    assert normalised_inputs(rows, ["messages"]) == [normalised_input(row, ["messages"]) for row in rows]


def test_equal_texts_with_unlike_labels_are_counted_with_an_example(splits_of: Callable[..., Splits]) -> None:
    train = [("Hello  there", "good"), ("other", "good"), ("hello there", "good"), ("", "good"), ("", "bad")]
    found = remarks(splits_of(train=train, test=[("HELLO there", "bad"), ("new", "good")]))
    assert found == [
        (
            "unlike_labels",
            "1 text has unlike labels in 3 rows, as train row 0 'good' and test row 0 'bad' (rows counted from 0): "
            "no model can get all of these right",
        ),
        ("repeated_text", "1 of 2 test rows has the text of a row of train, which may be shown or trained on"),
    ]
    assert [kind for kind, _ in remarks(splits_of(train=train, test=[("HELLO there", "bad")]), None)] == [
        "repeated_text"
    ]


def test_texts_that_stand_once_or_alike_are_nothing_to_tell(splits_of: Callable[..., Splits]) -> None:
    assert remarks(splits_of(train=[("a", "x"), ("a", "x")], dev=[("b", "x")], test=[("c", "y"), ("", "y")])) == []


def test_dev_rows_are_compared_with_train_and_test(splits_of: Callable[..., Splits]) -> None:
    found = remarks(splits_of(train=[("a", "x")], dev=[("a", "x"), ("b", "x")], test=[("b", "x")]))
    assert [text for _, text in found] == [
        "1 of 2 dev rows has the text of a row of train, which may be shown or trained on",
        "1 of 1 test rows has the text of a row of dev",
    ]
