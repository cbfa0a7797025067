import numpy as np
import pytest

from sft.inference.label_scoring.label_plan import LabelPlan
from sft.inference.label_scoring.passes import tree_pass

LABELS = [((11,), (3,)), ((11, 12), (3,)), ((20,), (3,))]


def test_a_pass_holds_prompts_and_labels_with_the_wanted_tokens_last() -> None:
    chunk = LabelPlan.of(LABELS, 10).chunks[0]
    assert chunk.ids.tolist() == [11, 12, 20]
    tokens = tree_pass([(7, 8)], chunk)
    assert tokens.ids.tolist() == [[7, 8, 11, 12, 20]]
    assert tokens.depths.tolist() == [[0, 1, 2, 3, 2]]
    assert tokens.kept == 4
    assert tokens.end_places.tolist() == [[0, 1, 2, 3]]
    assert tokens.visible[0].astype(int).tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_lines_are_of_about_equal_length_and_padded_in_front() -> None:
    draw = np.random.default_rng(0)
    prompts = sorted(tuple(draw.integers(5, 90, size=size).tolist()) for size in draw.integers(10, 60, size=20))
    tokens = tree_pass(prompts, LabelPlan.of(LABELS, 10).chunks[0])
    lines, width = tokens.ids.shape
    total = sum(map(len, prompts)) + 3 * len(prompts)
    assert lines > 1
    assert lines * width < 1.1 * total
    for number, prompt in enumerate(prompts):
        end = tokens.ends[number]
        line, place = tokens.end_lines[end], width - tokens.kept + tokens.end_places[end, 0]
        seen = np.flatnonzero(tokens.visible[line, place])
        spelled = sorted(zip(tokens.depths[line, seen].tolist(), tokens.ids[line, seen].tolist(), strict=True))
        assert tuple(token for _, token in spelled) == prompt


def test_chunks_cover_every_node_once() -> None:
    draw = np.random.default_rng(0)
    labels = [(tuple(draw.integers(0, 3, size=size).tolist()), (9,)) for size in draw.integers(1, 6, size=40)]
    plan = LabelPlan.of(labels, 7)
    assert len(plan.chunks) > 2
    scored = sorted(node for chunk in plan.chunks for node in chunk.scored.tolist())
    assert scored == list(range(len(plan.trie)))


def test_a_prompt_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="without tokens"):
        tree_pass([(1,), ()], LabelPlan.of(LABELS, 10).chunks[0])
