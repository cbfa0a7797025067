"""The training loss reads the output head's weight itself: it must be the one that the model computes with."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from sft.adapters.attach import attach_adapter
from sft.adapters.saving import save_adapter
from sft.exceptions import UserError
from sft.prompts.train_row import IGNORED

TOKENS = [30, 31, 32]
CASES = [
    ({"trainable_token_indices": TOKENS}, True, torch.float32),
    ({"trainable_token_indices": TOKENS}, True, torch.bfloat16),
    ({"trainable_token_indices": {"embed_tokens": TOKENS, "lm_head": TOKENS}}, False, torch.float32),
    ({"modules_to_save": ["lm_head"]}, False, torch.bfloat16),
    ({"modules_to_save": ["lm_head"]}, True, torch.bfloat16),
    ({"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}, True, torch.bfloat16),
    ({"target_modules": ["q_proj", "embed_tokens"]}, True, torch.float32),
]


def mean_loss(model: Any, rows: Any) -> float:
    losses = []
    for row in rows:
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0].float()
        labels = torch.tensor(row.labels)[1:]
        kept = labels != IGNORED
        losses += cross_entropy(logits[:-1][kept], labels[kept], reduction="none").tolist()
    return sum(losses) / len(losses)


@pytest.mark.parametrize(("options", "is_tied", "dtype"), CASES, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_options_that_touch_the_head_train_with_the_loss_of_the_model(
    options: Any, is_tied: bool, dtype: torch.dtype, base: Any, rows: Any, train: Any, tmp_path: Path
) -> None:
    from peft import PeftModel

    def make() -> Any:
        model = type(base)(base.config)
        model.load_state_dict(base.state_dict())
        model.config.tie_word_embeddings = is_tied
        model.tie_weights()
        return model.to(dtype).eval()

    base.config.tie_word_embeddings = is_tied
    model = attach_adapter(make(), "lora", {"r": 4, **options}, Path(), 1)
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    expected = mean_loss(model.eval(), rows)
    record = train(model, rows, {"max_steps": 2, "per_device_train_batch_size": 12, "learning_rate": 0.01})
    assert record.loss_curve[0].loss == pytest.approx(expected, abs=1e-4 if dtype == torch.float32 else 0.05)
    own = dict(model.named_parameters())
    assert not [name for name, tensor in before.items() if torch.equal(own[name], tensor)]
    save_adapter(model, "lora", tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(make(), tmp_path / "adapter").eval()
    assert mean_loss(loaded, rows) == pytest.approx(mean_loss(model, rows), abs=1e-5)
    assert "get_output_embeddings" not in vars(model.get_base_model())


def test_an_adapter_on_the_head_is_refused_whatever_the_head_is_called(base: Any) -> None:
    base.readout = base.lm_head
    del base.lm_head
    base.get_output_embeddings = lambda: base.readout
    with pytest.raises(UserError, match=r"target_modules puts an adapter on the output head"):
        attach_adapter(base, "lora", {"target_modules": ["q_proj", "readout"]}, Path(), 1)


def test_rows_of_a_tied_embedding_that_is_trained_in_full_are_refused(base: Any) -> None:
    base.config.tie_word_embeddings = True
    base.tie_weights()
    for saved in ("lm_head", "embed_tokens"):
        options = {"trainable_token_indices": TOKENS, "modules_to_save": [saved]}
        with pytest.raises(UserError, match=r"trainable_token_indices: trains rows of the model's embedding"):
            attach_adapter(type(base)(base.config), "lora", options, Path(), 1)


def test_rows_of_a_head_whose_bias_would_be_dropped_are_refused(base: Any) -> None:
    base.lm_head.bias = torch.nn.Parameter(torch.ones(64))
    options = {"trainable_token_indices": {"lm_head": TOKENS}}
    with pytest.raises(UserError, match=r"would drop the bias of lm_head"):
        attach_adapter(base, "lora", options, Path(), 1)
