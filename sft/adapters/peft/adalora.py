"""AdaLoRA (openreview lq62uWRJjiY): low-rank factors whose ranks go to the layers that need them.

The trainer tells it of each step (`sft.training.rank_allocation`). What it has seen of the factors' importance is
among the method's own tensors, so that a training that was interrupted goes on as it would have. It is saved with all
ranks that it began with, those that were taken away being zero: PEFT's shortened form rescales the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.adapters.method import OptionFinding
from sft.adapters.peft.method import PeftMethod
from sft.adapters.peft.row import BITSANDBYTES, Beginning, PeftRow
from sft.prompts.train_row import TrainRow

if TYPE_CHECKING:
    import torch

NOT_LORAS = "AdaLoRA does not have it"
REFUSED = {
    "r": "init_r and target_r say it",
    "total_step": "it is the number of steps of the training",
    "rank_pattern": "the ranks are found in the training",
    "use_dora": NOT_LORAS,
    "use_rslora": NOT_LORAS,
    "lora_bias": NOT_LORAS,
    "use_qalora": NOT_LORAS,
    "qalora_group_size": NOT_LORAS,
    "layer_replication": NOT_LORAS,
    "alpha_pattern": NOT_LORAS,
    "loftq_config": NOT_LORAS,
    "eva_config": NOT_LORAS,
    "corda_config": NOT_LORAS,
    "lora_ga_config": NOT_LORAS,
    "velora_config": NOT_LORAS,
    "monteclora_config": NOT_LORAS,
    "alora_invocation_tokens": NOT_LORAS,
    "use_bdlora": NOT_LORAS,
    "target_parameters": NOT_LORAS,
    "arrow_config": NOT_LORAS,
    "kasa_config": NOT_LORAS,
    "megatron_config": NOT_LORAS,
    "megatron_core": NOT_LORAS,
    "ensure_weight_tying": NOT_LORAS,
}
BEGINNING = Beginning(
    ("milora", "pca", "pissa", "umap"),
    "sft.initialization.directions:fill_triplets",
    "only the directions of its factors would count, as E begins at 0",
    option="init_lora_weights",
)
ENDLESS = 2**31
"""Stands for the number of steps until the trainer knows it."""
HISTORIES = ("exp_avg_ipt", "exp_avg_unc")


class AdaLora(PeftMethod):
    """Factors A, E and B, of which entries of E are set to zero until the ranks are `target_r` on average."""

    def check(self, options: Mapping[str, Any], folder: Path) -> list[OptionFinding]:
        """As every method of PEFT, the change begins at 0, and the ranks must leave something to take away."""
        found = super().check(options, folder)
        known = self.options.model_fields
        first, last = (options.get(key) or known[key].default for key in ("init_r", "target_r"))
        if not found and first <= last:
            found.append(
                OptionFinding("init_r", f"{first}: must be above target_r, {last}; from there the ranks go down")
            )
        return found

    def attach(self, model: Any, options: Mapping[str, Any], folder: Path, rows: Sequence[TrainRow]) -> Any:
        """The `PeftModel`, with an importance of zero of all that is trained."""
        return _prepared(super().attach(model, {**options, "total_step": ENDLESS}, folder, rows))

    def continued(self, model: Any, options: Mapping[str, Any], adapter: Path) -> Any:
        """The `PeftModel` with the trained factors, whose importance is seen anew."""
        return _prepared(super().continued(model, options, adapter))

    def own_tensors(self, model: Any) -> "dict[str, torch.Tensor]":
        """The factors, and what was seen of their importance so far."""
        allocator, own = model.base_model.rankallocator, super().own_tensors(model)
        for history in HISTORIES:
            own |= {f"{history}.{name}": tensor for name, tensor in getattr(allocator, history).items()}
        return own

    def save(self, model: Any, folder: Path) -> dict[str, Any]:
        """A plain PEFT folder with all ranks."""
        for config in model.peft_config.values():
            config.rank_pattern = None
        return super().save(model, folder)


def _prepared(model: Any) -> Any:
    """Zeros where PEFT would make them at the first step, and a divisor that is never trained."""
    import torch

    allocator = model.base_model.rankallocator
    for name, weight in _parameters(model):
        if ".ranknum." in name:
            weight.requires_grad_(False)
            continue
        allocator.ipt[name] = torch.zeros_like(weight, dtype=torch.float32)
        for history in HISTORIES:
            getattr(allocator, history)[name] = torch.zeros_like(weight, dtype=torch.float32)
    return model


def _parameters(model: Any) -> "Iterator[tuple[str, torch.nn.Parameter]]":
    """The parameters of a model's adapter by the names that PEFT's allocator of ranks has for them."""
    named = model.base_model.model.named_parameters()
    yield from ((name, weight) for name, weight in named if ".lora_" in name or ".ranknum." in name)


METHOD = AdaLora(
    PeftRow(
        "adalora",
        "AdaLoRA (openreview lq62uWRJjiY): low-rank factors whose ranks go to the layers that need them",
        "peft.tuners.adalora.config:AdaLoraConfig",
        rank="init_r",
        beginning=BEGINNING,
        refused=REFUSED,
        storages=BITSANDBYTES,
        learning_rate=1e-3,
    )
)
