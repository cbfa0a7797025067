"""Scores of a head are those of one row after another, whatever runs together and however rows are padded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from sft.evaluation.normalization import SavedScores
from sft.exceptions import StageFailure, UserError
from sft.inference.heads import ANSWERING, OF_SETS, batches
from sft.inference.label_scoring.grouping import PassLimits
from sft.prompts import Encoded, Example, PromptBuilder, PromptStyle
from sft.prompts.style import Cuts
from sft.runs.files import JobFolder
from tests.support.tiny_models import bert_head, gpt2_head, llama_head

OUTPUTS = ("b", "c", "a")
"""The labels in the order of the outputs; that of the label set is the alphabet's."""
EOS = 7
ROWS = [(3, 5), (9,), tuple(range(10, 41)), (8, EOS, 2, 4, 6), (3, 5)]
ALONE = PassLimits(tokens=1)
LIMITS = [ALONE, PassLimits(tokens=10_000), PassLimits(tokens=12), PassLimits(tokens=10_000, rows=2)]
EXACT = 1e-5


def roberta_head() -> Any:
    """An encoder that counts the places of tokens from after the id of padding."""
    from transformers import RobertaConfig, RobertaForSequenceClassification

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = RobertaConfig(**sizes, vocab_size=99, num_labels=3, max_position_embeddings=40, initializer_range=0.2)
    return RobertaForSequenceClassification(config).eval()


def without_padding(make: Callable[[], Any]) -> Callable[[], Any]:
    """A model whose config names no padding, as that of GPT-2."""

    def made() -> Any:
        model = make()
        model.config.pad_token_id = None
        return model

    return made


MODELS: dict[str, Callable[[], Any]] = {
    "bert": bert_head,
    "roberta": roberta_head,
    "llama": llama_head,
    "gpt2": gpt2_head,
    "gpt2 without padding": without_padding(gpt2_head),
    "llama without padding": without_padding(llama_head),
}


def asked_of(
    model: Any, rows: Sequence[Sequence[int]], limits: PassLimits = LIMITS[1], pad: int | None = None
) -> SimpleNamespace:
    model.config.id2label = dict(enumerate(OUTPUTS))
    return SimpleNamespace(
        inputs=SimpleNamespace(labels=SimpleNamespace(values=tuple(sorted(OUTPUTS)))),
        maker=SimpleNamespace(tokenizer=SimpleNamespace(pad_token_id=pad, eos_token_id=EOS)),
        model=model,
        prompts=[Encoded("", tuple(row), (), (), 0, Cuts()) for row in rows],
        places=[("test", index) for index in range(len(rows))],
        limits=limits,
        progress=lambda done, total: None,
    )


def saved(answering: Any, asked: Any, folder: Path) -> np.ndarray:
    job = JobFolder(folder)
    found = answering.answer(asked, job)
    assert found.result == job.scores
    scores = SavedScores.read(job.scores)
    assert scores.source_index.tolist() == list(range(len(asked.prompts)))
    return scores.sums


def plain(model: Any, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """The outputs by a loop over the rows, without padding or mask, in the order of the label set."""
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([list(row)])).logits[0].double() for row in rows]
    return torch.stack(logits)[:, [OUTPUTS.index(label) for label in sorted(OUTPUTS)]]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_of_one_row_at_a_time(name: str, limits: PassLimits, tmp_path: Path) -> None:
    expected = plain(MODELS[name](), ROWS).log_softmax(-1)
    found = saved(ANSWERING, asked_of(MODELS[name](), ROWS, limits), tmp_path)
    assert np.abs(found - expected.numpy()).max() < EXACT
    assert np.exp(found).sum(axis=1) == pytest.approx(1)
    assert found.std(axis=0).min() > 0.01, "all rows look alike"


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_labels_of_a_set_are_each_by_themselves(name: str, tmp_path: Path) -> None:
    logits = plain(MODELS[name](), ROWS)
    found = saved(OF_SETS, asked_of(MODELS[name](), ROWS), tmp_path)
    expected = torch.stack([torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)], dim=-1)
    assert np.abs(found - expected.numpy()).max() < EXACT


def test_outputs_far_apart_are_numbers_still(tmp_path: Path) -> None:
    model = bert_head()
    torch.nn.init.zeros_(model.classifier.weight)
    model.classifier.bias.data = torch.tensor([2000.0, 0.0, -2000.0])
    assert saved(ANSWERING, asked_of(model, ROWS[:1]), tmp_path).tolist() == [[-4000.0, 0.0, -2000.0]]
    of_set = saved(OF_SETS, asked_of(model, ROWS[:1]), tmp_path)[0]
    assert np.isfinite(of_set).all()
    assert of_set[1].tolist() == [0.0, -2000.0]


def test_a_model_that_gives_no_numbers_and_one_with_other_labels_are_told(tmp_path: Path) -> None:
    model = bert_head()
    model.classifier.bias.data[1] = float("nan")
    with pytest.raises(StageFailure, match=r"no numbers \(NaN\) as label scores of 5 rows"):
        ANSWERING.answer(asked_of(model, ROWS), JobFolder(tmp_path))
    asked = asked_of(bert_head(), ROWS)
    asked.inputs.labels.values = ("a", "b")
    with pytest.raises(UserError, match="answers with b, c, a, not with a, b"):
        ANSWERING.answer(asked, JobFolder(tmp_path))
    assert not JobFolder(tmp_path).scores.exists()


def test_a_text_that_is_longer_than_the_context_is_cut_to_it_and_an_empty_one_is_read(
    tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, vocab_size=len(tokenizer), num_labels=3, max_position_embeddings=12)
    model = BertForSequenceClassification(config).eval()
    builder = PromptBuilder(tokenizer, PromptStyle(("text",), format="text"))
    asked = asked_of(model, ())
    texts = ["a text of more than twelve bytes", "short"]
    asked.prompts = [builder.encode([], Example({"text": text}), 12) for text in texts]
    asked.places = [("test", 0), ("test", 1)]
    assert [len(row.prompt_ids) for row in asked.prompts] == [12, 5]
    assert [row.cut.fitted_tokens for row in asked.prompts] == [len(texts[0]) - 12, 0]
    expected = plain(model, [row.prompt_ids for row in asked.prompts]).log_softmax(-1)
    assert np.abs(saved(ANSWERING, asked, tmp_path) - expected.numpy()).max() < EXACT


@pytest.mark.parametrize("limits", LIMITS, ids=str)
def test_every_row_runs_once_and_no_pass_is_above_its_limits(limits: PassLimits) -> None:
    lengths = [len(row) for row in ROWS]
    found = list(batches(lengths, limits))
    assert sorted(place for batch in found for place in batch) == list(range(len(ROWS)))
    for batch in found:
        assert len(batch) == 1 or max(lengths[place] for place in batch) * len(batch) <= limits.tokens
        assert limits.rows is None or len(batch) <= limits.rows
