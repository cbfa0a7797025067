from hypothesis import given
from hypothesis import strategies as st

from sft.labels.token_trie import ROOT, TokenTrie, shared_length

SEQUENCES = st.lists(st.lists(st.integers(0, 3), max_size=5).map(tuple), max_size=8)


def test_equal_beginnings_stand_once() -> None:
    trie = TokenTrie.of([(5, 7), (5,), (5, 7, 9), (6,)])
    assert trie.tokens == (5, 7, 9, 6)
    assert trie.parents == (ROOT, 0, 1, ROOT)
    assert trie.depths == (0, 1, 2, 0)
    assert trie.paths == ((0, 1), (0,), (0, 1, 2), (3,))
    assert trie.with_children == (0, 1)
    assert trie.closure([2]) == [0, 1, 2]
    assert trie.visible([0, 1, 2, 3]).astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]]


@given(SEQUENCES)
def test_each_path_spells_its_sequence(sequences: list[tuple[int, ...]]) -> None:
    trie = TokenTrie.of(sequences)
    assert len(trie) == len({sequence[:end] for sequence in sequences for end in range(1, len(sequence) + 1)})
    for sequence, path in zip(sequences, trie.paths, strict=True):
        assert tuple(trie.tokens[node] for node in path) == sequence
        assert [trie.parents[node] for node in path] == [ROOT, *path[:-1]][: len(path)]
    assert all(parent < node for node, parent in enumerate(trie.parents))


def test_shared_length() -> None:
    assert shared_length((1, 2, 3), (1, 2, 4)) == 2
    assert shared_length((1, 2), [1, 2, 4]) == 2
    assert shared_length((), (1,)) == 0
