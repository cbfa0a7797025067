from hypothesis import given
from hypothesis import strategies as st

from sft.inference.label_scoring.grouping import Group, PassLimits, groups, shared_beginning, token_order
from sft.labels.token_trie import shared_length

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=60).map(tuple), min_size=1, max_size=12)


@given(PROMPTS, st.integers(1, 90), st.sampled_from([None, 1, 3]), st.integers(0, 9))
def test_every_row_stands_in_one_group_that_fits_or_shares(prompts, tokens, rows, label_inputs) -> None:
    order = token_order(prompts)
    cached = shared_beginning(prompts, order)
    found = list(groups(prompts, order, cached, label_inputs, PassLimits(tokens, rows)))
    assert [row for group in found for row in group.rows] == order
    for group in found:
        ends = {prompts[row] for row in group.rows}
        new = {prompt[:end] for prompt in ends for end in range(cached + 1, len(prompt) + 1)}
        if group.fits:
            assert len(new) + label_inputs * len(ends) <= tokens
            assert rows is None or len(ends) <= rows
        else:
            first = prompts[group.rows[0]]
            assert len(first) - cached + label_inputs > tokens
            assert all(shared_length(first, prompts[row]) >= group.shared for row in group.rows)
            assert group.shared > cached or len(first) - cached == 1 or len(group.rows) == 1


def test_neighbours_that_do_not_fit_alone_have_what_they_share_run_first() -> None:
    beginning = tuple(range(50))
    prompts = [(*beginning, 1), (*beginning, 2), (9, 9)]
    found = list(groups(prompts, token_order(prompts), 0, 1, PassLimits(20)))
    assert found == [Group((0, 1), False, 50), Group((2,), True, 1)]


def test_one_token_of_each_prompt_is_left_to_run() -> None:
    assert shared_beginning([(1, 2, 3), (1, 2, 3)], [0, 1]) == 2
    assert shared_beginning([(1, 2), (1, 2, 3)], [0, 1]) == 1
    assert shared_beginning([(1,)], [0]) == 0
    assert shared_beginning([], []) == 0
