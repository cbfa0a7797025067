"""The loss of T-Few and its gradients beside one plain forward pass for each label, the formulas written out."""

import math
from typing import Any

import pytest
import torch

from sft.prompts.train_row import IGNORED, TrainRow
from sft.training.objectives.answer_loss import AnswerLoss, t_few_losses

STOP = (61, 59)
ANSWERS = [(30, *STOP), (30, 31, *STOP), (32, *STOP), (33, 34, 35, *STOP)]
"""One label is the beginning of another; the stop has two ids."""
SGD = {"optim": "sgd", "learning_rate": 1.0, "max_grad_norm": 1e9, "lr_scheduler_type": "constant", "max_steps": 1}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "qwen2": {"num_key_value_heads": 2, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    "gpt2": {},
    "gpt_neox": {},
    "bloom": {},
    "mamba": {},
}
TREES = ("llama", "qwen2", "gpt2", "gpt_neox")


def make(kind: str, attention: str = "sdpa", dtype: torch.dtype = torch.float64) -> Any:
    """A random model of two layers with LoRA, whose weights are so large that a wrong mask or position shows."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if kind == "mamba":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    ids = {"bos_token_id": 1, "eos_token_id": 61, "pad_token_id": 60}
    config = AutoConfig.for_model(kind, vocab_size=64, initializer_range=0.3, **sizes, **SHAPES[kind], **ids)
    written = {} if kind in ("mamba", "bloom") else {"attn_implementation": attention}
    base = AutoModelForCausalLM.from_config(config, **written).to(dtype)
    targets = {"gpt2": ["c_attn", "c_proj"], "mamba": ["in_proj", "x_proj"]}.get(kind, "all-linear")
    return get_peft_model(base, LoraConfig(r=2, target_modules=targets, init_lora_weights=False)).to(dtype).eval()


def make_rows(count: int = 5) -> list[TrainRow]:
    """Prompts of 3 to 9 tokens; the answers take turns, and so do weights."""
    made = []
    for number in range(count):
        prompt = tuple(range(number, number + 3 + 3 * (number % 3)))
        answer = ANSWERS[number % len(ANSWERS)]
        labels = (*(IGNORED,) * len(prompt), *answer)
        made.append(TrainRow((*prompt, *answer), labels, 0.5 + number % 2))
    return made


def by_hand(model: Any, row: TrainRow, virtual: int = 0) -> torch.Tensor:
    """Equations 1 to 4 of the paper for one row, token by token, in fp64; so many virtual tokens stand before it."""
    prompt = row.input_ids[: sum(label == IGNORED for label in row.labels)]
    right = ANSWERS.index(row.input_ids[len(prompt) :])
    logprobs = []
    for answer in ANSWERS:
        logits = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0, virtual:].double()
        places = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
        logprobs.append([logits[at].log_softmax(-1)[token] for at, token in zip(places, answer, strict=True)])
    means = [sum(tokens) / len(tokens) for tokens in logprobs]
    wrong = [token for number, tokens in enumerate(logprobs) if number != right for token in tokens]
    unlikely = -sum(torch.log(1 - token.exp()) for token in wrong) / len(wrong)
    among = -torch.log(means[right].exp() / sum(mean.exp() for mean in means))
    return -means[right] + unlikely + among


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def batch_of(loss: AnswerLoss, rows: list[TrainRow], multiple_of: int | None = None) -> dict[str, Any]:
    plain = type("Plain", (), {"pad_token_id": 60, "pad_to_multiple_of": multiple_of})()
    return loss.collator(plain)([{"input_ids": list(row.input_ids), "labels": list(row.labels)} for row in rows])


@pytest.mark.parametrize(
    ("kind", "attention"), [*((kind, "sdpa") for kind in SHAPES), ("llama", "eager"), ("qwen2", "eager")]
)
def test_loss_and_gradients_are_those_of_plain_passes(kind: str, attention: str) -> None:
    model, rows = make(kind, attention), make_rows()
    loss = AnswerLoss(model, ANSWERS, rows)
    assert (loss.slow_reason is None) is (kind in TREES)
    expected = sum(by_hand(model, row) for row in rows) / len(rows)
    wanted = torch.autograd.grad(expected, list(trained(model).values()))
    found = loss(model, batch_of(loss, rows, multiple_of=8), None)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    for (name, _), one, other in zip(
        trained(model).items(), torch.autograd.grad(found, list(trained(model).values())), wanted, strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5), name


@pytest.mark.parametrize("multiple_of", [None, 16])
def test_a_prompt_runs_once_for_all_labels(multiple_of: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = make("llama"), make_rows()
    loss = AnswerLoss(model, ANSWERS, rows)
    seen: list[torch.Size] = []
    plain = model.get_base_model().model.forward

    def watched(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["input_ids"].shape)
        return plain(*args, **kwargs)

    monkeypatch.setattr(model.get_base_model().model, "forward", watched)
    batch = batch_of(loss, rows, multiple_of)
    loss(model, batch, None)
    # What another token follows: 30, 61 | 31, 61 | 32, 61 | 33, 34, 35, 61.
    assert seen == [torch.Size([5, 32 if multiple_of else 9 + 10])]


def test_virtual_tokens_stand_before_whole_sequences() -> None:
    from peft import PromptTuningConfig, get_peft_model

    torch.manual_seed(2)
    base = make("llama").unload()
    model = get_peft_model(base, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).double().eval()
    rows = make_rows()
    loss = AnswerLoss(model, ANSWERS, rows)
    assert loss.slow_reason == "the virtual tokens of its adapter stand before whole sequences"
    expected = sum(by_hand(model, row, virtual=3) for row in rows) / len(rows)
    wanted = torch.autograd.grad(expected, list(trained(model).values()))
    found = loss(model, batch_of(loss, rows), None)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    assert torch.allclose(torch.autograd.grad(found, list(trained(model).values()))[0], wanted[0], rtol=1e-5)


def test_a_token_that_is_certain_keeps_the_loss_finite() -> None:
    logprobs = torch.tensor([[[-1.0, 0.0], [-2.0, 0.0]]], dtype=torch.float64, requires_grad=True)
    is_token = torch.ones((2, 2), dtype=torch.bool)
    found = t_few_losses(logprobs, is_token, torch.tensor([0]))
    unlikely = -(math.log(1 - math.exp(-2)) + math.log(torch.finfo(torch.float64).eps)) / 2
    among = -math.log(math.exp(-0.5) / (math.exp(-0.5) + math.exp(-1)))
    assert found.item() == pytest.approx(0.5 + unlikely + among, abs=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), logprobs)
    assert torch.isfinite(gradient).all()


def stepped(model: Any, rows: list[TrainRow], train: Any, **args: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """The record of one step of SGD at rate 1, and the gradients that it took."""
    before = {name: parameter.detach().clone() for name, parameter in trained(model).items()}
    record = train(model, rows, {**SGD, **args}, own_loss=lambda it: AnswerLoss(it, ANSWERS, rows))
    return record, {name: before[name] - parameter.detach() for name, parameter in trained(model).items()}


@pytest.mark.parametrize(("batch", "accumulated"), [(6, 1), (2, 3), (4, 2)])
def test_a_step_is_the_weighed_mean_over_its_rows_however_they_are_shared_out(
    train: Any, batch: int, accumulated: int
) -> None:
    model, rows = make("llama", dtype=torch.float32), make_rows(6)
    expected = sum(row.weight * by_hand(model, row) for row in rows) / len(rows)
    wanted = torch.autograd.grad(expected, list(trained(model).values()))
    record, gradients = stepped(
        model, rows, train, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulated
    )
    assert record.loss_curve[0].loss == pytest.approx(expected.item(), abs=1e-5)
    for (name, found), one in zip(gradients.items(), wanted, strict=True):
        assert torch.allclose(found, one, rtol=1e-4, atol=1e-5), name


def test_recomputing_activations_changes_nothing(train: Any) -> None:
    rows = make_rows(4)
    found = [
        stepped(make("llama", dtype=torch.float32), rows, train, gradient_checkpointing=again)[1]
        for again in (False, True)
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_dev_curve_has_the_same_function_unweighed(train: Any) -> None:
    model, rows = make("llama", dtype=torch.float32), make_rows(5)
    with torch.no_grad():
        expected = sum(by_hand(model, row) for row in rows).item() / len(rows)
    plain = [TrainRow(row.input_ids, row.labels) for row in rows]
    args = {**SGD, "learning_rate": 0.0, "eval_on_start": True, "eval_strategy": "steps"}
    args["per_device_eval_batch_size"] = 2
    record = train(model, rows, args, dev_rows=plain, own_loss=lambda it: AnswerLoss(it, ANSWERS, rows))
    assert record.eval_curve[0].loss == pytest.approx(expected, abs=1e-5)
