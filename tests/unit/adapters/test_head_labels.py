"""The labels of a trained head are kept with its adapter, whatever order the data has them in later."""

from pathlib import Path
from typing import Any

import pytest

from sft.adapters.attach import attach_adapter, continue_adapter
from sft.adapters.head_labels import FILE, read_head_labels, take_head_labels
from sft.adapters.method import TASK_TYPE, adapter_method
from sft.adapters.saving import load_adapter, save_adapter
from sft.exceptions import UserError
from sft.models.answering.heads import head_names, label_order
from tests.support.method_checks import EXACT, off
from tests.support.tiny_models import bert_head, tiny_logits


def named(*labels: str) -> Any:
    """The tiny encoder whose new head has outputs for these labels."""
    model = bert_head()
    model.config.id2label = dict(enumerate(labels))
    return model


@pytest.mark.parametrize("method", ["lora", "ssf", "ia3"])
def test_the_outputs_keep_their_names(method: str, tmp_path: Path) -> None:
    base = named("b", "a", "c")
    options = adapter_method(method).with_head({TASK_TYPE: "SEQ_CLS"}, head_names(base))
    model = attach_adapter(base, method, options, Path(), 7)
    save_adapter(model, method, tmp_path / "adapter", has_head=True)
    assert read_head_labels(tmp_path / "adapter") == ["b", "a", "c"]
    loaded = load_adapter(named("a", "b", "c"), tmp_path / "adapter")
    assert label_order(loaded.config, ["a", "b", "c"]) == [1, 0, 2]
    with pytest.raises(UserError, match=r"was trained for 'b', 'a', 'c', and the labels here are 'a', 'b', 'd'"):
        load_adapter(named("a", "b", "d"), tmp_path / "adapter")
    continued = continue_adapter(named("a", "b", "c"), method, {TASK_TYPE: "SEQ_CLS"}, tmp_path / "adapter")
    assert label_order(continued.config, ["a", "b", "c"]) == [1, 0, 2]
    assert off(tiny_logits(model), tiny_logits(continued)) < EXACT
    heads = [key for key, weight in continued.named_parameters() if weight.requires_grad and "classifier" in key]
    assert heads, "the head is no longer trained"


@pytest.mark.parametrize("text", ["[", "\xff", '{"a": 0}', "3", "null", "[1, 2]", '["a", null]', '["a", "a"]', "[]"])
def test_a_file_of_labels_that_is_damaged(text: str, tmp_path: Path) -> None:
    assert read_head_labels(tmp_path) is None
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=rf"^model\.adapter: {tmp_path / FILE} (cannot be read|is not the list)"):
        read_head_labels(tmp_path)
    with pytest.raises(UserError, match="copy the folder again"):
        take_head_labels(named("a", "b", "c"), tmp_path)
