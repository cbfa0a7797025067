"""A trained adapter as a plain PEFT folder, and back.

Plain `PeftModel.from_pretrained(base, folder)` on the untouched base must give the trained model. Where the
initialisation moved the base by -s B0 A0, what was learned is s (B A - B0 A0) on the untouched base: twice the rank,
with the scaling kept. [A; A0] and [B, -B0] would say it too, as the difference of two large products, in which
rounding swallows a small change; so the difference is factorised anew, in float64.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sft.adapters.lora.fit import TARGETS, require_fit, require_known_options, require_patterns, told_fault
from sft.errors import StageFailure, UserError, machine_kind
from sft.models.library_warnings import judged_warnings
from sft.models.reading import reading_error
from sft.models.room import loading_room
from sft.runs.fence import require_in_place
from sft.runs.file_systems import equal_modes

if TYPE_CHECKING:
    import torch

    from sft.initialization.factors import Factors

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
ADAPTER = "default"


def save_adapter(model: Any, folder: Path) -> dict[str, Any]:
    """Write the trained adapter of a `PeftModel` to `folder`, all or nothing; what is there is replaced.

    Returns:
        `exported_rank`: the rank in the folder, twice the trained one where the base was moved.
    """
    from sft.initialization.factors import initial_factors
    from sft.initialization.layers import adapter_layers

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=folder.parent) as temporary:
        written = Path(temporary) / "adapter"
        model.save_pretrained(written, selected_adapters=[ADAPTER])
        factors = initial_factors(model)
        config = adapter_config(written)
        if factors:
            _widen_weights(written / WEIGHTS, factors, {layer.name: layer.experts for layer in adapter_layers(model)})
            config = _widened(config)
        _write_config(written, config)
        _replace(written, folder)
    return {"exported_rank": int(config["r"])} if "r" in config else {}


def load_adapter(model: Any, folder: Path, trainable: bool = False, dropout: float | None = None) -> Any:
    """The `PeftModel` of a base model with the adapter saved in `folder`, in eval mode unless `trainable`.

    Args:
        model: the untouched base.
        folder: a PEFT folder with safetensors.
        trainable: whether its weights can be trained on.
        dropout: replaces the adapter's own LoRA dropout; None leaves it.

    Raises:
        UserError: there is no adapter, it is not in safetensors, or it does not fit the model.
    """
    from peft import PeftConfig, PeftModel

    saved = adapter_config(folder)
    try:
        config = PeftConfig.from_pretrained(str(folder))
        require_known_options(folder, saved, config)
        if dropout is not None:
            config.lora_dropout = dropout
        config.inference_mode = not trainable
        with (
            loading_room(f"the adapter {folder} was loaded"),
            judged_warnings(f"model.adapter: {folder}", left=TARGETS),
        ):
            loaded = PeftModel.from_pretrained(model, str(folder), config=config, is_trainable=trainable)
            require_fit(loaded, ADAPTER, folder)
        require_patterns(loaded, ADAPTER, f"model.adapter: {folder}: ", ("alpha_pattern",))
    except (RuntimeError, ValueError, KeyError) as error:
        if machine_kind(error) is not None:
            raise
        raise UserError(
            f"model.adapter: {folder} does not fit the model: {told_fault(error)}", kind="model"
        ) from error
    except Exception as error:
        told = reading_error(f"model.adapter: {folder} cannot be loaded", str(folder), folder, error)
        if told is None:
            raise
        raise told from error
    return loaded.train() if trainable else loaded.eval()


def adapter_config(folder: Path) -> dict[str, Any]:
    """What `adapter_config.json` of a trained adapter says.

    Raises:
        UserError: there is no adapter in `folder`, or not in safetensors, which alone are read.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"model.adapter: {folder} holds no trained adapter: it has no {CONFIG}", kind="model")
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"model.adapter: {folder} has no {WEIGHTS}; only safetensors are read", kind="model")
    try:
        config = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"model.adapter: {file} is not JSON ({error}); copy it again", kind="model") from error
    if not isinstance(config, dict):
        raise UserError(f"model.adapter: {file} is no object of settings", kind="model")
    return config


def _widen_weights(file: Path, factors: Mapping[str, "Factors"], experts: Mapping[str, int]) -> None:
    from safetensors.torch import load_file, save_file

    from sft.initialization.layers import joined_factors, split_factors

    tensors = load_file(file)
    for name, start in factors.items():
        a, b = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        here, count = tensors[a].device, experts[name]
        trained = zip(*split_factors(tensors[a], tensors[b], count), strict=True)
        started = zip(*split_factors(start.a.to(here), start.b.to(here), count), strict=True)
        wide = [_learned(*pair, *pair0) for pair, pair0 in zip(trained, started, strict=True)]
        new_a, new_b = joined_factors(*zip(*wide, strict=True))
        tensors[a], tensors[b] = new_a.to(tensors[a]).contiguous(), new_b.to(tensors[b]).contiguous()
    save_file(tensors, file, metadata={"format": "pt"})


def _learned(
    a: "torch.Tensor", b: "torch.Tensor", start_a: "torch.Tensor", start_b: "torch.Tensor"
) -> "tuple[torch.Tensor, torch.Tensor]":
    """Factors of twice the rank, whose product is what was learned since the start."""
    import torch

    wide_a = torch.cat([a.double(), start_a.double()])
    return _refactored(wide_a, torch.cat([b.double(), -start_b.double()], dim=1))


def _refactored(a: "torch.Tensor", b: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
    """Factors of the same shapes and the same product, each the square root of what the product is large in.

    Args:
        a: (rank, in) float64.
        b: (out, rank) float64.

    Raises:
        StageFailure: kind diverged; a number is not finite.
    """
    import torch

    if not (torch.isfinite(a).all() and torch.isfinite(b).all()):
        raise StageFailure("the trained adapter holds numbers that are not finite", kind="diverged")
    rank = len(a)
    left, left_part = torch.linalg.qr(b)
    right, right_part = torch.linalg.qr(a.T)
    u, sizes, v = torch.linalg.svd(left_part @ right_part.T, full_matrices=False)
    signs = torch.sign(u.gather(0, u.abs().argmax(dim=0, keepdim=True)))
    signs[signs == 0] = 1
    roots = sizes.sqrt()
    new_b, new_a = left @ (u * signs * roots), ((v * signs.T * roots[:, None]) @ right.T)
    missing = rank - len(sizes)
    return torch.nn.functional.pad(new_a, (0, 0, 0, missing)), torch.nn.functional.pad(new_b, (0, missing))


def _widened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Twice the rank at the same scaling, for the adapter and for every pattern."""
    factor = math.sqrt(2) if config["use_rslora"] else 2
    return {
        **config,
        "r": 2 * config["r"],
        "lora_alpha": factor * config["lora_alpha"],
        "rank_pattern": {key: 2 * rank for key, rank in (config["rank_pattern"] or {}).items()},
        "alpha_pattern": {key: factor * alpha for key, alpha in (config["alpha_pattern"] or {}).items()},
        "init_lora_weights": True,
    }


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Names of modules are sets to PEFT, written in an order that changes from run to run."""
    ordered = {
        key: sorted(value) if key in ("target_modules", "exclude_modules") and isinstance(value, list) else value
        for key, value in config.items()
    }
    (folder / CONFIG).write_text(json.dumps(ordered, indent=2, sort_keys=True) + "\n", "utf-8")
    equal_modes(folder, CONFIG)  # the weights are written for their owner only, whatever the umask says


def _replace(written: Path, folder: Path) -> None:
    require_in_place(folder)
    if folder.exists():
        shutil.rmtree(folder)
    written.rename(folder)
